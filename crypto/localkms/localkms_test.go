package localkms

import (
	"bytes"
	"crypto/fips140"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
)

var pass = []byte("correct horse battery staple")

// refusedByFIPS checks the refusal of argon2id where a program has to keep to
// FIPS 140-3, and says whether it has to.
func refusedByFIPS(t *testing.T) bool {
	t.Helper()
	if !fips140.Enforced() {
		return false
	}
	if _, err := Passphrase(filepath.Join(t.TempDir(), "kek.json"), "", pass); !errors.Is(err, crypto.ErrFIPS) {
		t.Errorf("error %v, want ErrFIPS", err)
	}
	return true
}

func TestKeyFileConforms(t *testing.T) {
	kek, err := KeyFile(filepath.Join(t.TempDir(), "new", "kek.json"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cryptotest.TestKEK(t, kek)
}

func TestPassphraseConforms(t *testing.T) {
	if refusedByFIPS(t) {
		return
	}
	kek, err := Passphrase(filepath.Join(t.TempDir(), "kek.json"), t.TempDir(), pass)
	if err != nil {
		t.Fatal(err)
	}
	cryptotest.TestKEK(t, kek)
}

func wrapped(t *testing.T, k *KEK) []byte {
	t.Helper()
	w, err := k.Wrap(t.Context(), []byte("0123456789abcdef0123456789abcdef"), crypto.Binding{Tenant: "a", Purpose: "p"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheSameFileIsTheSameKey(t *testing.T) {
	for name, open := range map[string]func(path string) (*KEK, error){
		"key":        func(path string) (*KEK, error) { return KeyFile(path, "") },
		"passphrase": func(path string) (*KEK, error) { return Passphrase(path, "", pass) },
	} {
		if name == "passphrase" && refusedByFIPS(t) {
			continue
		}
		path := filepath.Join(t.TempDir(), "kek.json")
		a, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := open(path)
		if err != nil || a.ID() != b.ID() {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := b.Unwrap(t.Context(), wrapped(t, a), crypto.Binding{Tenant: "a", Purpose: "p"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		other, err := open(filepath.Join(t.TempDir(), "kek.json"))
		if err != nil || other.ID() == a.ID() {
			t.Errorf("%s: two files give one key, %v", name, err)
		}
	}
}

func TestWrongPassphraseChangesNothing(t *testing.T) {
	if refusedByFIPS(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "kek.json")
	if _, err := Passphrase(path, "", pass); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Passphrase(path, "", []byte("incorrect horse"))
	if !errors.Is(err, ErrPassphrase) || strings.Contains(err.Error(), "incorrect") || strings.ContainsAny(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if _, err := KeyFile(path, ""); !errors.Is(err, ErrFile) {
		t.Errorf("a passphrase's file as a key file: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
	if bytes.Contains(before, pass) {
		t.Error("the file holds the passphrase")
	}
}

func TestShortNewPassphrase(t *testing.T) {
	if refusedByFIPS(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "kek.json")
	if _, err := Passphrase(path, "", []byte("short")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was made")
	}
}

func TestNeverBesideTheData(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	if err := os.MkdirAll(filepath.Join(data, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(root, "kek.json")
	if err := os.Symlink(filepath.Join(data, "kek.json"), linked); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ path, data string }{
		{filepath.Join(data, "kek.json"), data},
		{filepath.Join(data, "sub", "kek.json"), data},
		{filepath.Join(data, "new", "kek.json"), data},
		{filepath.Join(data, "x", "..", "kek.json"), data},
		{filepath.Join(link, "kek.json"), data},
		{filepath.Join(data, "kek.json"), link},
		{filepath.Join(root, "kek2.json"), data}, // a backup of the parent takes both
		{filepath.Join(root, "not", "yet", "kek.json"), filepath.Join(root, "not", "yet")},
	} {
		if _, err := KeyFile(tc.path, tc.data); !errors.Is(err, ErrBesideData) {
			t.Errorf("%s beside %s: %v", tc.path, tc.data, err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "kek.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFile(linked, data); !errors.Is(err, ErrBesideData) {
		t.Errorf("a link into the data: %v", err)
	}
	if _, err := KeyFile(filepath.Join(root, "conf", "kek.json"), data); err != nil {
		t.Errorf("a folder of its own: %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	ok := `{"format":"surety-localkms-1","kind":"key","key":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) +
		`","check":"` + base64.StdEncoding.EncodeToString(check(make([]byte, 32))) + `"}`
	argon := func(params string) string {
		return `{"format":"surety-localkms-1","kind":"passphrase","check":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `","argon2id":{` + params + `}}`
	}
	for name, text := range map[string]string{
		"empty":        "",
		"cut":          ok[:40],
		"format":       strings.Replace(ok, "kms-1", "kms-2", 1),
		"kind":         strings.Replace(ok, `"kind":"key"`, `"kind":"x"`, 1),
		"damaged key":  strings.Replace(ok, `"key":"AA`, `"key":"BB`, 1),
		"short key":    strings.Replace(ok, `"key":"AAAA`, `"key":"`, 1),
		"twice":        strings.Replace(ok, `"kind"`, `"kind":"key","kind"`, 1),
		"unknown":      strings.Replace(ok, `"kind"`, `"x":1,"kind"`, 1),
		"huge memory":  argon(`"time":3,"memory_kib":4194304,"threads":4,"salt":"AAAAAAAAAAAAAAAAAAAAAA=="`),
		"weak":         argon(`"time":1,"memory_kib":8,"threads":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA=="`),
		"no salt":      argon(`"time":3,"memory_kib":65536,"threads":4,"salt":""`),
		"long":         ok + strings.Repeat(" ", maxFile),
		"passphrase's": argon(`"time":3,"memory_kib":65536,"threads":4,"salt":"AAAAAAAAAAAAAAAAAAAAAA=="`),
	} {
		path := filepath.Join(t.TempDir(), "kek.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := KeyFile(path, ""); !errors.Is(err, ErrFile) {
			t.Errorf("%s: KeyFile: %v", name, err)
		}
		if _, err := Passphrase(path, "", pass); err == nil {
			t.Errorf("%s: Passphrase accepted it", name)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s: the file was changed, %v", name, err)
		}
	}
}

func TestFileOpenToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek.json")
	if _, err := KeyFile(path, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFile(path, ""); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "640") {
		t.Errorf("error %v", err)
	}
	dir := t.TempDir()
	if _, err := KeyFile(dir, ""); !errors.Is(err, ErrFile) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := KeyFile("", ""); !errors.Is(err, ErrFile) {
		t.Errorf("no path: %v", err)
	}
}

// Two processes start for the first time at once: one key, for both.
func TestFirstUseRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf", "kek.json")
	var mu sync.Mutex
	ids := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			k, err := KeyFile(path, "")
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			mu.Lock()
			ids[k.ID()] = true
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("%d keys", len(ids))
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".kek-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDefaultPath(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "/conf")
	t.Setenv("HOME", "/home/x")
	if p, err := DefaultPath("records"); err != nil || !strings.HasSuffix(p, filepath.Join("surety", "records", "kek.json")) {
		t.Errorf("%s, %v", p, err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "../x"} {
		if p, err := DefaultPath(bad); err == nil {
			t.Errorf("%q gives %s", bad, p)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"format":"surety-localkms-1","kind":"key","key":"AA==","check":""}`))
	f.Add([]byte(`{"format":"surety-localkms-1","kind":"passphrase","argon2id":{"time":1,"memory_kib":19456,"threads":1,"salt":""},"check":""}`))
	path := filepath.Join(f.TempDir(), "kek.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read(path)
		if err == nil && got.validate() != nil {
			t.Error("an invalid file was read")
		}
	})
}
