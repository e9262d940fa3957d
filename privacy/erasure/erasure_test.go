package erasure_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy/erasure"
)

// trail notes what happened in which order.
type trail []string

type keys struct {
	trail *trail
	err   error
}

func (k *keys) DestroySubject(_ context.Context, tenant, subject, _ string) error {
	*k.trail = append(*k.trail, "key "+tenant+"/"+subject)
	return k.err
}

type place struct {
	name    string
	trail   *trail
	err     error
	remains int
}

func (p *place) Name() string { return p.name }
func (p *place) Erase(_ context.Context, tenant, subject string) error {
	*p.trail = append(*p.trail, p.name+" "+tenant+"/"+subject)
	return p.err
}
func (p *place) Remains(context.Context, string, string) (int, error) { return p.remains, p.err }

type holds struct {
	reason string
	err    error
}

func (h holds) Held(context.Context, string, string) (string, bool, error) {
	return h.reason, h.reason != "", h.err
}

type fixture struct {
	trail       trail
	keys        keys
	files, mail place
	rec         auditlogtest.Recorder
}

func (f *fixture) eraser(t *testing.T, o erasure.Options) *erasure.Eraser {
	t.Helper()
	f.keys.trail, f.files.trail, f.mail.trail = &f.trail, &f.trail, &f.trail
	f.files.name, f.mail.name = "files", "mail"
	e, err := erasure.New(&f.keys, &f.rec, o, &f.files, &f.mail)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestKeyFirstThenEveryPlace(t *testing.T) {
	var f fixture
	report, err := f.eraser(t, erasure.Options{Holds: holds{}}).Erase(t.Context(), "acme", "u-1", "request 1")
	if err != nil || !report.KeyDestroyed || len(report.Open()) != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	if want := []string{"key acme/u-1", "files acme/u-1", "mail acme/u-1"}; !slices.Equal(f.trail, want) {
		t.Errorf("happened %q, want %q", f.trail, want)
	}
	f.rec.Want(t, "privacy.erasure.request", auditlog.Success)
	f.rec.Want(t, "privacy.erasure.complete", auditlog.Success)
}

func TestHoldWins(t *testing.T) {
	down := errors.New("register down")
	for name, h := range map[string]holds{"held": {reason: "court order 7"}, "unknown": {err: down}} {
		var f fixture
		_, err := f.eraser(t, erasure.Options{Holds: h}).Erase(t.Context(), "acme", "u-1", "request 1")
		if !errors.Is(err, erasure.ErrHeld) || len(f.trail) != 0 {
			t.Errorf("%s: %v, and yet: %q", name, err, f.trail)
		}
		f.rec.Want(t, "privacy.erasure.request", auditlog.Denied)
	}
}

func TestOnePlaceDownStaysOpenAndVisible(t *testing.T) {
	var f fixture
	f.files.err = errors.New("no route to host")
	e := f.eraser(t, erasure.Options{})
	report, err := e.Erase(t.Context(), "acme", "u-1", "request 1")
	if !errors.Is(err, erasure.ErrIncomplete) || !slices.Equal(report.Open(), []string{"files"}) {
		t.Fatalf("%+v, %v", report, err)
	}
	if f.trail[len(f.trail)-1] != "mail acme/u-1" {
		t.Errorf("the other place was not erased: %q", f.trail)
	}
	f.rec.Want(t, "privacy.erasure.complete", auditlog.Failed)
	f.files.err = nil // the place is back: the same call resumes
	if report, err := e.Erase(t.Context(), "acme", "u-1", "request 1"); err != nil || len(report.Open()) != 0 {
		t.Errorf("resumed: %+v, %v", report, err)
	}
}

func TestWhatRemainsIsFound(t *testing.T) {
	var f fixture
	f.mail.remains = 2
	report, err := f.eraser(t, erasure.Options{}).Erase(t.Context(), "acme", "u-1", "request 1")
	if !errors.Is(err, erasure.ErrIncomplete) || !slices.Equal(report.Open(), []string{"mail"}) {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestKeyThatCannotBeDestroyedEndsIt(t *testing.T) {
	var f fixture
	f.keys.err = errors.New("store down")
	report, err := f.eraser(t, erasure.Options{}).Erase(t.Context(), "acme", "u-1", "request 1")
	if !errors.Is(err, f.keys.err) || report.KeyDestroyed || len(f.trail) != 1 {
		t.Errorf("%+v, %v, %q", report, err, f.trail)
	}
	f.rec.Want(t, "privacy.erasure.complete", auditlog.Failed)
}

func TestNothingHappensUnrecorded(t *testing.T) {
	var f fixture
	e := f.eraser(t, erasure.Options{})
	full := errors.New("disk full")
	f.rec.FailWith(full)
	if _, err := e.Erase(t.Context(), "acme", "u-1", "request 1"); !errors.Is(err, full) || len(f.trail) != 0 {
		t.Errorf("%v, and yet: %q", err, f.trail)
	}
}

func TestBadInput(t *testing.T) {
	var f fixture
	e := f.eraser(t, erasure.Options{})
	for _, in := range [][3]string{{"", "u", "r"}, {"t", "", "r"}, {"t", "u", ""}} {
		if _, err := e.Erase(t.Context(), in[0], in[1], in[2]); err == nil || len(f.trail) != 0 {
			t.Errorf("%q: %v, %q", in, err, f.trail)
		}
	}
	if _, err := erasure.New(nil, &f.rec, erasure.Options{}); err == nil {
		t.Error("an eraser without keys was made")
	}
	if _, err := erasure.New(&f.keys, nil, erasure.Options{}); err == nil {
		t.Error("an eraser without a recorder was made")
	}
	if _, err := erasure.New(&f.keys, &f.rec, erasure.Options{}, &f.files, &f.files); err == nil {
		t.Error("two places of one name were accepted")
	}
}

func TestProbe(t *testing.T) {
	var f fixture
	c := f.eraser(t, erasure.Options{}).Controls()[0]
	for _, tc := range []struct {
		remains int
		err     error
		want    controls.State
	}{{0, nil, controls.Pass}, {1, nil, controls.Fail}, {0, errors.New("down"), controls.Error}} {
		f.mail.remains, f.mail.err = tc.remains, tc.err
		if r := c.Run(t.Context()); r.State != tc.want {
			t.Errorf("%v: %s, want %v", r.State, r.Observed, tc.want)
		}
	}
	if got := c.Parameters[1]; got.Name != "legal_holds" || !strings.Contains(got.Value, "false") {
		t.Errorf("evidence does not say that there are no holds: %+v", got)
	}
}
