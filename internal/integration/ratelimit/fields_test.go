package ratelimit

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/surety-go/surety/ratelimit"
)

// TestFields reads the fields of draft-ietf-httpapi-ratelimit-headers-10 with
// somebody else's parser of structured fields (RFC 9651): lists of strings
// with parameters that are integers.
func TestFields(t *testing.T) {
	l, err := ratelimit.New([]ratelimit.Policy{
		{Name: "burst", Key: ratelimit.ByClient(), Count: 60, Per: time.Minute, Burst: 2},
		{Name: "day", Key: ratelimit.ByClient(), Count: 2147483647, Calendar: ratelimit.Day},
		{Name: "month", Key: ratelimit.ByClient(), Count: 5, Calendar: ratelimit.Month},
	}, ratelimit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := l.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for i, status := range []int{200, 200, 429} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status {
			t.Fatalf("request %d: %d", i, w.Code)
		}
		for field, parameters := range map[string][]string{"RateLimit-Policy": {"q"}, "RateLimit": {"r", "t"}} {
			list, err := httpsfv.UnmarshalList(w.Header().Values(field))
			if err != nil || len(list) != 3 {
				t.Fatalf("%s: %q: %v", field, w.Header().Values(field), err)
			}
			for j, name := range []string{"burst", "day", "month"} {
				item, ok := list[j].(httpsfv.Item)
				if !ok || item.Value != name {
					t.Errorf("%s, item %d: %#v", field, j, list[j])
				}
				for _, p := range parameters {
					if n, ok := item.Params.Get(p); !ok || n.(int64) < 0 {
						t.Errorf("%s, %s: %s is %v", field, name, p, n)
					}
				}
			}
		}
	}
}
