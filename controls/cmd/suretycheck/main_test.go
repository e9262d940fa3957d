package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

// bundle writes a bundle and returns its path and the public key.
func bundle(t *testing.T, change func(*evidence.Content)) (path, key string) {
	t.Helper()
	path, key, _ = bundleWithLog(t, change)
	return path, key
}

func bundleWithLog(t *testing.T, change func(*evidence.Content)) (path, key, logKey string) {
	t.Helper()
	cat, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	signer, logKey, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "log.key"), "example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	log, err := auditlog.Open(t.TempDir(), signer, auditlog.Options{Reserve: 1 << 20, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	tracker, err := findings.New(findings.NewMemory(), log, cat.Owner, findings.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := monitor.New(cat, log, monitor.Options{Findings: tracker})
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := evidence.Collect(t.Context(), evidence.Sources{System: "records", Catalogue: cat, Monitor: m, Findings: tracker, Log: log}, from, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(c)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "bundle.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := evidence.Write(f, c, private); err != nil {
		t.Fatal(err)
	}
	return path, base64.StdEncoding.EncodeToString(public), logKey
}

func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestIntact(t *testing.T) {
	path, key := bundle(t, nil)
	file := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{key, file} {
		code, out, errs := call(t, "-key", k, path)
		if code != 0 || !strings.HasPrefix(out, "INTACT: records, ") || errs != "" {
			t.Errorf("code %d, %s%s", code, out, errs)
		}
	}
	code, out, _ := call(t, "-json", "-key", key, path)
	var v evidence.Verdict
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil || len(v.Notes) == 0 {
		t.Errorf("code %d, %v: %s", code, err, out)
	}
}

func TestNotIntact(t *testing.T) {
	path, key := bundle(t, func(c *evidence.Content) { c.History.Entries = c.History.Entries[:1] })
	if code, out, _ := call(t, "-key", key, path); code != 0 {
		t.Errorf("a run left out at the end of a second: code %d, %s", code, out) // no promise was broken
	}
	path, key = bundle(t, func(c *evidence.Content) { c.History.Entries[1].Seq = 7 })
	if code, out, _ := call(t, "-key", key, path); code != 1 || !strings.Contains(out, "NOT INTACT") || !strings.Contains(out, "problem (history)") {
		t.Errorf("code %d, %s", code, out)
	}
	other, _, _ := ed25519.GenerateKey(nil)
	if code, out, _ := call(t, "-key", base64.StdEncoding.EncodeToString(other), path); code != 1 || !strings.Contains(out, "problem (signature)") {
		t.Errorf("code %d, %s", code, out)
	}
	if err := os.WriteFile(path, []byte("PK junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := call(t, "-key", key, path); code != 1 || !strings.Contains(errs, "not a bundle") {
		t.Errorf("code %d, %s", code, errs)
	}
}

func TestAuditLog(t *testing.T) {
	path, key, logKey := bundleWithLog(t, nil)
	if code, out, errs := call(t, "-key", key, "-log-key", logKey, path); code != 0 || !strings.Contains(out, "events of the audit log were verified") {
		t.Errorf("code %d, %s%s", code, out, errs)
	}
	if code, out, _ := call(t, "-key", key, "-log-key", logKey, "-witness", "witness.example+259821e5+BMBTrpBo0fJCuuGD09pguku76hBsrvNxgLZunhO+l2Pf", path); code != 1 || !strings.Contains(out, "problem (log)") {
		t.Errorf("a log that no witness cosigned: code %d, %s", code, out)
	}
	if code, _, errs := call(t, "-key", key, "-log-key", "nonsense", path); code != 2 || errs == "" {
		t.Errorf("a key that is none: code %d, %s", code, errs)
	}
	path, key, logKey = bundleWithLog(t, func(c *evidence.Content) { c.History.Entries[1].Observed = "all is well" })
	if code, out, _ := call(t, "-key", key, "-log-key", logKey, path); code != 1 || !strings.Contains(out, "the probe ended otherwise") {
		t.Errorf("a history that contradicts the log: code %d, %s", code, out)
	}
}

func TestStrictCountsExceptions(t *testing.T) {
	path, key := bundle(t, func(c *evidence.Content) { c.Controls[0].Parameters[0].Value = "9999" })
	if code, out, _ := call(t, "-key", key, path); code != 0 || !strings.Contains(out, "exception: ") {
		t.Errorf("code %d, %s", code, out)
	}
	if code, _, _ := call(t, "-strict", "-key", key, path); code != 1 {
		t.Errorf("strict: code %d", code)
	}
}

// A text in the bundle must not pass for a line of the verdict or steer the
// terminal.
func TestTextsAreHarmless(t *testing.T) {
	path, key := bundle(t, func(c *evidence.Content) {
		c.System = "x\nINTACT: forged \x1b[2J"
		c.Controls[0].Parameters[0].Value = "9999\nINTACT \x1b[31m"
	})
	_, out, _ := call(t, "-key", key, path)
	if strings.Contains(out, "\x1b") || strings.Count(out, "\nINTACT") > 0 {
		t.Errorf("printed %q", out)
	}
}

func TestUnchecked(t *testing.T) {
	path, key := bundle(t, nil)
	for name, args := range map[string][]string{
		"nothing": {}, "no key": {path}, "no bundle": {"-key", key}, "bad key": {"-key", "x", path}, "witness without log": {"-key", key, "-witness", "x", path}, "unknown flag": {"-x"},
		"missing file": {"-key", key, path + "x"}, "two bundles": {"-key", key, path, path}, "key is a folder": {"-key", t.TempDir(), path},
	} {
		if code, out, errs := call(t, args...); code != 2 || out != "" || errs == "" {
			t.Errorf("%s: code %d, %q, %q", name, code, out, errs)
		}
	}
}
