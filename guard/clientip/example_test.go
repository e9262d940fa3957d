package clientip_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/clientip"
)

// Behind a load balancer in 10.0.0.0/8, the address it appended is the
// client's; what the client wrote itself is not.
func Example() {
	g, err := clientip.New(clientip.Options{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		panic(err)
	}
	h := guard.Alone(g, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(guard.CallFrom(r.Context()).Client)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.7:4321"
	r.Header.Set("X-Forwarded-For", "127.0.0.1, 203.0.113.9")
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output: 203.0.113.9
}
