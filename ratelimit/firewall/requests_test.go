package firewall

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

func TestRequests(t *testing.T) {
	g, err := Requests(RequestOptions{Hosts: []string{"app.example", "2001:db8::1"}, ContentTypes: []string{"application/json"}, URI: 64, Headers: 8, HeaderBytes: 256})
	if err != nil {
		t.Fatal(err)
	}
	h := g.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, tc := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"as clients send":    {func(*http.Request) {}, 200},
		"with a port":        {func(r *http.Request) { r.Host = "App.Example.:8443" }, 200},
		"by address":         {func(r *http.Request) { r.Host = "[2001:db8::1]:443" }, 200},
		"TRACE":              {func(r *http.Request) { r.Method = "TRACE" }, 405},
		"an invented method": {func(r *http.Request) { r.Method = "get" }, 405},
		"another host":       {func(r *http.Request) { r.Host = "evil.example" }, 421},
		"a longer host":      {func(r *http.Request) { r.Host = "app.example.evil.example" }, 421},
		"no host":            {func(r *http.Request) { r.Host = "" }, 421},
		"a long target":      {func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("x", 64) }, 414},
		"many headers": {func(r *http.Request) {
			for range 9 {
				r.Header.Add("X", "y")
			}
		}, 431},
		"a long header":       {func(r *http.Request) { r.Header.Set("X", strings.Repeat("y", 256)) }, 431},
		"no kind of body":     {func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"another kind":        {func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") }, 415},
		"with a charset":      {func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, 200},
		"two kinds":           {func(r *http.Request) { r.Header["Content-Type"] = []string{"application/json", "text/xml"} }, 415},
		"a kind that is none": {func(r *http.Request) { r.Header.Set("Content-Type", "application/json;;") }, 415},
		"nothing in the body": {func(r *http.Request) { r.Body = http.NoBody; r.Header.Del("Content-Type") }, 200},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example/x", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		tc.change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.status {
			t.Errorf("%s: %d, want %d", name, w.Code, tc.status)
		}
		if tc.status == 405 && !strings.Contains(w.Header().Get("Allow"), "POST") {
			t.Errorf("%s: Allow %q", name, w.Header().Get("Allow"))
		}
	}
	if r := g.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("the probe: %v: %s", r.State, r.Observed)
	}
}

// Over gRPC the authority is the host.
func TestRequestsOverGRPC(t *testing.T) {
	g, err := Requests(RequestOptions{Hosts: []string{"app.example"}, ContentTypes: []string{"application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	for authority, ok := range map[string]bool{"app.example:443": true, "evil.example": false, "": false} {
		call := guard.Synthetic("/records.v1.Records/Read", "files.read", http.Header{":authority": {authority}})
		if _, err := g.Admit(t.Context(), call); (err == nil) != ok {
			t.Errorf("%q: %v", authority, err)
		}
	}
}

func TestRequestsBadInput(t *testing.T) {
	for says, o := range map[string]RequestOptions{
		"URI":          {URI: 1},
		"Headers":      {Headers: 2000},
		"HeaderBytes":  {HeaderBytes: -1},
		"TRACE":        {Methods: []string{"TRACE"}},
		"upper case":   {Methods: []string{"get"}},
		"Hosts":        {Hosts: []string{"App.example"}},
		"ContentTypes": {ContentTypes: []string{"json"}},
	} {
		if _, err := Requests(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// slowServer serves a handler that reads the body and reports how that ended.
func slowServer(t *testing.T, o SlowOptions, response int) (addr string, ended chan error) {
	t.Helper()
	ended = make(chan error, 4)
	h, err := SlowClients(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			_, err = w.Write(make([]byte, response))
		}
		ended <- err
	}), o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), ended
}

func dial(t *testing.T, addr, request string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

const slowRequest = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"

// TestStalledBody: nothing comes at all (R-U-Dead-Yet).
func TestStalledBody(t *testing.T) {
	addr, ended := slowServer(t, SlowOptions{Stall: 100 * time.Millisecond}, 0)
	dial(t, addr, slowRequest)
	if err := <-ended; !errors.Is(err, ErrSlow) {
		t.Errorf("%v, want ErrSlow", err)
	}
}

// TestTrickledBody: a byte comes before each timeout, so that only the rate
// tells.
func TestTrickledBody(t *testing.T) {
	addr, ended := slowServer(t, SlowOptions{Stall: 10 * time.Second, Grace: 300 * time.Millisecond, Rate: 1 << 20}, 0)
	conn := dial(t, addr, slowRequest)
	for {
		select {
		case err := <-ended:
			if !errors.Is(err, ErrSlow) {
				t.Errorf("%v, want ErrSlow", err)
			}
			return
		case <-time.After(20 * time.Millisecond):
			_, _ = conn.Write([]byte{'x'}) // until the server has had enough
		}
	}
}

// TestReaderThatStops: the response is never read (Slow Read).
func TestReaderThatStops(t *testing.T) {
	addr, ended := slowServer(t, SlowOptions{Stall: 200 * time.Millisecond}, 64<<20)
	dial(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	if err := <-ended; !errors.Is(err, ErrSlow) {
		t.Errorf("%v, want ErrSlow", err)
	}
}

// TestSlowAndHonest: a client that keeps its rate is served however long it
// takes, and the connection is used again.
func TestSlowAndHonest(t *testing.T) {
	addr, ended := slowServer(t, SlowOptions{Stall: 5 * time.Second, Grace: 100 * time.Millisecond, Rate: 1}, 10)
	conn := dial(t, addr, "")
	reader := bufio.NewReader(conn)
	for range 2 {
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			time.Sleep(30 * time.Millisecond)
			if _, err := conn.Write(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

// TestQuietStream: a response over HTTP/2 that is flushed now and then goes on
// although it is quiet for longer than a write may take.
func TestQuietStream(t *testing.T) {
	h, err := SlowClients(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "tick ")
			w.(http.Flusher).Flush()
			time.Sleep(300 * time.Millisecond)
		}
	}), SlowOptions{Stall: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "tick tick tick " || resp.ProtoMajor != 2 {
		t.Errorf("%q, %v over %s", b, err, resp.Proto)
	}
}

func TestSlowClientsBadInput(t *testing.T) {
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	for says, o := range map[string]SlowOptions{"Stall": {Stall: 1}, "Grace": {Grace: -1}, "Rate": {Rate: 2 << 20}} {
		if _, err := SlowClients(h, o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := SlowClients(nil, SlowOptions{}); err == nil {
		t.Error("no handler was taken")
	}
	bounded, err := SlowClients(h, SlowOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder() // knows no deadlines
	bounded.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	if w.Code != 500 {
		t.Errorf("without deadlines: %d", w.Code)
	}
}
