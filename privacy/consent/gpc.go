package consent

import (
	"encoding/json"
	"net/http"
	"time"
)

// GPC reports whether a request carries the Global Privacy Control signal: the
// header Sec-GPC with the value "1", once (W3C draft, section 3.1: any other
// value is to be ignored). header returns a header's values; *guard.Call has
// such a method.
func GPC(header func(name string) []string) bool {
	v := header("Sec-GPC")
	return len(v) == 1 && v[0] == "1"
}

// GPCSupport serves /.well-known/gpc.json, by which a site says that it obeys
// the signal (W3C draft, section 4). lastUpdate is the day on which that was
// last true for sure.
func GPCSupport(lastUpdate time.Time) http.Handler {
	body, _ := json.Marshal(struct { // strings and a boolean always marshal
		GPC        bool   `json:"gpc"`
		LastUpdate string `json:"lastUpdate"`
	}{true, lastUpdate.UTC().Format(time.DateOnly)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=86400")
		_, _ = w.Write(body) // the caller has gone away
	})
}
