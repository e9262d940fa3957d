package sink

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

func newLog(t *testing.T) *auditlog.Log {
	t.Helper()
	signer, _, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "key"), "example.org/audit")
	if err != nil {
		t.Fatal(err)
	}
	l, err := auditlog.Open(filepath.Join(t.TempDir(), "log"), signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func write(t *testing.T, l *auditlog.Log, n int) {
	t.Helper()
	for i := range n {
		err := l.Record(t.Context(), auditlog.Event{Action: "records.update", Outcome: auditlog.Outcome(1 + i%3), Attrs: []auditlog.Attr{auditlog.Int("i", i)}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A flaky sink keeps what it was sent and fails now and then, sometimes after
// it has taken the batch.
type flaky struct {
	mu   sync.Mutex
	got  []uint64
	n    int
	fail func(n int) (before, after bool)
}

func (*flaky) Name() string { return "flaky" }

func (f *flaky) Send(_ context.Context, batch []auditlog.Indexed) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	before, after := f.fail(f.n)
	if before {
		return errors.New("refused")
	}
	for _, e := range batch {
		f.got = append(f.got, e.Index)
	}
	if after {
		return errors.New("no answer")
	}
	return nil
}

func (f *flaky) last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.got) == 0 {
		return 0
	}
	return f.got[len(f.got)-1]
}

func forwarder(t *testing.T, l *auditlog.Log, s Sink, cursor string) *Forwarder {
	t.Helper()
	f, err := New(l, s, cursor, Options{Batch: 7})
	if err != nil {
		t.Fatal(err)
	}
	f.pause = func(int) time.Duration { return time.Millisecond }
	return f
}

// until runs a forwarder until a condition holds.
func until(t *testing.T, f *Forwarder, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- f.Run(ctx) }()
	for !done() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("it never came to that")
	}
	cancel()
	if err := <-result; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
}

// Every entry arrives at least once and in order, whatever fails and however
// often the forwarder begins anew.
func TestAtLeastOnceInOrder(t *testing.T) {
	l := newLog(t)
	s := &flaky{fail: func(n int) (bool, bool) { return n%3 == 0, n%5 == 0 }}
	cursor := filepath.Join(t.TempDir(), "cursor")
	var size uint64
	for range 4 {
		write(t, l, 30)
		size = l.Size()
		until(t, forwarder(t, l, s, cursor), func() bool { return s.last() >= size-1 })
	}
	seen := uint64(0)
	for i, index := range s.got {
		if index > seen {
			t.Fatalf("delivery %d is entry %d, and %d is missing", i, index, seen)
		}
		seen = max(seen, index+1)
	}
	if seen < size {
		t.Errorf("%d of %d entries arrived", seen, size)
	}
}

func TestControlTells(t *testing.T) {
	l := newLog(t)
	write(t, l, 3)
	down := true
	s := &flaky{fail: func(int) (bool, bool) { return down, false }}
	f := forwarder(t, l, s, filepath.Join(t.TempDir(), "cursor"))
	control := f.Controls()[0]
	if err := control.Validate(); err != nil {
		t.Error(err)
	}
	until(t, f, func() bool { return control.Run(t.Context()).State == controls.Fail })
	s.mu.Lock()
	down = false
	s.mu.Unlock()
	until(t, f, func() bool { return s.last() > 2 && control.Run(t.Context()).State == controls.Pass })
	f.note(5, time.Now().Add(-time.Hour), nil)
	if r := control.Run(t.Context()); r.State != controls.Fail {
		t.Errorf("an hour behind: %v", r)
	}
}

func TestBadSettings(t *testing.T) {
	l := newLog(t)
	cursor := filepath.Join(t.TempDir(), "cursor")
	if _, err := New(l, nil, cursor, Options{}); err == nil {
		t.Error("no sink")
	}
	if _, err := New(l, JSONLines("x"), cursor, Options{Batch: -1}); err == nil {
		t.Error("a negative batch")
	}
	if err := os.WriteFile(cursor, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(l, JSONLines("x"), cursor, Options{}); err == nil || !strings.Contains(err.Error(), cursor) {
		t.Errorf("a cursor that is no number: %v", err)
	}
	if _, err := NewWebhook("https://h.example", make([]byte, 31), HTTPOptions{}); err == nil {
		t.Error("a short key")
	}
	if _, err := NewWebhook("https://user:secret@h.example", make([]byte, 32), HTTPOptions{}); err == nil {
		t.Error("a URL with credentials")
	}
	if _, err := NewOTLP("https://h.example/v1/logs", "", HTTPOptions{}); err == nil {
		t.Error("no service name")
	}
	if _, err := NewOTLP("https://h.example:http/v1/logs", "s", HTTPOptions{}); err == nil {
		t.Error("a port that is no number")
	}
	if _, err := NewSyslog("nowhere", nil); err == nil {
		t.Error("an address without a port")
	}
}

func TestJSONLines(t *testing.T) {
	l := newLog(t)
	write(t, l, 20)
	path := filepath.Join(t.TempDir(), "out.jsonl")
	size := l.Size()
	until(t, forwarder(t, l, JSONLines(path), filepath.Join(t.TempDir(), "cursor")), func() bool {
		b, _ := os.ReadFile(path)
		return uint64(strings.Count(string(b), "\n")) >= size
	})
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		var v struct {
			Index int
			Entry json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Index != n {
			t.Fatalf("line %d: %s, %v", n, line, err)
		}
		if _, err := auditlog.ParseEntry(v.Entry); err != nil {
			t.Errorf("line %d: %v", n, err)
		}
		n++
	}
}

func TestWebhookIsSignedAndRetried(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	var mu sync.Mutex
	calls, last := 0, -1
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Surety-Signature"), "t="), ",")
		at, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || r.Header.Get("Surety-Signature") != sign(key, time.Unix(at, 0), body) || time.Since(time.Unix(at, 0)) > time.Minute {
			t.Errorf("signature %q", r.Header.Get("Surety-Signature"))
		}
		var first, end int
		if _, err := fmt.Sscanf(r.Header.Get("Idempotency-Key"), "%d-%d-", &first, &end); err != nil || first != last+1 {
			t.Errorf("key %q after %d: %v", r.Header.Get("Idempotency-Key"), last, err)
		}
		last = end
	}))
	defer srv.Close()
	hook, err := NewWebhook(srv.URL, key, HTTPOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	l := newLog(t)
	write(t, l, 30)
	until(t, forwarder(t, l, hook, filepath.Join(t.TempDir(), "cursor")), func() bool { mu.Lock(); defer mu.Unlock(); return last >= 30 })
	inside, err := NewWebhook(srv.URL, key, HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.At(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := inside.Send(t.Context(), []auditlog.Indexed{e}); err == nil {
		t.Error("an internal address was reached without leave")
	}
}

func TestSyslog(t *testing.T) {
	addr, conf, messages := syslogServer(t)
	s, err := NewSyslog(addr, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := newLog(t)
	write(t, l, 3)
	var got []string
	until(t, forwarder(t, l, s, filepath.Join(t.TempDir(), "cursor")), func() bool {
		select {
		case m := <-messages:
			got = append(got, m)
		default:
		}
		return len(got) >= 4
	})
	for i, m := range got[1:4] {
		parts := strings.SplitN(m, " ", 8)
		if len(parts) != 8 || parts[0] != fmt.Sprintf("<%d>1", 13*8+[]int{5, 4, 3}[i]) || parts[5] != "records.update" || parts[6] != "-" {
			t.Errorf("message %q", m)
			continue
		}
		if _, err := time.Parse(time.RFC3339Nano, parts[1]); err != nil {
			t.Error(err)
		}
		if _, err := auditlog.ParseEntry([]byte(strings.TrimPrefix(parts[7], "\ufeff"))); err != nil {
			t.Errorf("message %q: %v", m, err)
		}
	}
	plain, err := NewSyslog(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.At(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Send(t.Context(), []auditlog.Indexed{e}); err == nil {
		t.Error("a certificate of nobody's was trusted")
	}
}

// receive reads octet-counted messages (RFC 6587, section 3.4.1).
func receive(c net.Conn, to chan<- string) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		n, err := r.ReadString(' ')
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimSpace(n))
		if err != nil {
			return
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		to <- string(b)
	}
}
