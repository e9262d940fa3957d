package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	txhttp "github.com/corazawaf/coraza/v3/http"

	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/ratelimit/waf"
)

// rules asks what the OWASP Core Rule Set costs a harmless request.
func rules() Group {
	rows := func(request func() *http.Request) []Row {
		return []Row{
			{Floor, "the handler alone", func(b *testing.B) { serveAll(b, http.HandlerFunc(readAll), request) }},
			{Peer, "Coraza's own handler", func(b *testing.B) { serveAll(b, corazaAlone(), request) }},
			{Ours, "ratelimit/waf", func(b *testing.B) { serveAll(b, wafOurs(), request) }},
		}
	}
	return Group{
		Name:  "waf",
		Title: "A request through the Core Rule Set",
		Note: "Harmless requests to a handler that reads the body, with all rules of paranoia level 1. The peer has the same engine and rules; " +
			"ours also has an audit event for each request, given to a recorder that drops it.",
		Cases: []Case{
			{Name: "GET with two parameters", Rows: rows(func() *http.Request {
				return browserRequest(httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/search?q=spring+flowers&page=2", nil))
			})},
			{Name: "POST of 1 KiB of JSON", Rows: rows(func() *http.Request {
				r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/search", strings.NewReader(`{"text":"`+strings.Repeat("spring flowers ", 68)+`"}`))
				r.Header.Set("Content-Type", "application/json")
				return browserRequest(r)
			})},
		},
	}
}

func browserRequest(r *http.Request) *http.Request {
	r.Header.Set("User-Agent", "Mozilla/5.0")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Host", "service.example")
	return r
}

func readAll(w http.ResponseWriter, r *http.Request) {
	_, err := io.Copy(io.Discard, r.Body)
	check(err)
	_, _ = io.WriteString(w, "ok")
}

func serveAll(b *testing.B, h http.Handler, request func() *http.Request) {
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request())
		if w.Code != http.StatusOK {
			panic("a harmless request was refused")
		}
	}
}

func corazaAlone() http.Handler {
	engine, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(`
		Include @coraza.conf-recommended
		Include @crs-setup.conf.example
		Include @owasp_crs/*.conf
		SecRuleEngine On
	`))
	check(err)
	return txhttp.WrapHandler(engine, http.HandlerFunc(readAll))
}

func wafOurs() http.Handler {
	fw, err := waf.New(dropped(), waf.Options{})
	check(err)
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(dropped())}, guard.Route{
		Pattern: "/search", Action: "search.run",
		Guards: []guard.Guard{guard.Public("a benchmark")}, Handler: fw.Middleware(http.HandlerFunc(readAll)),
	})
	check(err)
	return mux
}
