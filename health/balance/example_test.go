package balance_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/health/balance"
)

// One of two endpoints is gone; the request is answered by the other.
func Example() {
	alive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "answered") }))
	defer alive.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	var endpoints []*url.URL
	for _, s := range []*httptest.Server{gone, alive} {
		u, err := url.Parse(s.URL)
		if err != nil {
			panic(err)
		}
		endpoints = append(endpoints, u)
	}
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	b, err := balance.New(endpoints, log, balance.Options{})
	if err != nil {
		panic(err)
	}
	resp, err := (&http.Client{Transport: b}).Get("http://service/")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err)
	// Output: answered <nil>
}
