package guard

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/internal/problem"
)

// Refuse answers a request on behalf of its handler, as the chain would have:
// with problem+json, or a page for a person's browser. The call's outcome, and
// so the audit event, is that of err. A *[Denial] says itself; any other error
// is answered 503 and never shown.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	if call := CallFrom(ctx); call != nil {
		writeRefusal(w, r, call, call.Refuse(ctx, err))
		return
	}
	writeRefusal(w, r, nil, OutcomeOf(ctx, err))
}

// writeRefusal answers a request that was refused: problem+json for programs
// (RFC 9457), a page or the denial's location for a person's browser. There
// may be no call.
func writeRefusal(w http.ResponseWriter, r *http.Request, call *Call, o Outcome) {
	h := w.Header()
	switch {
	case o.Code == Canceled:
		return // nobody is listening
	case o.Code == OK: // a Reply
		h.Set("Content-Length", "0")
		w.WriteHeader(o.Status)
		return
	}
	d := o.Denial
	if d == nil {
		d = &Denial{Public: "The service can't decide about this request now."}
	}
	for _, c := range d.Challenge {
		h.Add("WWW-Authenticate", c)
	}
	if d.RetryAfter > 0 {
		seconds := (d.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if wantsPage(r) {
		writePage(w, r, call, o.Status, d)
		return
	}
	problem.Write(w, problem.Problem{
		Type:       d.Type,
		Title:      title(o.Status),
		Status:     o.Status,
		Detail:     d.Public,
		Extensions: d.Details,
	})
}

func title(status int) string {
	if t := http.StatusText(status); t != "" {
		return t
	}
	return fmt.Sprintf("Status %d", status)
}

// wantsPage reports whether a person's browser is navigating: browsers say
// text/html first, and programs that accept anything say */*.
func wantsPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	html := strings.Index(accept, "text/html")
	json := strings.Index(accept, "json")
	return html >= 0 && (json < 0 || html < json)
}
