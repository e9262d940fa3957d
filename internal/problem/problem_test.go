package problem

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, Problem{
		Type: "https://example.org/quota", Title: "Too Many Requests", Status: 429, Detail: `A "quote"`, Instance: "/i/1",
		Extensions: map[string]any{"status": 200, "limit": 10, "broken": func() {}, "": 1, "a": []string{"x"}, "empty": ""},
	})
	const want = `{"type":"https://example.org/quota","title":"Too Many Requests","status":429,"detail":"A \"quote\"","instance":"/i/1","a":["x"],"empty":"","limit":10}`
	if got := w.Body.String(); got != want || w.Code != 429 {
		t.Errorf("%d\n got %s\nwant %s", w.Code, got, want)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Content-Length": "150",
	} {
		if got := w.Header().Get(k); got != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
}

// Go's own decoder, and others, match names without regard to case: the last
// of "status" and "Status" would win.
func TestExtensionsNeverStandInForStandardMembers(t *testing.T) {
	evil := map[string]any{}
	for _, name := range []string{"Status", "STATUS", "\u017ftatus", "Type", "tITLE", "Detail", "Instance"} {
		evil[name] = 200
	}
	b := Problem{Type: "t", Title: "t", Status: 403, Detail: "d", Instance: "i", Extensions: evil}.appendJSON(nil)
	var got Problem
	if err := json.Unmarshal(b, &got); err != nil || got.Status != 403 || got.Type != "t" || got.Detail != "d" {
		t.Errorf("%s is read as %+v, %v", b, got, err)
	}
}

func TestARefusalNeverLooksLikeSuccess(t *testing.T) {
	for _, status := range []int{0, -1, 99, 200, 302, 399, 600, 1000} {
		w := httptest.NewRecorder()
		Write(w, Problem{Status: status})
		if got := w.Body.String(); w.Code != 500 || got != `{"status":500}` {
			t.Errorf("status %d is answered with %d %s", status, w.Code, got)
		}
	}
	for _, status := range []int{400, 599} {
		w := httptest.NewRecorder()
		Write(w, Problem{Status: status})
		if w.Code != status {
			t.Errorf("status %d is answered with %d", status, w.Code)
		}
	}
}

// A handler that fails half-way has often said already what its answer would
// have been.
func TestHeadersOfTheAnswerThatFailedAreDropped(t *testing.T) {
	w := httptest.NewRecorder()
	for _, name := range stale {
		w.Header().Set(name, "x")
	}
	w.Header().Set("Content-Length", "1000000")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Retry-After", "3")
	Write(w, Problem{Status: 503})
	for _, name := range stale {
		if got := w.Header().Get(name); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if w.Header().Get("Content-Length") != "14" || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Retry-After") != "3" {
		t.Errorf("headers: %v", w.Header())
	}
}

func TestTextCannotLeaveItsString(t *testing.T) {
	detail := "</script>\"\\\n\x00\xff\u2028"
	b := Problem{Status: 400, Detail: detail, Extensions: map[string]any{`a":1,"status`: "x"}}.appendJSON(nil)
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil || len(got) != 3 || got["status"] != 400.0 {
		t.Errorf("%s is read as %v, %v", b, got, err)
	}
	if want := "</script>\"\\\n\x00\ufffd\u2028"; got["detail"] != want {
		t.Errorf("detail is read as %q", got["detail"])
	}
}

func TestOverAConnection(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { Write(w, Problem{Status: 404, Title: "Not Found"}) }))
	defer s.Close()
	for method, want := range map[string]string{http.MethodGet: `{"title":"Not Found","status":404}`, http.MethodHead: ""} {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != 404 || string(body) != want || resp.ContentLength != 34 {
			t.Errorf("%s: %d, %q of %d bytes, %v", method, resp.StatusCode, body, resp.ContentLength, err)
		}
	}
}

func FuzzExtensions(f *testing.F) {
	f.Add("limit", "x")
	f.Add("Status", "200")
	f.Add("\u017ftatus", "200")
	f.Add("a\":1,\"b", "\xff</script>")
	f.Fuzz(func(t *testing.T, name, value string) {
		b := Problem{Status: 418, Title: value, Extensions: map[string]any{name: value}}.appendJSON(nil)
		got := struct{ Status int }{}
		if err := json.Unmarshal(b, &got); err != nil || got.Status != 418 {
			t.Fatalf("%s is read as %+v, %v", b, got, err)
		}
	})
}
