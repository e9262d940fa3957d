package consent

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"

	"github.com/surety-go/surety/privacy"
)

// BannerOptions are the options of a [Banner].
type BannerOptions struct {
	// Back is the path that a form without JavaScript returns to; empty is
	// "/".
	Back string
	// Notice returns the version of the notice that the request is shown.
	// Without it the banner can't be made.
	Notice func(r *http.Request) string
	// Who returns whom the request is about: the account, or the random id of
	// a visitor's cookie. Without it the banner can't be made.
	Who func(r *http.Request) (tenant, subject string, err error)
}

// A Banner is the endpoint of a consent banner. GET answers with the choices
// as they are; POST with the fields "purpose" and "choice", which is "give" or
// "withdraw", as a form or as JSON, makes one: both ways the same one call.
// The answer says whether the browser sent Sec-GPC; what that forbids, a
// [privacy.Gate] refuses.
type Banner struct {
	ledger   *Ledger
	purposes []privacy.Purpose
	o        BannerOptions
	handler  http.Handler
}

// NewBanner makes a banner for the purposes that rest on consent. Requests
// from other origins are refused.
func NewBanner(l *Ledger, purposes []privacy.Purpose, o BannerOptions) (*Banner, error) {
	if l == nil || len(purposes) == 0 || o.Notice == nil || o.Who == nil {
		return nil, errors.New("consent: NewBanner needs a ledger, purposes, the notice and whom a request is about")
	}
	if o.Back == "" {
		o.Back = "/"
	}
	if o.Back[0] != '/' || len(o.Back) > 1 && (o.Back[1] == '/' || o.Back[1] == '\\') {
		return nil, errors.New("consent: Back must be a path on this host")
	}
	b := &Banner{ledger: l, purposes: purposes, o: o}
	b.handler = http.NewCrossOriginProtection().Handler(http.HandlerFunc(b.serve))
	return b, nil
}

// ServeHTTP serves the banner.
func (b *Banner) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.handler.ServeHTTP(w, r) }

type bannerState struct {
	Notice  string                   `json:"notice"`
	GPC     bool                     `json:"gpc"`
	Choices map[privacy.Purpose]bool `json:"choices"`
}

type bannerChoice struct {
	Purpose privacy.Purpose `json:"purpose"`
	Choice  string          `json:"choice"`
}

func (b *Banner) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	tenant, subject, err := b.o.Who(r)
	switch {
	case err != nil || tenant == "" || subject == "":
		http.Error(w, "It is not known whose choice this is.", http.StatusForbidden)
	case r.Method == http.MethodGet:
		b.state(w, r, tenant, subject)
	case r.Method == http.MethodPost:
		b.choose(w, r, tenant, subject)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	}
}

func (b *Banner) state(w http.ResponseWriter, r *http.Request, tenant, subject string) {
	s := bannerState{b.o.Notice(r), GPC(r.Header.Values), map[privacy.Purpose]bool{}}
	for _, p := range b.purposes {
		ok, err := b.ledger.Consented(r.Context(), tenant, subject, p)
		if err != nil {
			http.Error(w, "The choices can't be read now.", http.StatusServiceUnavailable)
			return
		}
		s.Choices[p] = ok
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // the caller has gone away
}

func (b *Banner) choose(w http.ResponseWriter, r *http.Request, tenant, subject string) {
	c, form, err := readChoice(w, r)
	if err != nil || !slices.Contains(b.purposes, c.Purpose) || c.Choice != "give" && c.Choice != "withdraw" {
		http.Error(w, `Want "purpose", one that is asked for, and "choice", "give" or "withdraw".`, http.StatusBadRequest)
		return
	}
	change := map[string]func(context.Context, Choice) (Entry, error){"give": b.ledger.Give, "withdraw": b.ledger.Withdraw}[c.Choice]
	_, err = change(r.Context(), Choice{Tenant: tenant, Subject: subject, Purpose: c.Purpose, Notice: b.o.Notice(r), Method: "banner"})
	switch {
	case errors.Is(err, ErrChoice):
		http.Error(w, "This choice is not possible.", http.StatusBadRequest)
	case err != nil:
		http.Error(w, "The choice could not be kept. Try again.", http.StatusServiceUnavailable)
	case form:
		http.Redirect(w, r, b.o.Back, http.StatusSeeOther)
	default:
		b.state(w, r, tenant, subject)
	}
}

// readChoice reads at most 4 KiB.
func readChoice(w http.ResponseWriter, r *http.Request) (c bannerChoice, form bool, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		return c, false, d.Decode(&c)
	}
	if err := r.ParseForm(); err != nil {
		return c, true, err
	}
	return bannerChoice{privacy.Purpose(r.PostForm.Get("purpose")), r.PostForm.Get("choice")}, true, nil
}
