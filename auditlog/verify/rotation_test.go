package verify_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
)

// rotated hands the fixture's log over to a new key and goes on.
func (f *fixture) rotated(t *testing.T, witnesses ...auditlog.Witness) (next note.Signer, key string) {
	t.Helper()
	next, key, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "next"), origin)
	if err != nil {
		t.Fatal(err)
	}
	opts := auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20, CheckpointEvery: time.Hour, Witnesses: witnesses}
	if err := auditlog.RotateKey(t.Context(), f.dir, f.signer, next, key, opts); err != nil {
		t.Fatal(err)
	}
	return next, key
}

// A log changes its key twice. Auditors who know all keys verify all of it; who
// doesn't know one, or expects one that the log never handed over to, doesn't.
func TestKeyRotation(t *testing.T) {
	f := newFixture(t)
	first := f.policy.Key
	second, secondKey := f.rotated(t, f.w)
	if _, err := auditlog.Open(f.dir, newEmptyFixture(t).signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20}); !errors.Is(err, auditlog.ErrKey) {
		t.Fatalf("a third party's key: %v", err)
	}
	f.signer = second
	l := f.open(t, auditlog.Options{CheckpointEvery: time.Hour})
	f.anchored(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	third, thirdKey := f.rotated(t, f.w)
	f.signer = third
	l = f.open(t, auditlog.Options{CheckpointEvery: time.Hour})
	f.anchored(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, other, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "other"), origin)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		key    string
		former []string
		ok     bool
	}{
		"all keys":               {thirdKey, []string{first, secondKey}, true},
		"none of the former":     {thirdKey, nil, false},
		"one of the former":      {thirdKey, []string{secondKey}, false},
		"the wrong order":        {thirdKey, []string{secondKey, first}, false},
		"one more than there is": {thirdKey, []string{other, first, secondKey}, false},
		"another in between":     {thirdKey, []string{first, other, secondKey}, false},
		"another key":            {other, []string{first, secondKey, thirdKey}, false},
		"a former one":           {secondKey, []string{first}, false},
	} {
		f.policy.Key, f.policy.Former = tc.key, tc.former
		if r := f.verify(t); r.OK() != tc.ok {
			t.Errorf("%s: %s: %v", name, r.Verdict(), r.Findings)
		}
	}
	f.policy.Key, f.policy.Former, f.policy.Older = thirdKey, []string{first, secondKey}, f.older
	if r := f.verify(t); !r.OK() {
		t.Errorf("with a checkpoint of the first key: %v", r.Findings)
	}
}

// Without the old key nobody hands a log over, and a handover to the wrong key
// is refused before anything is written.
func TestBadRotations(t *testing.T) {
	f := newFixture(t)
	opts := auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20}
	next, key, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "next"), origin)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, elsewhereKey, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "elsewhere"), "example.org/other")
	if err != nil {
		t.Fatal(err)
	}
	inside, insideKey, err := auditlog.NewKeyFile(filepath.Join(f.dir, "inside"), origin)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		from, to note.Signer
		verifier string
	}{
		"not the log's key": {next, f.signer, f.policy.Key},
		"the same key":      {f.signer, f.signer, f.policy.Key},
		"another origin":    {f.signer, elsewhere, elsewhereKey},
		"another verifier":  {f.signer, next, elsewhereKey},
		"no verifier":       {f.signer, next, ""},
		"a key in the log":  {f.signer, inside, insideKey},
	} {
		if err := auditlog.RotateKey(t.Context(), f.dir, tc.from, tc.to, tc.verifier, opts); err == nil {
			t.Errorf("%s: the log was handed over", name)
		}
	}
	if r := f.verify(t); !r.OK() {
		t.Errorf("%v", r.Findings)
	}
	f.policy.Former = []string{key}
	if r := f.verify(t); r.OK() {
		t.Error("a former key that the log never had was taken")
	}
	f.policy.Former = []string{elsewhereKey}
	if _, err := verify.Dir(t.Context(), f.dir, f.policy, nil); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("a former key of another origin: %v", err)
	}
}
