package authn_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/guard"
)

// badge is an Authenticator of a header. A real one checks something.
type badge struct{}

func (badge) Authenticate(_ context.Context, call *guard.Call) (authn.Principal, error) {
	if values := call.Header("X-Badge"); len(values) == 1 {
		return authn.Principal{Actor: auditlog.Actor{ID: values[0], Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL1}, nil
	}
	return authn.Principal{}, authn.ErrNoCredential
}

func Example() {
	identify, err := authn.Identify(&auditlogtest.Recorder{}, badge{})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := guard.Alone(identify, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, ok := authn.FromContext(r.Context())
		fmt.Println(p.ID, p.AAL, ok)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	r.Header.Set("X-Badge", "u-1")
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	//  AAL0 false
	// u-1 AAL1 true
}
