package guard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
)

// A table of routes, each guarded or public for a reason; every call is
// audited before its response leaves.
func Example() {
	console := auditlog.RecorderFunc(func(_ context.Context, ev auditlog.Event) error {
		fmt.Println("event:", ev.Action, ev.Outcome)
		return nil
	})
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(console)}, guard.Route{
		Pattern: "GET /hello", Action: "greeting.read", Handler: hello,
		Guards: []guard.Guard{guard.Public("a greeting holds no data")},
	})
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/hello", nil))
	fmt.Print("response: ", w.Body)
	// Output:
	// event: greeting.read success
	// response: hello
}
