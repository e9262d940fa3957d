package waf_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/ratelimit/waf"
)

// A route whose requests are inspected.
func Example() {
	log := auditlog.RecorderFunc(func(_ context.Context, ev auditlog.Event) error { // an *auditlog.Log
		if ev.Action == "ratelimit.waf.match" {
			fmt.Println(ev.Reason)
		}
		return nil
	})
	fw, err := waf.New(log, waf.Options{})
	if err != nil {
		panic(err)
	}
	search := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fmt.Println("searching") })
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(log)}, guard.Route{
		Pattern: "POST /search", Action: "search.run",
		Guards: []guard.Guard{guard.Public("everyone may search")}, Handler: fw.Middleware(search),
	})
	if err != nil {
		panic(err)
	}
	for _, text := range []string{"q=spring+flowers", "q=1' OR '1'='1"} {
		r := httptest.NewRequest(http.MethodPost, "/search", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("User-Agent", "example")
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// searching
	// 200
	// ratelimit.waf.r942100
	// ratelimit.waf.r949110
	// 403
}
