package bearer_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation/bearer"
	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/authn/federation/oidctest"
	"github.com/surety-go/surety/guard"
)

func Example() {
	idp := oidctest.NewKey("2026", "ES256") // the issuer's; you use jose.Fetch
	keys, err := jose.ParseSet(oidctest.JWKS(idp))
	if err != nil {
		fmt.Println(err)
		return
	}
	log := &auditlogtest.Recorder{}
	tokens, err := bearer.New(log, []bearer.Issuer{
		{URL: "https://idp.example", Audience: "https://api.example", Tenant: "acme", Keys: keys},
	}, bearer.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	identify, err := authn.Identify(log, tokens)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(log), identify}, guard.Route{
		Pattern: "GET /records", Action: "records.read", Guards: []guard.Guard{bearer.RequireScope("records.read")},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "records") }),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, scope := range []string{"records.read", "mail"} {
		r := httptest.NewRequest(http.MethodGet, "/records", nil)
		r.Header.Set("Authorization", "Bearer "+idp.Sign(oidctest.Claims{"typ": "at+jwt"}, oidctest.Claims{
			"iss": "https://idp.example", "aud": "https://api.example", "sub": "17", "scope": scope, "exp": time.Now().Add(time.Minute).Unix(),
		}))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(scope, w.Code)
	}
	// Output:
	// records.read 200
	// mail 403
}
