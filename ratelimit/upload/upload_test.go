package upload

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
)

// The daemon itself is tried in internal/integration/ratelimit. Here scanners
// do what they are told to, well or badly.
type scanner func(ctx context.Context, r io.Reader) (Verdict, error)

func (s scanner) Scan(ctx context.Context, r io.Reader) (Verdict, error) { return s(ctx, r) }

// search finds the EICAR file.
func search(_ context.Context, r io.Reader) (Verdict, error) {
	b, err := io.ReadAll(r)
	return Verdict{Infected: bytes.Contains(b, []byte(eicar)), Signature: "Eicar"}, err
}

type place struct {
	*Gate
	log               *auditlogtest.Recorder
	spool, quarantine string
}

func gate(t *testing.T, s Scanner, o Options) place {
	t.Helper()
	p := place{log: new(auditlogtest.Recorder), spool: t.TempDir(), quarantine: t.TempDir()}
	o.Spool, o.Quarantine = p.spool, p.quarantine
	var err error
	if p.Gate, err = New(s, p.log, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := files(t, p.spool); len(left) > 0 {
			t.Errorf("files were left behind: %q", left)
		}
	})
	return p
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestClean(t *testing.T) {
	g := gate(t, scanner(search), Options{Types: []string{"application/pdf"}})
	const text = "%PDF-1.7 a document"
	f, err := g.Check(t.Context(), iotest.OneByteReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err != nil || string(got) != text || f.Size != int64(len(text)) || f.Type != "application/pdf" || f.SHA256 != sha256.Sum256([]byte(text)) {
		t.Errorf("%q, %+v, %v", got, f, err)
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v, %v", info.Mode(), err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestInfected(t *testing.T) {
	g := gate(t, scanner(search), Options{})
	if _, err := g.Check(t.Context(), strings.NewReader("MZ"+eicar)); !errors.Is(err, ErrInfected) {
		t.Fatalf("%v", err)
	}
	kept := files(t, g.quarantine)
	e := g.log.Want(t, "ratelimit.upload.quarantine", auditlog.Denied)
	name, _ := auditlogtest.Attr(e, "quarantined_as")
	if len(kept) != 1 || kept[0] != name {
		t.Fatalf("quarantine has %q, the event says %q", kept, name)
	}
	content, err := os.ReadFile(filepath.Join(g.quarantine, name))
	if err != nil || string(content) != "MZ"+eicar {
		t.Errorf("%q, %v", content, err)
	}
	if s, _ := auditlogtest.Attr(e, "signature"); s != "Eicar" {
		t.Errorf("signature %q", s)
	}
}

// An event that can't be stored refuses the upload all the same.
func TestInfectedAndNoLog(t *testing.T) {
	g := gate(t, scanner(search), Options{})
	g.log.FailWith(errors.New("disk full"))
	if f, err := g.Check(t.Context(), strings.NewReader(eicar)); f != nil || !errors.Is(err, ErrInfected) || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("%v, %v", f, err)
	}
}

// TestFailsClosed: whatever is wrong with the scanner, nothing is let in.
func TestFailsClosed(t *testing.T) {
	for name, s := range map[string]scanner{
		"refuses":           func(context.Context, io.Reader) (Verdict, error) { return Verdict{}, errors.New("no route") },
		"says clean unread": func(context.Context, io.Reader) (Verdict, error) { return Verdict{}, nil },
		"says clean too soon": func(_ context.Context, r io.Reader) (Verdict, error) {
			_, err := r.Read(make([]byte, 3))
			return Verdict{}, err
		},
		"clean and an error": func(_ context.Context, r io.Reader) (Verdict, error) {
			_, _ = io.Copy(io.Discard, r)
			return Verdict{}, io.ErrUnexpectedEOF
		},
	} {
		g := gate(t, s, Options{})
		if f, err := g.Check(t.Context(), strings.NewReader("hello")); f != nil || !errors.Is(err, ErrScanner) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	broken := gate(t, scanner(search), Options{})
	if f, err := broken.Check(t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))); f != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a sender that broke off: %v, %v", f, err)
	}
	unwritable, err := New(scanner(search), new(auditlogtest.Recorder), Options{Spool: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	unwritable.o.Spool = filepath.Join(unwritable.o.Spool, "gone")
	if f, err := unwritable.Check(t.Context(), strings.NewReader("x")); f != nil || err == nil {
		t.Errorf("no place to spool: %v, %v", f, err)
	}
}

func TestSizesAndKinds(t *testing.T) {
	g := gate(t, scanner(search), Options{MaxBytes: 10, Types: []string{"text/plain"}})
	for text, want := range map[string]error{
		"":            nil,
		"0123456789":  nil,
		"0123456789a": ErrTooLarge,
		"<html>":      ErrType,
		"GIF89a":      ErrType,
		"\x00\x01":    ErrType,
	} {
		f, err := g.Check(t.Context(), strings.NewReader(text))
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
		if f != nil {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// form is a request with a form of a field and files.
func form(t *testing.T, contents ...string) *http.Request {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.WriteField("title", "<html>a title"); err != nil {
		t.Fatal(err)
	}
	for i, c := range contents {
		part, err := w.CreateFormFile("file", fmt.Sprintf("../%d.txt", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/documents", &b)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

func raw(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "/documents/1", strings.NewReader(body))
	r.Header.Set("Content-Type", "text/plain")
	return r
}

func TestMiddleware(t *testing.T) {
	// Base64 hides a file from a scanner that does not understand forms. This
	// one finds a file only if it begins with it, as hash lists do.
	whole := scanner(func(_ context.Context, r io.Reader) (Verdict, error) {
		b, err := io.ReadAll(r)
		return Verdict{Infected: string(b) == eicar, Signature: "Eicar"}, err
	})
	broken := httptest.NewRequest(http.MethodPost, "/documents", strings.NewReader("--x\r\nnothing"))
	broken.Header.Set("Content-Type", `multipart/form-data; boundary=x`)
	none := httptest.NewRequest(http.MethodPost, "/documents", strings.NewReader("x"))
	none.Header.Set("Content-Type", `multipart/form-data`)
	for name, tc := range map[string]struct {
		r      *http.Request
		status int
	}{
		"two files":          {form(t, "one", "two"), 200},
		"the second is bad":  {form(t, "one", eicar), 422},
		"a kind not let in":  {form(t, "one", "GIF89a"), 415},
		"body":               {raw("hello"), 200},
		"bad body":           {raw(eicar), 422},
		"body too large":     {raw(strings.Repeat("x", 2000)), 413},
		"form too large":     {form(t, strings.Repeat("x", 2000)), 413},
		"broken form":        {broken, 400},
		"form without a key": {none, 400},
		"no body":            {httptest.NewRequest(http.MethodGet, "/documents", nil), 200},
	} {
		g := gate(t, whole, Options{MaxBytes: 1000, Types: []string{"text/plain"}})
		reached := false
		h := g.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reached = true
			if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
				if err := r.ParseMultipartForm(100); err != nil || len(r.MultipartForm.File["file"]) != 2 || r.FormValue("title") != "<html>a title" {
					t.Errorf("%s: the handler can't read the form: %v", name, err)
				}
				return
			}
			if b, err := io.ReadAll(r.Body); err != nil || r.Body != http.NoBody && (string(b) != "hello" || r.ContentLength != 5) {
				t.Errorf("%s: the handler reads %q, %v", name, b, err)
			}
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, tc.r)
		if w.Code != tc.status || reached != (tc.status == 200) {
			t.Errorf("%s: %d, want %d; reached %v", name, w.Code, tc.status, reached)
		}
		if strings.Contains(w.Body.String(), "Eicar") {
			t.Errorf("%s: the answer tells what the scanner knows: %s", name, w.Body)
		}
		if len(files(t, g.quarantine)) != map[bool]int{true: 1}[tc.status == 422] {
			t.Errorf("%s: quarantine has %q", name, files(t, g.quarantine))
		}
	}
}

func TestScannerDown(t *testing.T) {
	g := gate(t, scanner(func(context.Context, io.Reader) (Verdict, error) {
		return Verdict{}, errors.New("dial tcp 10.1.2.3:3310")
	}), Options{})
	h := g.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, raw("hello"))
	if w.Code != 503 || strings.Contains(w.Body.String(), "10.1.2.3") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	g.log.Want(t, "ratelimit.upload.scan", auditlog.Failed)
	if r := g.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("the probe says %v: %s", r.State, r.Observed)
	}
}

func TestProbe(t *testing.T) {
	if r := gate(t, scanner(search), Options{}).Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%v: %s", r.State, r.Observed)
	}
	for name, s := range map[string]scanner{
		"finds nothing": func(_ context.Context, r io.Reader) (Verdict, error) {
			_, err := io.Copy(io.Discard, r)
			return Verdict{}, err
		},
		"finds everything": func(_ context.Context, r io.Reader) (Verdict, error) {
			_, err := io.Copy(io.Discard, r)
			return Verdict{Infected: true}, err
		},
	} {
		if r := gate(t, s, Options{}).Controls()[0].Run(t.Context()); r.State != controls.Fail {
			t.Errorf("a scanner that %s: %v: %s", name, r.State, r.Observed)
		}
	}
}

func TestBadInput(t *testing.T) {
	rec, dir := new(auditlogtest.Recorder), t.TempDir()
	for says, o := range map[string]Options{
		"MaxBytes":   {MaxBytes: -1},
		"Types":      {Types: []string{"text/plain; charset=utf-8"}},
		"\"pdf\"":    {Types: []string{"pdf"}},
		"Spool":      {Spool: filepath.Join(dir, "gone")},
		"Quarantine": {Quarantine: filepath.Join(dir, "gone")},
	} {
		if _, err := New(scanner(search), rec, o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := New(nil, rec, Options{}); err == nil {
		t.Error("a gate without a scanner was made")
	}
	for says, make := range map[string]func() (Scanner, error){
		"network": func() (Scanner, error) { return Clamd("udp", "x", ScannerOptions{}) },
		"address": func() (Scanner, error) { return Clamd("tcp", "", ScannerOptions{}) },
		"Timeout": func() (Scanner, error) { return Clamd("tcp", "x", ScannerOptions{Timeout: 1}) },
		"icap://": func() (Scanner, error) { return ICAP("http://x/y", ScannerOptions{}) },
		"credent": func() (Scanner, error) { return ICAP("icap://u:p@x/y", ScannerOptions{}) },
	} {
		if _, err := make(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestClamdVerdicts(t *testing.T) {
	for reply, want := range map[string]string{
		"stream: OK": "clean", "stream: Eicar FOUND": "Eicar", "stream: OK FOUND": "OK",
		"INSTREAM size limit exceeded. ERROR": "", "": "", "stream: ok": "", "UNKNOWN COMMAND": "", "stream: OK\n": "",
	} {
		v, err := clamdVerdict(reply)
		got := v.Signature
		if err == nil && !v.Infected {
			got = "clean"
		}
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %+v, %v", reply, v, err)
		}
	}
}

func TestICAPVerdicts(t *testing.T) {
	for reply, want := range map[string]string{
		"ICAP/1.0 204 No Content\r\nISTag: \"x\"\r\n\r\n":                                               "clean",
		"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n\r\n":             "Eicar",
		"ICAP/1.0 200 OK\r\nX-Virus-ID: Eicar\r\n\r\n":                                                  "Eicar",
		"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=30\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n": "refused by the service",
		"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=30\r\n\r\nHTTP/1.1 200 OK\r\n\r\n":        "",
		"ICAP/1.0 200 OK\r\n\r\n":         "",
		"ICAP/1.0 404 Not Found\r\n\r\n":  "",
		"ICAP/1.0 500 Error\r\n\r\n":      "",
		"HTTP/1.1 204 No Content\r\n\r\n": "",
		"ICAP/1.0 204 No":                 "",
		"ICAP/1.0 2040\r\n\r\n":           "",
		"":                                "",
	} {
		v, err := icapVerdict(bufio.NewReader(strings.NewReader(reply)))
		got := v.Signature
		if err == nil && !v.Infected {
			got = "clean"
		}
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %+v, %v", reply, v, err)
		}
	}
}

// TestICAPOnTheWire reads what is sent as RFC 3507, section 4.9.2 has it.
func TestICAPOnTheWire(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var b bytes.Buffer
		for !strings.HasSuffix(b.String(), "\r\n0\r\n\r\n") {
			p := make([]byte, 4096)
			n, err := conn.Read(p)
			if err != nil {
				break
			}
			b.Write(p[:n])
		}
		sent <- b.String()
		_, _ = io.WriteString(conn, "ICAP/1.0 204 No modifications needed\r\n\r\n")
	}()
	s, err := ICAP("icap://"+l.Addr().String()+"/avscan", ScannerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := s.Scan(t.Context(), strings.NewReader("hello")); err != nil || v.Infected {
		t.Fatalf("%+v, %v", v, err)
	}
	header := "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
	want := "RESPMOD icap://" + l.Addr().String() + "/avscan ICAP/1.0\r\nHost: " + l.Addr().String() + "\r\nAllow: 204\r\nConnection: close\r\n" +
		fmt.Sprintf("Encapsulated: res-hdr=0, res-body=%d\r\n\r\n", len(header)) + header + "5\r\nhello\r\n0\r\n\r\n"
	if got := <-sent; got != want {
		t.Errorf("sent\n%q\nwant\n%q", got, want)
	}
}

// TestHangingScanner: one that takes everything and never answers ends with
// its time, and with the request's.
func TestHangingScanner(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		}
	}()
	for name, open := range map[string]func(ScannerOptions) (Scanner, error){
		"clamd": func(o ScannerOptions) (Scanner, error) { return Clamd("tcp", l.Addr().String(), o) },
		"icap":  func(o ScannerOptions) (Scanner, error) { return ICAP("icap://"+l.Addr().String()+"/x", o) },
	} {
		s, err := open(ScannerOptions{Timeout: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Scan(t.Context(), strings.NewReader("hello")); err == nil {
			t.Errorf("%s: a verdict from nobody", name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if s, err = open(ScannerOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Scan(ctx, strings.NewReader("hello")); err == nil {
			t.Errorf("%s: a verdict after the request has gone", name)
		}
	}
}

func FuzzVerdicts(f *testing.F) {
	f.Add("stream: OK")
	f.Add("ICAP/1.0 200 OK\r\nX-Virus-ID: x\r\n\r\n")
	f.Add("ICAP/1.0 204 No Content\r\n\r\n")
	f.Fuzz(func(t *testing.T, reply string) {
		if v, err := clamdVerdict(reply); err == nil && !v.Infected && reply != "stream: OK" {
			t.Fatalf("clamd's %q is clean", reply)
		}
		if v, err := icapVerdict(bufio.NewReader(strings.NewReader(reply))); err == nil && !v.Infected && !strings.HasPrefix(reply, "ICAP/1.0 204") {
			t.Fatalf("icap's %q is clean", reply)
		}
	})
}
