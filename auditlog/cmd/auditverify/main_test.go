package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
)

// command runs auditverify.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestExitCodes(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "log")
	signer, key, err := auditlog.NewKeyFile(filepath.Join(root, "key"), "example.org/audit")
	if err != nil {
		t.Fatal(err)
	}
	l, err := auditlog.Open(dir, signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Append(t.Context(), auditlog.Event{Action: "a.b", Outcome: auditlog.Success}, auditlog.Published)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := l.Proof(t.Context(), r.Index)
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.At(r.Index)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := e.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	var export bytes.Buffer
	if _, err := l.Export(t.Context(), &export, auditlog.Query{}, auditlog.JSONLines()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := func(name string, b []byte) string {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keyFile, proofFile := file("vkey", []byte(key+"\n")), file("proof", proof)
	good, bad := file("entry", append(entry, '\n')), file("bad", []byte("{}"))
	exported := file("export.jsonl", export.Bytes())
	changed := file("changed.jsonl", bytes.Replace(export.Bytes(), []byte(`"a.b"`), []byte(`"a.c"`), 1))
	checkpoint := filepath.Join(dir, "checkpoint")
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"verified":      {[]string{"-key", key, dir}, 0, "entries verified"},
		"key file":      {[]string{"-quiet", "-key", "@" + keyFile, "-older", checkpoint, dir}, 0, "entries verified"},
		"proof":         {[]string{"-key", key, "-proof", proofFile, good}, 0, "index 1"},
		"export":        {[]string{"-key", key, exported}, 0, "entries verified"},
		"bad export":    {[]string{"-key", key, changed}, 1, "NOT VERIFIED"},
		"no export":     {[]string{"-key", key, good}, 1, "NOT VERIFIED"},
		"older export":  {[]string{"-key", key, "-older", checkpoint, exported}, 2, "-older"},
		"wrong entry":   {[]string{"-key", key, "-proof", proofFile, bad}, 1, "NOT VERIFIED"},
		"wrong key":     {[]string{"-key", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", dir}, 1, "NOT VERIFIED"},
		"no key":        {[]string{dir}, 2, "-key"},
		"bad key":       {[]string{"-key", "x", dir}, 2, "Key"},
		"bad proof key": {[]string{"-key", "x", "-proof", proofFile, good}, 2, "Key"},
		"no directory":  {[]string{"-key", key, filepath.Join(root, "none")}, 2, "checkpoint"},
		"no entry":      {[]string{"-key", key, "-proof", proofFile, filepath.Join(root, "none")}, 2, "none"},
		"no key file":   {[]string{"-key", "@" + filepath.Join(root, "none"), dir}, 2, "none"},
		"no older":      {[]string{"-key", key, "-older", filepath.Join(root, "none"), dir}, 2, "none"},
		"no witness":    {[]string{"-key", key, "-witness", "x", dir}, 2, "Witnesses"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := command(t, tc.args...)
			if code != tc.code || !strings.Contains(out+errs, tc.says) {
				t.Errorf("exit %d, want %d\n%s%s", code, tc.code, out, errs)
			}
		})
	}
}

// The logs that come with the program: one is honest.
func TestLogsThatComeWithIt(t *testing.T) {
	const logs = "../../verify/testdata/logs"
	list, err := os.ReadDir(logs)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range list {
		if !d.IsDir() {
			continue
		}
		n++
		args := []string{"-quiet", "-key", "@" + logs + "/key", "-witness", "@" + logs + "/witness", "-older", logs + "/kept-checkpoint"}
		want := notVerified
		if d.Name() == "honest" {
			want = verified
		}
		if code, out, errs := command(t, append(args, filepath.Join(logs, d.Name()))...); code != want {
			t.Errorf("%s: exit %d, want %d\n%s%s", d.Name(), code, want, out, errs)
		}
	}
	if n < 10 {
		t.Errorf("%d logs", n)
	}
}
