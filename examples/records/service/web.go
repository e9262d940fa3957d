package service

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/privacy"
)

//go:embed pages
var pageFiles embed.FS

var templates = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// A view is what every page shows around its own data.
type view struct {
	Title, Path, Who string
	Nav              []link
	Data             any
}

type link struct{ Name, Path string }

// page writes a page. It is rendered before its first byte is sent, so that a
// mistake in a template is an error and not half a page.
func (s *Service) page(w http.ResponseWriter, r *http.Request, name, title string, data any) {
	v := view{Title: title, Path: r.URL.Path, Data: data}
	if p, ok := authn.FromContext(r.Context()); ok {
		roles := s.roles(p)
		v.Who = p.Tenant + " · " + strings.Join(roles, ", ")
		v.Nav = navigation(roles)
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, v); err != nil {
		guard.Refuse(w, r, fmt.Errorf("records: page %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes()) // the caller may be gone
}

// navigation lists the pages a role can use; the guards decide, not the menu.
func navigation(roles []string) []link {
	var nav []link
	if slices.Contains(roles, "owner") || slices.Contains(roles, "manager") {
		nav = append(nav, link{"Files", "/files"})
	}
	nav = append(nav, link{"My privacy", "/privacy"})
	if slices.Contains(roles, "auditor") {
		nav = append(nav, link{"Audit log", "/audit"})
	}
	if slices.Contains(roles, "auditor") || slices.Contains(roles, "owner") {
		nav = append(nav, link{"Controls", "/controls"})
	}
	return append(nav, link{"Security", "/account/security"})
}

// static serves a file that all pages share.
func static(name, contentType string) http.Handler {
	b, _ := pageFiles.ReadFile("pages/" + name) // embedded
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(b) // the caller may be gone
	})
}

// home sends a person to the first page of their menu.
func (s *Service) home(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	http.Redirect(w, r, navigation(s.roles(p))[0].Path, http.StatusSeeOther)
}

func (s *Service) filesPage(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	people, err := s.people.list(r.Context(), p.Tenant)
	if err != nil {
		guard.Refuse(w, r, refusal(err))
		return
	}
	s.page(w, r, "files.html", "Files", map[string]any{"Tenant": p.Tenant, "People": people, "Purposes": s.gate.Purposes()})
}

func (s *Service) filePage(w http.ResponseWriter, r *http.Request) {
	person, err := s.openFile(r.Context(), r.PathValue("id"))
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	title := person.Name
	if title == "" {
		title = "File " + person.ID
	}
	s.page(w, r, "file.html", title, map[string]any{
		"Person": person, "Purpose": privacy.PurposeFrom(r.Context()), "MayUpdate": true,
	})
}

func (s *Service) saveFile(w http.ResponseWriter, r *http.Request) {
	c := edit{Title: r.PostFormValue("title"), Email: r.PostFormValue("email")}
	if _, err := s.updateFile(r.Context(), r.PathValue("id"), c); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/files", http.StatusSeeOther)
}

// A choiceRow is a purpose on a person's privacy page.
type choiceRow struct {
	privacy.Declaration
	Asks, Given bool
}

func (s *Service) privacyPage(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	n, err := s.notice(r)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	var rows []choiceRow
	for _, d := range s.gate.Purposes() {
		row := choiceRow{Declaration: d, Asks: d.Basis == privacy.Consent}
		if row.Asks {
			if row.Given, err = s.ledger.Consented(r.Context(), p.Tenant, p.ID, d.Purpose); err != nil {
				guard.Refuse(w, r, err)
				return
			}
		}
		rows = append(rows, row)
	}
	s.page(w, r, "privacy.html", "My privacy", map[string]any{"Notice": n, "Purposes": rows})
}

// formConsent is the consent form: one press to give, one to withdraw.
func (s *Service) formConsent(given bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := s.choose(r, r.PostFormValue("purpose"), given); err != nil {
			guard.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, "/privacy", http.StatusSeeOther)
	}
}

func (s *Service) formErase(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("sure") != "yes" {
		guard.Refuse(w, r, &guard.Denial{Control: "records.input", Code: guard.InvalidArgument, Public: "Tick the box if you are sure: erasing can't be undone."})
		return
	}
	if _, err := s.erase(r.Context()); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/privacy", http.StatusSeeOther)
}

func (s *Service) controlsPage(w http.ResponseWriter, r *http.Request) {
	rows, err := s.probe(r.Context())
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	s.page(w, r, "controls.html", "Controls", map[string]any{"Rows": rows, "Demo": s.o.Demo})
}
