package service

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/consent"
)

// fileJSON is a file as the API shows it.
type fileJSON struct {
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"`
	Title      string `json:"title,omitempty"`
	Email      string `json:"email,omitempty"`
	NationalID string `json:"national_id,omitempty"`
	Version    int64  `json:"version"`
}

func toJSON(p Person) fileJSON {
	return fileJSON{p.ID, p.Name, p.Title, p.Email, p.NationalID, p.Version}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}

// decode reads a request's JSON body. Its size is the chain's to limit.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more than one value")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &guard.Denial{Control: "guard.limits", Code: guard.ResourceExhausted, Status: http.StatusRequestEntityTooLarge, Public: "The body is too large.", Err: err}
	case err != nil:
		return &guard.Denial{Control: "records.input", Code: guard.InvalidArgument, Public: "The body is not the JSON this address takes.", Err: err}
	}
	return nil
}

func (s *Service) apiList(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	people, err := s.people.list(r.Context(), p.Tenant)
	if err != nil {
		guard.Refuse(w, r, refusal(err))
		return
	}
	files := make([]fileJSON, 0, len(people))
	for _, person := range people {
		files = append(files, fileJSON{ID: person.ID, Name: person.Name, Title: person.Title, Version: person.Version})
	}
	reply(w, map[string]any{"files": files})
}

// apiSearch finds files by e-mail address, for a purpose that may use it.
func (s *Service) apiSearch(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	ids, err := s.people.find(r.Context(), p.Tenant, r.URL.Query().Get("email"))
	for _, id := range ids {
		if err == nil {
			err = s.gate.Check(r.Context(), p.Tenant, id)
		}
	}
	if err != nil {
		guard.Refuse(w, r, refusal(err))
		return
	}
	reply(w, map[string]any{"ids": ids})
}

func (s *Service) apiRead(w http.ResponseWriter, r *http.Request) {
	person, err := s.openFile(r.Context(), r.PathValue("id"))
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, toJSON(person))
}

func (s *Service) apiUpdate(w http.ResponseWriter, r *http.Request) {
	var c edit
	if err := decode(r, &c); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	person, err := s.updateFile(r.Context(), r.PathValue("id"), c)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, toJSON(person))
}

// apiMe tells a person who they are to the service.
func (s *Service) apiMe(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	reply(w, map[string]any{"id": p.ID, "tenant": p.Tenant, "roles": s.roles(p), "aal": p.AAL, "methods": p.Methods})
}

// apiConsent gives or withdraws the caller's own consent.
func (s *Service) apiConsent(given bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Purpose string `json:"purpose"`
		}
		if err := decode(r, &body); err != nil {
			guard.Refuse(w, r, err)
			return
		}
		e, receipt, err := s.choose(r, body.Purpose, given)
		if err != nil {
			guard.Refuse(w, r, err)
			return
		}
		reply(w, map[string]any{"purpose": e.Purpose, "given": e.Given, "seq": e.Seq, "notice": e.Notice, "receipt": receipt})
	}
}

// choose enters the caller's decision about a purpose that asks for one, after
// they were shown the notice in force, and signs a receipt for it.
func (s *Service) choose(r *http.Request, purpose string, given bool) (e consent.Entry, receipt string, err error) {
	p, _ := authn.FromContext(r.Context())
	asks := false
	for _, d := range s.gate.Purposes() {
		asks = asks || d.Basis == privacy.Consent && string(d.Purpose) == purpose
	}
	if !asks {
		return consent.Entry{}, "", &guard.Denial{Control: "privacy.consent", Code: guard.InvalidArgument, Public: "Consent is not asked for this purpose."}
	}
	n, err := s.notice(r)
	if err != nil {
		return consent.Entry{}, "", err
	}
	c := consent.Choice{Tenant: p.Tenant, Subject: p.ID, Purpose: privacy.Purpose(purpose), Notice: n.Version, Method: "signed in"}
	if given {
		e, err = s.ledger.Give(r.Context(), c)
	} else {
		e, err = s.ledger.Withdraw(r.Context(), c)
	}
	if err != nil {
		return consent.Entry{}, "", err
	}
	receipt, err = s.rights.receipts.Issue(e, n.Hash())
	return e, receipt, err
}

// apiErase erases the caller's own file.
func (s *Service) apiErase(w http.ResponseWriter, r *http.Request) {
	report, err := s.erase(r.Context())
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"key_destroyed": report.KeyDestroyed, "places": len(report.Places), "open": report.Open()})
}

// apiControls tries every control of the running service.
func (s *Service) apiControls(w http.ResponseWriter, r *http.Request) {
	rows, err := s.probe(r.Context(), r.URL.Query()["id"]...)
	if errors.Is(err, monitor.ErrUnknown) {
		err = &guard.Denial{Code: guard.NotFound, Public: "There is no such control.", Err: err}
	}
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"demo": s.o.Demo, "controls": rows})
}

// A controlRow is one control's result with what it means.
type controlRow struct {
	Key      string         `json:"key"`
	Title    string         `json:"title"`
	Criteria string         `json:"criteria"`
	State    controls.State `json:"state"`
	Observed string         `json:"observed"`
}
