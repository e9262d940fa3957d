package ratelimit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/surety-go/surety/ratelimit"
)

// Two requests a minute from one address.
func Example() {
	l, err := ratelimit.New([]ratelimit.Policy{
		{Name: "client", Key: ratelimit.ByClient(), Count: 2, Per: time.Minute},
	}, ratelimit.Options{})
	if err != nil {
		panic(err)
	}
	h := l.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 200
	// 429
}
