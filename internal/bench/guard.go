package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/browser"
	"github.com/surety-go/surety/guard/clientip"
)

// guards asks what a guarded call costs before any control that keeps state:
// the price of having one decision, one event and one answer for each call.
func guards() Group {
	return Group{
		Name:  "guard",
		Title: "A guarded HTTP request",
		Note: "GET of a path with a parameter; the handler writes two bytes; nothing is sent over a network. " +
			"The floor is http.ServeMux alone. The peer is what people write by hand: five nested handlers that set the same headers, " +
			"find the client address, compare Origin, bound the body and hand a record of the request to a function. " +
			"Ours are the guards of the same subjects, with an event for each request given to a recorder that drops it.",
		Cases: []Case{
			{Name: "public route", Rows: []Row{
				{Floor, "http.ServeMux", func(b *testing.B) { serve(b, plainMux()) }},
				{Peer, "nested handlers", func(b *testing.B) { serve(b, nested(plainMux())) }},
				{Ours, "guard.Mux, audit only", func(b *testing.B) { serve(b, guarded(auditOnly()...)) }},
				{Ours, "guard.Mux, audit, headers, client, origin, limits", func(b *testing.B) { serve(b, guarded(usual()...)) }},
			}},
			{Name: "two cores", Rows: []Row{
				{Floor, "http.ServeMux", func(b *testing.B) { serveParallel(b, plainMux()) }},
				{Ours, "guard.Mux, audit, headers, client, origin, limits", func(b *testing.B) { serveParallel(b, guarded(usual()...)) }},
			}},
		},
	}
}

func show(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("ok")) // can't fail
}

func plainMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /records/{id}", show)
	return mux
}

// nested is the usual way: closures around closures.
func nested(next http.Handler) http.Handler {
	proxies := netip.MustParsePrefix("10.0.0.0/8")
	type address struct{}
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		next.ServeHTTP(w, r)
	}))
	h = http.NewCrossOriginProtection().Handler(h)
	inner := h
	h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		check(err)
		client := peer.Addr()
		if last := r.Header.Get("X-Forwarded-For"); last != "" && proxies.Contains(client) {
			_, last, _ = strings.Cut(last, ",")
			client, err = netip.ParseAddr(strings.TrimSpace(last))
			check(err)
		}
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), address{}, client)))
	})
	addressed := h
	h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set := w.Header().Set
		set("Content-Security-Policy", "default-src 'self'")
		set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		set("Cross-Origin-Opener-Policy", "same-origin")
		set("Cross-Origin-Embedder-Policy", "require-corp")
		set("Cross-Origin-Resource-Policy", "same-origin")
		set("Referrer-Policy", "no-referrer")
		set("X-Content-Type-Options", "nosniff")
		addressed.ServeHTTP(w, r)
	})
	dressed := h
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dressed.ServeHTTP(w, r)
		if line := fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, r.RemoteAddr); line == "" {
			panic("no line")
		}
	})
}

func guarded(base ...guard.Guard) http.Handler {
	mux, err := guard.NewMux(base, guard.Route{
		Pattern: "GET /records/{id}", Action: "records.read",
		Guards: []guard.Guard{guard.Public("a benchmark")}, Handler: http.HandlerFunc(show),
	})
	check(err)
	return mux
}

func auditOnly() []guard.Guard {
	return []guard.Guard{guard.Audit(auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }))}
}

func usual() []guard.Guard {
	headers, err := browser.Headers(browser.HeaderOptions{})
	check(err)
	origin, err := browser.SameOrigin()
	check(err)
	client, err := clientip.New(clientip.Options{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	check(err)
	return append(auditOnly(), headers, client, origin, guard.Limits(1<<20, 0))
}

// A page takes a response and forgets it.
type page struct{ header http.Header }

func (p *page) Header() http.Header         { return p.header }
func (p *page) Write(b []byte) (int, error) { return len(b), nil }
func (p *page) WriteHeader(int)             {}

func newRequest() *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://records.example/records/17", nil)
	check(err)
	r.RemoteAddr = "10.0.0.7:4711"
	r.Header.Set("X-Forwarded-For", "198.51.100.4, 203.0.113.9")
	r.Header.Set("User-Agent", "bench")
	return r
}

func serve(b *testing.B, h http.Handler) {
	r := newRequest()
	w := &page{make(http.Header, 16)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func serveParallel(b *testing.B, h http.Handler) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := newRequest()
		w := &page{make(http.Header, 16)}
		for pb.Next() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}
	})
}
