// Package problem writes RFC 9457 problem details.
package problem

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// A Problem is what went wrong, for the caller.
type Problem struct {
	Type       string         // URI of the kind of problem; empty is about:blank
	Title      string         // short, the same for all problems of the type
	Status     int            // HTTP status, 400 to 599
	Detail     string         // one sentence about this occurrence
	Instance   string         // URI of this occurrence
	Extensions map[string]any // further members; the standard ones can't be overridden
}

// Write answers with the problem. A member that has no JSON form is left out.
func Write(w http.ResponseWriter, p Problem) {
	body := p.appendJSON(nil)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller may be gone; there is nothing left to do for it
}

func (p Problem) appendJSON(b []byte) []byte {
	b = append(b, '{')
	b = appendMember(b, "type", p.Type)
	b = appendMember(b, "title", p.Title)
	if p.Status != 0 {
		b = appendMember(b, "status", p.Status)
	}
	b = appendMember(b, "detail", p.Detail)
	b = appendMember(b, "instance", p.Instance)
	standard := []string{"type", "title", "status", "detail", "instance"}
	for _, name := range slices.Sorted(maps.Keys(p.Extensions)) {
		if !slices.Contains(standard, name) {
			b = appendMember(b, name, p.Extensions[name])
		}
	}
	return append(b, '}')
}

func appendMember(b []byte, name string, value any) []byte {
	if value == "" {
		return b
	}
	v, err := json.Marshal(value)
	if err != nil {
		return b
	}
	key, err := json.Marshal(name)
	if err != nil {
		return b
	}
	if !bytes.HasSuffix(b, []byte("{")) {
		b = append(b, ',')
	}
	return append(append(append(b, key...), ':'), v...)
}
