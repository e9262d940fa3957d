package sink

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// secret stands in headers, keys and answers, and must be in no error.
const secret = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"

// A receiver keeps the indexes of the entries it took, in the order in which
// they came.
type receiver struct {
	mu  sync.Mutex
	got []uint64
}

func (r *receiver) take(indexes ...uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, indexes...)
}

func (r *receiver) has(index uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.got {
		if i == index {
			return true
		}
	}
	return false
}

// httpReceiver refuses every third request, cuts the connection after taking
// every fifth, and answers others with what answer says.
func httpReceiver(t *testing.T, r *receiver, read func([]byte) []uint64, answer string) string {
	t.Helper()
	var mu sync.Mutex
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		calls++
		n := calls
		mu.Unlock()
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if n%3 == 0 {
			http.Error(w, secret, http.StatusServiceUnavailable)
			return
		}
		r.take(read(body)...)
		if n%5 == 0 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, answer) // the client may be gone
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// indexes finds the indexes of entries in what was sent.
func indexes(pattern string) func([]byte) []uint64 {
	re := regexp.MustCompile(pattern)
	return func(b []byte) (list []uint64) {
		for _, m := range re.FindAllSubmatch(b, -1) {
			if n, err := strconv.ParseUint(string(m[1]), 10, 64); err == nil {
				list = append(list, n)
			}
		}
		return list
	}
}

func unzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Error(err)
		return nil
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return plain
}

// sinks makes each sink with a receiver that misbehaves.
var sinks = map[string]func(t *testing.T, r *receiver) Sink{
	"jsonl": func(t *testing.T, r *receiver) Sink {
		path := filepath.Join(t.TempDir(), "out.jsonl")
		return sending(JSONLines(path), func() {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = indexes(`(?m)^{"index":(\d+),`)(b)
		})
	},
	"webhook": func(t *testing.T, r *receiver) Sink {
		url := httpReceiver(t, r, indexes(`(?m)^{"index":(\d+),`), "")
		s, err := NewWebhook(url, []byte(secret), HTTPOptions{Allow: loopback, AllowHTTP: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	},
	"otlp": func(t *testing.T, r *receiver) Sink {
		read := indexes(`"audit.index","value":{"intValue":"(\d+)"}`)
		url := httpReceiver(t, r, func(b []byte) []uint64 { return read(unzip(t, b)) }, `{"partialSuccess":{}}`)
		s, err := NewOTLP(url+"/v1/logs", "records", HTTPOptions{Allow: loopback, AllowHTTP: true, Header: http.Header{"Authorization": {"Bearer " + secret}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	},
	"syslog": func(t *testing.T, r *receiver) Sink {
		addr, conf := syslogReceiver(t, r)
		s, err := NewSyslog(addr, conf)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	},
}

// sent calls a function after each batch.
type sent struct {
	Sink
	after func()
}

func sending(s Sink, after func()) Sink { return sent{s, after} }

func (s sent) Send(ctx context.Context, batch []auditlog.Indexed) error {
	defer s.after()
	return s.Sink.Send(ctx, batch)
}

func syslogReceiver(t *testing.T, r *receiver) (addr string, conf *tls.Config) {
	t.Helper()
	addr, conf, messages := syslogServer(t)
	go func() {
		for m := range messages {
			r.take(indexes(`surety (\d+) `)([]byte(m))...)
		}
	}()
	return addr, conf
}

// syslogServer takes messages over TLS.
func syslogServer(t *testing.T) (addr string, conf *tls.Config, messages <-chan string) {
	t.Helper()
	ts := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(ts.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	came := make(chan string, 100)
	go func() {
		for {
			c, err := tls.NewListener(ln, &tls.Config{Certificates: ts.TLS.Certificates, MinVersion: tls.VersionTLS12}).Accept()
			if err != nil {
				return
			}
			go receive(c, came)
		}
	}()
	conf = ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.ServerName = "example.com"
	return ln.Addr().String(), conf, came
}

// faulty fails before or after a real sink was called, as when the process
// ends between sending and moving the cursor.
type faulty struct {
	Sink
	n int
}

func (f *faulty) Send(ctx context.Context, batch []auditlog.Indexed) error {
	f.n++
	if f.n%4 == 0 {
		return errors.New("fault before")
	}
	err := f.Sink.Send(ctx, batch)
	if f.n%7 == 0 {
		return errors.Join(err, errors.New("fault after"))
	}
	return err
}

// Every sink delivers each entry at least once, and none before those it
// follows, whatever the receiver does and however often forwarding begins
// anew; and no error tells what is secret.
func TestEverySinkLosesNothing(t *testing.T) {
	for name, makeSink := range sinks {
		t.Run(name, func(t *testing.T) {
			l, r, cursor := newLog(t), new(receiver), filepath.Join(t.TempDir(), "cursor")
			s := &faulty{Sink: makeSink(t, r)}
			for range 3 {
				write(t, l, 40)
				f := forwarder(t, l, s, cursor)
				last := l.Size() - 1
				until(t, f, func() bool {
					if res := f.Controls()[0].Run(t.Context()); strings.Contains(res.Observed, secret) {
						t.Fatalf("the control tells a secret: %s", res.Observed)
					}
					return r.has(last)
				})
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			seen := uint64(0)
			for i, index := range r.got {
				if index > seen {
					t.Fatalf("delivery %d is entry %d, and %d is missing", i, index, seen)
				}
				seen = max(seen, index+1)
			}
			if size := l.Size(); seen < size-3 { // each reading is an event that may be too late
				t.Errorf("%d of %d entries arrived", seen, size)
			}
		})
	}
}

// What a receiver rejects is never sent again, and never forgotten.
func TestARejectedPartFailsTheControl(t *testing.T) {
	r := new(receiver)
	url := httpReceiver(t, r, func([]byte) []uint64 { return []uint64{0} }, `{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"`+secret+`"}}`)
	s, err := NewOTLP(url, "records", HTTPOptions{Allow: loopback, AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := newLog(t)
	write(t, l, 3)
	f := forwarder(t, l, s, filepath.Join(t.TempDir(), "cursor"))
	until(t, f, func() bool { return s.Rejected() > 0 })
	res := f.Controls()[0].Run(t.Context())
	if res.State != controls.Fail || !strings.Contains(res.Observed, "rejected 2 entries") || strings.Contains(res.Observed, secret) {
		t.Errorf("%v: %s", res.State, res.Observed)
	}
}

func TestOTLPRecords(t *testing.T) {
	l := newLog(t)
	write(t, l, 3)
	s, err := NewOTLP("https://otel.example:4318/v1/logs", "records", HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := l.At(2)
	if err != nil {
		t.Fatal(err)
	}
	e.Trace, e.Span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	b, err := s.encode([]auditlog.Indexed{e}, time.Unix(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	var request otlpRequest
	if err := json.Unmarshal(unzip(t, b), &request); err != nil {
		t.Fatal(err)
	}
	logs := request.ResourceLogs[0]
	if *logs.Resource.Attributes[0].Value.String != "records" || len(logs.ScopeLogs[0].LogRecords) != 1 {
		t.Fatalf("%+v", logs)
	}
	got := logs.ScopeLogs[0].LogRecords[0]
	if got.Time != strconv.FormatInt(e.Time.UnixNano(), 10) || got.Observed != "1000000002" || got.Severity != 13 || got.EventName != "records.update" || got.TraceID != e.Trace || got.SpanID != e.Span {
		t.Errorf("%+v", got)
	}
	if back, err := auditlog.ParseEntry([]byte(*got.Body.String)); err != nil || back.ID != e.ID {
		t.Errorf("the body is not the entry: %v", err)
	}
}

// A receiver says when to come again; it can't make us wait for ever.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "99999999999": 0,
		"Sun, 01 Nov 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("%q: %s, want %s", v, got, want)
		}
	}
}
