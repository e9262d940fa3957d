package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog/verify"
)

// Any content of any file of a log: the check ends, and the log verifies only
// if its entries are the ones that were signed.
func FuzzDir(f *testing.F) {
	honest := os.DirFS(filepath.Join(logs, "honest"))
	dir := f.TempDir()
	if err := os.CopyFS(dir, honest); err != nil {
		f.Fatal(err)
	}
	var names []string
	content := make(map[string][]byte)
	for _, pattern := range []string{"checkpoint", "segments/*.seg", "tile/0/000.p/*", "tile/entries/000.p/*"} {
		list, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil || len(list) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		list = partialsLast(list)
		name := list[len(list)-1]
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		names, content[name] = append(names, name), b
		f.Add(uint8(len(names)-1), b)
		f.Add(uint8(len(names)-1), append(bytes.Clone(b), b...))
		f.Add(uint8(len(names)-1), b[:len(b)/2])
		f.Add(uint8(len(names)-1), append(bytes.Repeat([]byte{0xff}, 8), b...))
	}
	key, err := os.ReadFile(filepath.Join(logs, "key"))
	if err != nil {
		f.Fatal(err)
	}
	policy := verify.Policy{Key: strings.TrimSpace(string(key))}
	want, err := verify.Dir(f.Context(), dir, policy, nil)
	if err != nil || !want.OK() {
		f.Fatal(want.Findings, err)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		name := names[int(which)%len(names)]
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := verify.Dir(t.Context(), dir, policy, nil)
		if err == nil && r.OK() && (r.Root != want.Root || r.Entries != want.Entries) {
			t.Errorf("%s: another log verifies: %s", filepath.Base(name), r.Verdict())
		}
		if err == nil && r.OK() && strings.Contains(name, "tile") && !bytes.Equal(b, content[name]) {
			t.Errorf("%s was changed, and the log verifies", filepath.Base(name))
		}
		if err := os.WriteFile(name, content[name], 0o600); err != nil {
			t.Fatal(err)
		}
	})
}
