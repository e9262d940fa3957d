package ratelimit

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/ratelimit/upload"
)

// TestClamd scans with the real daemon: a clean body, the EICAR file, one
// beyond the daemon's own limit, and a daemon that hangs and one that is gone.
func TestClamd(t *testing.T) {
	daemon := servers.StartClamd(t)
	scanner, err := upload.Clamd("tcp", daemon.Addr, upload.ScannerOptions{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	log := new(auditlogtest.Recorder)
	gate, err := upload.New(scanner, log, upload.Options{MaxBytes: 4 << 20, Spool: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	h := gate.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	post := func(body []byte) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/documents", bytes.NewReader(body)))
		return w.Code
	}
	if r := gate.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("the probe: %v: %s", r.State, r.Observed)
	}
	for name, tc := range map[string]struct {
		body   []byte
		status int
	}{
		"clean":                        {[]byte("hello"), 200},
		"empty":                        {nil, 200},
		"several chunks":               {bytes.Repeat([]byte("0123456789abcdef"), 40_000), 200},
		"EICAR":                        {[]byte(servers.EICAR), 422},
		"EICAR at the end":             {append(bytes.Repeat([]byte{'x'}, 500_000), servers.EICAR...), 422},
		"larger than the daemon takes": {bytes.Repeat([]byte{'x'}, 3<<20), 503},
	} {
		if got := post(tc.body); got != tc.status {
			t.Errorf("%s: %d, want %d", name, got, tc.status)
		}
	}
	if e := log.Find("ratelimit.upload.quarantine"); len(e) != 2 || e[0].Outcome != auditlog.Denied {
		t.Errorf("%d events of infected uploads, want 2", len(e))
	} else if s, _ := auditlogtest.Attr(e[0], "signature"); !strings.HasPrefix(s, "Test.EICAR") {
		t.Errorf("signature %q", s)
	}
	hasty, err := upload.Clamd("tcp", daemon.Addr, upload.ScannerOptions{Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	daemon.Pause()
	if v, err := hasty.Scan(t.Context(), strings.NewReader("hello")); err == nil {
		t.Errorf("a daemon that hangs says %+v", v)
	}
	daemon.Resume()
	daemon.Kill()
	if _, err := gate.Check(t.Context(), strings.NewReader("hello")); !errors.Is(err, upload.ErrScanner) {
		t.Errorf("a daemon that is gone: %v", err)
	}
}
