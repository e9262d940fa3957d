package main

import (
	"bufio"
	"context"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/witness"
)

// A second party makes a key, runs the witness, and a log is cosigned by it.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "key")
	var out strings.Builder
	if err := run(t.Context(), []string{"-new-key", "witness.example/w1", "-key", keyFile}, &out); err != nil {
		t.Fatal(err)
	}
	public := strings.TrimSpace(out.String())
	signer, vkey, err := auditlog.NewKeyFile(filepath.Join(dir, "log-key"), "example.org/audit")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-key", keyFile, "-dir", filepath.Join(dir, "state"), "-log", vkey, "-addr", "127.0.0.1:0"}, w)
	}()
	lines := bufio.NewScanner(r)
	lines.Scan()
	if lines.Text() != public {
		t.Errorf("key %q, want %q", lines.Text(), public)
	}
	lines.Scan()
	c, err := witness.NewClient("http://"+strings.TrimPrefix(lines.Text(), "listening on "), public,
		witness.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := auditlog.Open(filepath.Join(dir, "log"), signer, auditlog.Options{
		SegmentSize: 256 << 10, Reserve: 1 << 20, Witnesses: []auditlog.Witness{c},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(ctx, auditlog.Event{Action: "a.b", Outcome: auditlog.Success}, auditlog.Witnessed); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	c.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-dir", t.TempDir()}, {"-dir", t.TempDir(), "-key", "/nonexistent"}, {"-frobnicate"}, {"-new-key", "a b", "-key", filepath.Join(t.TempDir(), "k")},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
