package healthtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/health/healthtest"
)

// text is long enough for a request's middle to be in its body.
var text = strings.Repeat("the quick brown fox ", 100)

// serve returns a server whose connections, and a client whose requests, go
// over links of their own.
func serve(t *testing.T) (url string, client *http.Client, near, far *healthtest.Link) {
	t.Helper()
	near, far = healthtest.New(t), healthtest.New(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	srv.Listener = far.Listener(srv.Listener)
	srv.Start()
	t.Cleanup(func() {
		far.Set(healthtest.Fault{Drop: true}) // so that no connection holds up closing
		srv.CloseClientConnections()
		srv.Close()
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return srv.URL, &http.Client{Transport: near.Transport(transport)}, near, far
}

func send(ctx context.Context, c *http.Client, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return "", err
	}
	res, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// Both ends, in turn: each fault is felt, and gone when the link is mended.
func TestFaults(t *testing.T) {
	url, client, near, far := serve(t)
	for name, link := range map[string]*healthtest.Link{"requests": near, "connections": far} {
		whole := func(when string) {
			t.Helper()
			if got, err := send(t.Context(), client, url); got != text || err != nil {
				t.Fatalf("%s, %s: %q, %v", name, when, got, err)
			}
		}
		whole("before")
		link.Set(healthtest.Fault{Drop: true})
		if _, err := send(t.Context(), client, url); err == nil {
			t.Errorf("%s: dropped, and answered", name)
		}
		link.Set(healthtest.Fault{})
		whole("after Drop")

		link.Set(healthtest.Fault{BlackHole: true})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := send(ctx, client, url); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: swallowed: %v", name, err)
		}
		cancel()
		link.Set(healthtest.Fault{})
		whole("after BlackHole")

		link.Set(healthtest.Fault{Delay: 30 * time.Millisecond})
		begun := time.Now()
		whole("slow")
		if took := time.Since(begun); took < 30*time.Millisecond {
			t.Errorf("%s: slow, and answered after %s", name, took)
		}

		link.Set(healthtest.Fault{Corrupt: true})
		if got, err := send(t.Context(), client, url); got == text && err == nil {
			t.Errorf("%s: corrupted, and answered as it was", name)
		}
		link.Set(healthtest.Fault{})
		whole("at the end")
	}
}

// What waits in a black hole goes on when it is mended, or fails when it is
// cut: nothing hangs for ever.
func TestWhatWaitsGoesOn(t *testing.T) {
	url, client, near, _ := serve(t)
	for fault, ok := range map[healthtest.Fault]bool{{}: true, {Drop: true}: false} {
		near.Set(healthtest.Fault{BlackHole: true})
		answered := make(chan error, 1)
		go func() {
			_, err := send(t.Context(), client, url)
			answered <- err
		}()
		near.Set(fault)
		if err := <-answered; (err == nil) != ok || !ok && !errors.Is(err, healthtest.ErrInjected) {
			t.Errorf("%+v: %v", fault, err)
		}
		near.Set(healthtest.Fault{})
	}
}

func TestOutsideOfTests(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a link without a test")
		}
	}()
	healthtest.New(nil)
}

func ExampleNew() {
	test := func(t *testing.T) {
		link := healthtest.New(t)
		client := &http.Client{Transport: link.Transport(http.DefaultTransport)}
		link.Set(healthtest.Fault{BlackHole: true})
		_ = client // … what does the service do? …
	}
	_ = test
}
