package guard

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"

	"github.com/surety-go/surety/controls"
)

// A Page is what the template of [Pages] shows to a person whose request was
// refused. Nothing in it comes from the request.
type Page struct {
	Status int    // HTTP status
	Title  string // the status in words, such as "Forbidden"
	Detail string // the denial's public sentence; may be empty
}

// Pages returns the guard that gives refusals the application's own looks: a
// person's browser is shown the template, executed with a [Page], instead of a
// plain one. Programs get problem+json all the same. If the template fails,
// the plain page is shown.
func Pages(t *template.Template) Guard { return pages{t} }

type pages struct{ t *template.Template }

func (p pages) Phase() Phase { return Observe }

func (p pages) Controls() []controls.Control { return nil }

func (p pages) Validate() error {
	if p.t == nil {
		return errors.New("Pages needs a template")
	}
	return nil
}

func (p pages) Admit(ctx context.Context, call *Call) (context.Context, error) {
	call.page = p.t
	return ctx, nil
}

var plainPage = template.Must(template.New("refusal").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Detail}}</p>
</main>
</body>
</html>
`))

// writePage answers a person's browser.
func writePage(w http.ResponseWriter, r *http.Request, call *Call, status int, d *Denial) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if d.Location != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.Set("Location", d.Location)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	h.Del("Content-Length")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	body := render(call, Page{status, title(status), d.Public})
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}

// render executes the application's template, or else the plain one.
func render(call *Call, p Page) []byte {
	var b bytes.Buffer
	if call != nil && call.page != nil {
		if call.page.Execute(&b, p) == nil {
			return b.Bytes()
		}
		b.Reset()
	}
	_ = plainPage.Execute(&b, p) // writes text of this program to memory
	return b.Bytes()
}
