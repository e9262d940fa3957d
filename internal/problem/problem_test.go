package problem

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
)

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, Problem{
		Type: "https://example.org/quota", Title: "Too Many Requests", Status: 429, Detail: `A "quote"`,
		Extensions: map[string]any{"status": 200, "limit": 10, "broken": func() {}, "a": []string{"x"}},
	})
	const want = `{"type":"https://example.org/quota","title":"Too Many Requests","status":429,"detail":"A \"quote\"","a":["x"],"limit":10}`
	if got := w.Body.String(); got != want || w.Code != 429 {
		t.Errorf("%d\n got %s\nwant %s", w.Code, got, want)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Content-Length": "121",
	} {
		if got := w.Header().Get(k); got != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
}

func TestEmptyMembersAreLeftOut(t *testing.T) {
	b := Problem{Status: 503}.appendJSON(nil)
	if string(b) != `{"status":503}` || !json.Valid(b) {
		t.Errorf("%s", b)
	}
	if b := (Problem{}).appendJSON(nil); string(b) != `{}` {
		t.Errorf("%s", b)
	}
}
