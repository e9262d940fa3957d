package concurrency_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/ratelimit/concurrency"
)

// Reports are the first to be turned away.
func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }) // yours is an auditlog.Log
	load, err := concurrency.New(log, concurrency.Options{
		Priority: func(_ context.Context, call *guard.Call) concurrency.Priority {
			if call.Action == "reports.build" {
				return concurrency.Background
			}
			return concurrency.Normal
		},
	})
	if err != nil {
		panic(err)
	}
	defer load.Close()
	h := load.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	s := load.State()
	fmt.Println(w.Body, s.Serving, s.Waiting)
	// Output: done 0 0
}
