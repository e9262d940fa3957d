package redact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/privacy/redact"
)

type address struct {
	Street string `sec:"pii,category=user.contact.address"`
	City   string
}

type person struct {
	ID     string
	Email  string `sec:"pii,category=user.contact.email"`
	Salary int64  `sec:"class=restricted"`
	Title  string `sec:"class=internal"`
	Home   address
	Note   string
	hidden string
}

// String would print everything; tags win over methods.
func (p person) String() string { return p.Email + p.hidden }

type broken struct {
	Email string `sec:"pii,encrpyt"`
}

type stringer struct{}

func (stringer) String() string { return "for ann@example.com" }

func logged(t *testing.T, f func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	r := newRedactor(t, redact.Options{})
	f(slog.New(r.Handler(slog.NewJSONHandler(&out, nil))))
	if !json.Valid(out.Bytes()) {
		t.Errorf("no JSON: %s", out.String())
	}
	return out.String()
}

func TestHandler(t *testing.T) {
	ann := person{ID: "u-1", Email: "ann@example.com", Salary: 51234, Title: "Dr", Home: address{Street: "Main St 1", City: "Ulm"}, Note: "call +49 30 123456", hidden: "x"}
	out := logged(t, func(l *slog.Logger) {
		l = l.With("who", "ann@example.com").WithGroup("g").With("card", 4111111111111111)
		l.Info("reset for ann@example.com", "person", ann, "pointer", &ann, "list", []person{ann}, "map", map[string]any{"ann@example.com": ann},
			"err", errors.New("no route to 192.0.2.7"), "stringer", stringer{}, "password", "hunter2", "phone", "030 123456",
			slog.Group("in", "ssn", "536-90-4399"), "broken", broken{"ann@example.com"}, "raw", json.RawMessage(`{"pan":4111111111111111}`),
			"bytes", []byte("a@b.cc"), "nothing", nil, "count", 1234567)
	})
	for _, secret := range []string{"ann@", "51234", "Main St", "123456\"", "192.0.2.7", "hunter2", "536-90", "4111", "a@b"} {
		if strings.Contains(out, secret) {
			t.Errorf("%q shows: %s", secret, out)
		}
	}
	for _, kept := range []string{`"ID":"u-1"`, "[user.contact.email]", "[restricted]", `"Title":"Dr"`, `"City":"Ulm"`, "1234567", "[withheld]"} {
		if !strings.Contains(out, kept) {
			t.Errorf("%q is missing: %s", kept, out)
		}
	}
}

func TestRecorderRedactsPlainText(t *testing.T) {
	var rec auditlogtest.Recorder
	var keys auditlogtest.Keys
	sealing, err := auditlog.Sealing(&rec, &keys)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRedactor(t, redact.Options{}).Recorder(sealing)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Record(t.Context(), auditlog.Event{
		Action: "mail.send", Outcome: auditlog.Success, Tenant: "acme", Reason: "asked by ann@example.com",
		Targets: []auditlog.Target{{Type: "mailbox", ID: "ann@example.com"}},
		Attrs:   []auditlog.Attr{auditlog.String("to", "ann@example.com"), auditlog.Int("n", 3), auditlog.Personal("u-1", "mail", "ann@example.com")},
	})
	if err != nil {
		t.Fatal(err)
	}
	rec.WantWithout(t, "ann@example.com")
	e := rec.Want(t, "mail.send", auditlog.Success)
	if n, _ := auditlogtest.Attr(e, "n"); n != "3" {
		t.Errorf("n = %q", n)
	}
	if v, err := auditlog.OpenAttr(t.Context(), &keys, &e, e.Attrs[2]); err != nil || v != "ann@example.com" {
		t.Errorf("the sealed value: %q, %v", v, err)
	}
	if _, err := newRedactor(t, redact.Options{}).Recorder(nil); err == nil {
		t.Error("a recorder without a recorder was made")
	}
}

func TestRequest(t *testing.T) {
	req := httptest.NewRequest(http.MethodGet, "/users/ann@example.com?mail=ann%40example.com&token=t0k3n&x=1", nil)
	req.Header.Set("Authorization", "Bearer abcdefghijklmnop")
	req.Header.Set("Referer", "https://example.com/?card=4111111111111111")
	out := newRedactor(t, redact.Options{}).Request(req).String()
	for _, secret := range []string{"ann", "t0k3n", "abcdefgh", "4111"} {
		if strings.Contains(out, secret) {
			t.Errorf("%q shows: %s", secret, out)
		}
	}
	if !strings.Contains(out, "x=1") {
		t.Error(out)
	}
}

func TestMiddleware(t *testing.T) {
	r := newRedactor(t, redact.Options{})
	get := func(h http.HandlerFunc) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		r.Middleware(h).ServeHTTP(w, req)
		return w
	}
	w := get(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Accept-Encoding") != "" {
			t.Error("the handler may compress")
		}
		w.Header().Set("Content-Length", "99")
		for _, part := range []string{"mail ann@exam", "ple.com\n", "tail 4111 1111 ", "1111 1111"} { // cut across writes
			write(t, w, part)
			w.(http.Flusher).Flush()
		}
	})
	if got := w.Body.String(); got != "mail [email]\ntail [card]" || w.Header().Get("Content-Length") != "" {
		t.Errorf("%q, %v", got, w.Header())
	}
	w = get(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		write(t, w, "ann@example.com")
	})
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "ann") {
		t.Errorf("compressed: %d %q", w.Code, w.Body)
	}
	w = get(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		write(t, w, "a@b.cc")
	})
	if w.Body.String() != "a@b.cc" {
		t.Errorf("an image was changed: %q", w.Body)
	}
}

func TestWriterBoundsALine(t *testing.T) {
	var out bytes.Buffer
	w := newRedactor(t, redact.Options{}).Writer(&out)
	long := strings.Repeat("x ", 40<<10)
	if _, err := io.WriteString(w, long); err != nil || out.Len() == 0 {
		t.Errorf("a line of %d bytes is held back: %d, %v", len(long), out.Len(), err)
	}
	write(t, w, "a@b.cc")
	if err := w.Close(); err != nil || !strings.HasSuffix(out.String(), "[email]") {
		t.Errorf("%v, %q", err, out.String()[out.Len()-10:])
	}
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Error(err)
	}
}
