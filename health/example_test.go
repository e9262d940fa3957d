package health_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/surety-go/surety/health"
)

// A service without dependencies is alive at once.
func Example() {
	probes, err := health.New([]health.Check{
		{Name: "clock", Run: func(context.Context) error { return nil }, Criticality: health.Informational},
	}, health.Options{})
	if err != nil {
		panic(err)
	}
	defer probes.Close()
	w := httptest.NewRecorder()
	probes.Live().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/livez", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 {"status":"pass"}
}
