package slo_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/health/slo"
)

func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }) // yours is an auditlog.Log
	key := []byte(strings.Repeat("k", 32))                                                   // yours is random, and not beside the store
	tracker, err := slo.New("operator", slo.NewMemory(), key, log, []slo.Objective{
		{Name: "files", Actions: []string{"files.*"}, Target: 0.999, Latency: 300 * time.Millisecond},
	}, slo.Options{})
	if err != nil {
		panic(err)
	}
	defer tracker.Close()
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(log), tracker}, guard.Route{
		Pattern: "GET /files", Action: "files.list", Guards: []guard.Guard{guard.Public("an example")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "two files") }),
	})
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/files", nil))
	fmt.Println(w.Body)

	result := tracker.Controls()[0].Run(context.Background())
	fmt.Println(result.State, result.Observed)
	// Output:
	// two files
	// fail nobody measures from outside of the process
}
