package verify_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
)

var writeLogs = flag.Bool("write-logs", false, "make testdata/logs anew, with new keys")

const logs = "testdata/logs"

// tamperings make the logs in testdata, which auditors can try their own
// programs on. Each begins as a copy of the honest one.
var tamperings = []struct {
	name   string
	says   string // in a finding; empty for a log that verifies
	tamper func(t *testing.T, f *fixture)
}{
	{"honest", "", func(*testing.T, *fixture) {}},
	{"changed-entry", "entry 7: tile/0/", func(t *testing.T, f *fixture) {
		f.editEntries(t, func(b []byte) []byte {
			at, n := entryAt(b, 7)
			copy(b[at:at+n], bytes.Replace(b[at:at+n], []byte("u-1"), []byte("u-2"), 1))
			return b
		})
	}},
	{"removed-entry", "entry 7: ", func(t *testing.T, f *fixture) {
		f.editEntries(t, func(b []byte) []byte {
			at, n := entryAt(b, 7)
			return append(b[:at-2], b[at+n:]...)
		})
	}},
	{"duplicated-entry", "entry 8: ", func(t *testing.T, f *fixture) {
		f.editEntries(t, func(b []byte) []byte {
			at, n := entryAt(b, 7)
			twice := append(bytes.Clone(b[:at+n]), b[at-2:at+n]...)
			return append(twice, b[at+n:]...)
		})
	}},
	{"swapped-entries", "entry 7: ", func(t *testing.T, f *fixture) {
		f.editEntries(t, func(b []byte) []byte {
			i, n := entryAt(b, 7)
			j, m := entryAt(b, 8)
			copy(b[i-2:], append(bytes.Clone(b[j-2:j+m]), b[i-2:i+n]...))
			return b
		})
	}},
	{"resealed", "does not continue the cosigned checkpoint", func(t *testing.T, f *fixture) {
		dir := filepath.Join(t.TempDir(), "resealed")
		f.reseal(t, dir, 7)
		if err := os.RemoveAll(f.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(f.dir, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}},
	{"changed-frame", "segments end before the checkpoint", func(t *testing.T, f *fixture) {
		f.edit(t, "segments/0000000000000001.seg", flip(600))
	}},
	{"another-key", "checkpoint: ", otherKey},
	{"another-origin", "not of this log", func(t *testing.T, f *fixture) {
		f.edit(t, "checkpoint", func(b []byte) []byte {
			text, _, _ := strings.Cut(string(b), "\n\n")
			_, rest, _ := strings.Cut(text, "\n")
			return f.sign(t, "example.org/other\n"+rest+"\n")
		})
	}},
	{"old-checkpoint", "does not continue the older checkpoint", func(t *testing.T, f *fixture) {
		f.edit(t, "checkpoint", func([]byte) []byte { return f.older })
	}},
	{"backdated-entry", "before a witness saw entries before it", func(t *testing.T, f *fixture) {
		f.rewriteWith(t, func(l *auditlog.Log) {
			f.anchored(t, l)
			e := f.stamped(t, 0)
			e.Time = e.Time.Add(-24 * time.Hour)
			if _, err := l.AppendEntries(t.Context(), []auditlog.Entry{e}); err != nil {
				t.Fatal(err)
			}
		})
	}},
	{"unwitnessed", "no checkpoint was cosigned", func(t *testing.T, f *fixture) {
		f.w = newWitness(t, time.Now) // the operator's own
		f.rewriteWith(t, func(l *auditlog.Log) { f.anchored(t, l) })
	}},
}

func (f *fixture) sign(t *testing.T, text string) []byte {
	t.Helper()
	msg, err := note.Sign(&note.Note{Text: text}, f.signer)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// editEntries edits the one, incomplete, bundle.
func (f *fixture) editEntries(t *testing.T, change func([]byte) []byte) {
	t.Helper()
	rel, err := filepath.Rel(f.dir, bundleName(f.dir, 0))
	if err != nil {
		t.Fatal(err)
	}
	f.edit(t, filepath.ToSlash(rel), change)
}

// rewriteWith makes another log of the same key in place of the copy.
func (f *fixture) rewriteWith(t *testing.T, fill func(*auditlog.Log)) {
	t.Helper()
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	l := f.open(t, auditlog.Options{CheckpointEvery: time.Hour})
	fill(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f.slim(t)
}

// slim removes what a copy doesn't need: locks, indexes, and the unused rest
// of segments.
func (f *fixture) slim(t *testing.T) {
	t.Helper()
	list, err := os.ReadDir(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if name := d.Name(); name != "tile" && name != "segments" && name != "checkpoint" {
			if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	segments, err := filepath.Glob(filepath.Join(f.dir, "segments", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range segments {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.TrimRight(b, "\x00")
		if len(b) < 4096 && !bytes.Contains(b, []byte(`"action"`)) { // never written to
			err = os.Remove(name)
		} else {
			err = os.WriteFile(name, append(b, make([]byte, 64)...), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// makeLogs writes testdata/logs.
func makeLogs(t *testing.T) {
	honest := newEmptyFixture(t)
	l := honest.open(t, auditlog.Options{CheckpointEvery: time.Hour})
	honest.anchored(t, l) // so that the entries with places of their own are alike each time
	for i := range 8 {
		if _, err := l.AppendEntries(t.Context(), []auditlog.Entry{honest.stamped(t, i)}); err != nil {
			t.Fatal(err)
		}
	}
	older, err := l.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	honest.older = older
	honest.anchored(t, l)
	kept := l.Checkpoint()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	honest.slim(t)
	for _, x := range tamperings {
		f := *honest
		f.dir = filepath.Join(logs, x.name)
		if err := os.RemoveAll(f.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(f.dir, os.DirFS(honest.dir)); err != nil {
			t.Fatal(err)
		}
		x.tamper(t, &f)
	}
	for name, text := range map[string]string{"key": honest.policy.Key, "witness": honest.w.String(), "kept-checkpoint": string(kept)} {
		if err := os.WriteFile(filepath.Join(logs, name), []byte(strings.TrimSuffix(text, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The logs that come with the program: one is honest, and each of the others
// is rejected for the right reason.
func TestLogsInTestdata(t *testing.T) {
	if *writeLogs {
		makeLogs(t)
	}
	file := func(name string) string {
		b, err := os.ReadFile(filepath.Join(logs, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	p := verify.Policy{Key: strings.TrimSpace(file("key")), Witnesses: []string{strings.TrimSpace(file("witness"))}}
	for _, x := range tamperings {
		t.Run(x.name, func(t *testing.T) {
			p := p
			if x.name == "old-checkpoint" || x.name == "honest" {
				p.Older = []byte(file("kept-checkpoint"))
			}
			r, err := verify.Dir(t.Context(), filepath.Join(logs, x.name), p, nil)
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, f := range r.Findings {
				all = append(all, f.String())
			}
			if found := strings.Join(all, "\n"); r.OK() != (x.says == "") || !strings.Contains(found, x.says) {
				t.Errorf("%s\n%s\nwant %q", r.Verdict(), found, x.says)
			}
		})
	}
}
