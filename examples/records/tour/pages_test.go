package tour

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	hrefs  = regexp.MustCompile(`(?:href|src)="(/[^"]*)"`)
	inputs = regexp.MustCompile(`<input[^>]*>`)
	ids    = regexp.MustCompile(` id="([^"]+)"`)
)

// start gives a test the tour's service.
func start(t *testing.T) *client {
	t.Helper()
	c, err := launch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Every page that a person is shown is there, whoever they are, and every
// link on it leads somewhere; forms can be used without seeing them.
func TestPagesOfEveryRole(t *testing.T) {
	c := start(t)
	for role, least := range map[string]int{"owner": 9, "manager": 8, "employee": 4, "auditor": 6} {
		p, err := c.signedIn(t.Context(), "acme", role)
		if err != nil {
			t.Fatal(err)
		}
		queue, seen := []string{"/privacy"}, []string{"/"}
		for len(queue) > 0 {
			path := queue[0]
			queue = queue[1:]
			if slices.Contains(seen, path) {
				continue
			}
			seen = append(seen, path)
			a, err := c.call(t.Context(), "GET", path, p.token, nil, "Accept", "text/html")
			if err != nil {
				t.Fatal(err)
			}
			if consent := strings.HasSuffix(path, "purpose=benefits") && a.status == http.StatusForbidden; a.status != http.StatusOK && !consent {
				t.Errorf("%s: %s is answered %d", role, path, a.status)
			}
			if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
				usable(t, path, string(a.body))
				for _, m := range hrefs.FindAllStringSubmatch(string(a.body), -1) {
					queue = append(queue, m[1])
				}
			}
		}
		if len(seen) < least {
			t.Errorf("%s has %d pages: %v", role, len(seen), seen)
		}
	}
}

// usable looks for what assistive technology needs (WCAG 2.2, 1.3.1, 2.4.2,
// 3.1.1, 3.3.2).
func usable(t *testing.T, path, page string) {
	t.Helper()
	for _, want := range []string{`<html lang="en">`, "<title>", "<main", `name="viewport"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s has no %s", path, want)
		}
	}
	if n := strings.Count(page, "<h1"); n != 1 {
		t.Errorf("%s has %d headings of the first rank", path, n)
	}
	for _, in := range inputs.FindAllString(page, -1) {
		id := ids.FindStringSubmatch(in)
		labelled := strings.Contains(in, `type="hidden"`) || strings.Contains(in, `type="checkbox"`) && strings.Contains(page, "<label class=\"check\">"+in) ||
			id != nil && strings.Contains(page, `for="`+id[1]+`"`)
		if !labelled {
			t.Errorf("%s: no label for %s", path, in)
		}
	}
	for _, bad := range []string{"<script", " style=", "onclick", "&lt;no value&gt;"} {
		if strings.Contains(page, bad) {
			t.Errorf("%s has %s", path, bad)
		}
	}
}

// A person who is refused sees a page of the application, a program a problem.
func TestRefusalsLookLikeTheApplication(t *testing.T) {
	c := start(t)
	p, err := c.signedIn(t.Context(), "acme", "employee")
	if err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{"/files": 403, "/nowhere": 404} {
		a, err := c.want(t.Context(), status, "GET", path, p.token, nil, "Accept", "text/html")
		if err != nil {
			t.Fatal(err)
		}
		usable(t, path, string(a.body))
		if !strings.Contains(string(a.body), "/static/app.css") {
			t.Errorf("%s: %s", path, a.body)
		}
		a, err = c.want(t.Context(), status, "GET", path, p.token, nil)
		if err != nil || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %v", path, a.header, err)
		}
	}
	a, err := c.want(t.Context(), 400, "POST", "/privacy/erasure", p.token, map[string]any{}, "Accept", "text/html")
	if err != nil || !strings.Contains(string(a.body), "Tick the box") {
		t.Errorf("erasing without being sure: %s %v", a.body, err)
	}
}
