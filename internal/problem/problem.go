// Package problem answers HTTP requests with RFC 9457 problem details.
//
//	problem.Write(w, problem.Problem{
//		Type:       "https://example.org/problems/quota",
//		Title:      "Too Many Requests",
//		Status:     http.StatusTooManyRequests,
//		Extensions: map[string]any{"limit": 10},
//	})
package problem

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Problem is what went wrong, for the caller (RFC 9457, section 3.1). Empty
// members are left out.
type Problem struct {
	Type     string // URI of the kind of problem; empty is about:blank
	Title    string // short, the same for all problems of the type
	Status   int    // HTTP status, 400 to 599; anything else is answered as 500
	Detail   string // one sentence about this occurrence, without secrets
	Instance string // URI of this occurrence
	// Extensions are further members (section 3.2), written in the order of
	// their names. One that has the name of a standard member, in whatever
	// letter case, or a value without a JSON form, is left out: readers that
	// match names loosely must not take it for the standard one.
	Extensions map[string]any
}

// standard are the names of the members that RFC 9457 defines, in the order in
// which they are written.
var standard = [...]string{"type", "title", "status", "detail", "instance"}

// stale are headers that described the answer that is not sent.
var stale = [...]string{"Accept-Ranges", "Content-Disposition", "Content-Encoding", "Content-Range", "Etag", "Last-Modified"}

// Write answers with the problem, which no cache keeps and no browser takes
// for another type. Nothing may have been written to w before.
func Write(w http.ResponseWriter, p Problem) {
	if p.Status < 400 || p.Status > 599 {
		p.Status = http.StatusInternalServerError // a refusal must never look like success
	}
	body := p.appendJSON(nil)
	h := w.Header()
	for _, name := range stale {
		h.Del(name)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller may be gone; there is nothing left to do for it
}

func (p Problem) appendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, value := range []any{p.Type, p.Title, p.Status, p.Detail, p.Instance} {
		if value != "" && value != 0 {
			b = appendMember(b, standard[i], value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Extensions)) {
		if name != "" && !isStandard(name) {
			b = appendMember(b, name, p.Extensions[name])
		}
	}
	return append(b, '}')
}

func isStandard(name string) bool {
	return slices.ContainsFunc(standard[:], func(s string) bool { return strings.EqualFold(s, name) })
}

// appendMember adds a member to an object that is still open.
func appendMember(b []byte, name string, value any) []byte {
	v, err := json.Marshal(value)
	if err != nil {
		return b
	}
	key, err := json.Marshal(name)
	if err != nil {
		return b
	}
	if len(b) > 1 {
		b = append(b, ',')
	}
	return append(append(append(b, key...), ':'), v...)
}
