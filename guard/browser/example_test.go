package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/browser"
)

// A form that another site submits is refused before the handler sees it.
func Example() {
	origin, err := browser.SameOrigin()
	if err != nil {
		panic(err)
	}
	h := guard.Alone(origin, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "transferred") }))
	r := httptest.NewRequest(http.MethodPost, "/transfer", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 403
}
