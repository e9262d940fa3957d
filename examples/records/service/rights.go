package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/bundle"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/breach"
	"github.com/surety-go/surety/privacy/dsr"
	"github.com/surety-go/surety/privacy/erasure"
	"github.com/surety-go/surety/privacy/export"
	"github.com/surety-go/surety/privacy/hold"
	"github.com/surety-go/surety/privacy/inventory"
	"github.com/surety-go/surety/privacy/notice"
	"github.com/surety-go/surety/privacy/record"
)

// requestJSON is a request of a person as the API shows it.
type requestJSON struct {
	ID     string    `json:"id"`
	Kind   dsr.Kind  `json:"kind"`
	Regime string    `json:"regime"`
	State  dsr.State `json:"state"`
	Due    time.Time `json:"due"`
	Late   bool      `json:"late"`
}

func requestRow(r dsr.Request) requestJSON {
	return requestJSON{r.ID, r.Kind, r.Regime, r.State, r.Due, r.Late(time.Now())}
}

// ask takes in a request of the caller about their own data. Being signed in
// with a second factor just now is the proof of who asks.
func (s *Service) ask(ctx context.Context, kind dsr.Kind, regime string) (dsr.Request, error) {
	p, _ := authn.FromContext(ctx)
	target(ctx, p.ID)
	if regime == "" {
		regime = "gdpr"
	}
	r, err := s.rights.desk.Open(ctx, dsr.Ask{Tenant: p.Tenant, Subject: p.ID, Kind: kind, Regime: regime})
	if err != nil {
		return dsr.Request{}, asked(err)
	}
	if r.State == dsr.Active {
		return r, nil
	}
	r, err = s.rights.desk.VerifySession(ctx, p.Tenant, r.ID)
	return r, asked(err)
}

// asked turns the errors of requests into answers.
func asked(err error) error {
	switch {
	case errors.Is(err, dsr.ErrIdentity):
		return &guard.Denial{Control: "privacy.dsr", Code: guard.PermissionDenied, Public: "Sign in again with your second factor, then ask.", Err: err}
	case errors.Is(err, dsr.ErrAsk):
		return &guard.Denial{Control: "records.input", Code: guard.InvalidArgument, Public: "There is no such kind of request, or no such law.", Err: err}
	case errors.Is(err, erasure.ErrHeld):
		return &guard.Denial{
			Control: "privacy.hold", Code: guard.FailedPrecondition,
			Public: "A legal hold keeps this data for now. Your request stays open.", Err: err,
		}
	}
	return err
}

// askAgain is ask, unless the same is open already: asking twice is no second
// request.
func (s *Service) askAgain(ctx context.Context, kind dsr.Kind) (dsr.Request, error) {
	p, _ := authn.FromContext(ctx)
	list, err := s.rights.desk.ListOf(ctx, p.Tenant, p.ID)
	if err != nil {
		return dsr.Request{}, err
	}
	for _, r := range list {
		if r.Kind == kind && r.State == dsr.Active {
			target(ctx, p.ID)
			return r, nil
		}
	}
	return s.ask(ctx, kind, "gdpr")
}

// erase carries out the caller's wish to be forgotten. The request is taken in
// first: what can't be erased now stays open, with its deadline.
func (s *Service) erase(ctx context.Context) (erasure.Report, error) {
	request, err := s.askAgain(ctx, dsr.Erasure)
	if err != nil {
		return erasure.Report{}, err
	}
	report, err := s.eraser.Erase(ctx, request.Tenant, request.Subject, "request "+request.ID)
	if err != nil {
		return report, asked(err)
	}
	untold, err := s.rights.desk.Untold(ctx, request)
	if err != nil || len(untold) > 0 {
		return report, err // someone tells the recipients, and closes it
	}
	_, err = s.rights.desk.Fulfil(ctx, request.Tenant, request.ID, "erased")
	return report, err
}

func (s *Service) apiRequest(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Kind   dsr.Kind `json:"kind"`
		Regime string   `json:"regime"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	request, err := s.ask(r.Context(), body.Kind, body.Regime)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, requestRow(request))
}

// apiRequests lists the caller's own requests; apiQueue those of the tenant
// that are open.
func (s *Service) apiRequests(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	list, err := s.rights.desk.ListOf(r.Context(), p.Tenant, p.ID)
	s.replyRequests(w, r, list, err)
}

func (s *Service) apiQueue(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	list, err := s.rights.desk.List(r.Context(), p.Tenant, true)
	s.replyRequests(w, r, list, err)
}

func (s *Service) replyRequests(w http.ResponseWriter, r *http.Request, list []dsr.Request, err error) {
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	rows := make([]requestJSON, 0, len(list))
	for _, request := range list {
		rows = append(rows, requestRow(request))
	}
	reply(w, map[string]any{"requests": rows})
}

// apiExport answers a request for access: everything kept about the caller,
// sealed to a key that only they have.
func (s *Service) apiExport(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Recipient string `json:"recipient"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	to, err := bundle.ParseRecipient(body.Recipient)
	if err != nil {
		guard.Refuse(w, r, &guard.Denial{Control: "records.input", Code: guard.InvalidArgument, Public: "The recipient is not a public key of a bundle.", Err: err})
		return
	}
	file, err := s.export(r.Context(), to)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(file) // the caller may be gone
}

// ExportBinding is what a person's bundle is bound to; opening it needs the
// same.
func ExportBinding(tenant, id string) crypto.Binding {
	return crypto.Binding{Tenant: tenant, Subject: id, Purpose: "access request"}
}

func (s *Service) export(ctx context.Context, to *bundle.Recipient) ([]byte, error) {
	request, err := s.askAgain(ctx, dsr.Access)
	if err != nil {
		return nil, err
	}
	seal := func(w io.Writer) (io.WriteCloser, error) {
		return bundle.NewWriter(w, to, ExportBinding(request.Tenant, request.Subject))
	}
	var b bytes.Buffer
	if _, err := export.Write(ctx, &b, request.Tenant, request.Subject, request.ID, seal, s.recorder, fileSource{s.people}, s.documents); err != nil {
		return nil, err
	}
	_, err = s.rights.desk.Fulfil(ctx, request.Tenant, request.ID, fmt.Sprintf("bundle %x", sha256.Sum256(b.Bytes())))
	return b.Bytes(), err
}

// apiHold places a legal hold on people of the caller's tenant.
func (s *Service) apiHold(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Subjects []string `json:"subjects"`
		Reason   string   `json:"reason"`
	}
	err := decode(r, &body)
	if err == nil && len(body.Subjects) == 0 {
		err = &guard.Denial{Control: "records.input", Code: guard.InvalidArgument, Public: "Name the people whom the hold is about."}
	}
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	p, _ := authn.FromContext(r.Context())
	h, err := s.rights.holds.Place(r.Context(), p.Tenant, hold.Hold{Subjects: body.Subjects, Reason: body.Reason, Review: time.Now().AddDate(0, 6, 0)})
	s.replyHold(w, r, h, err)
}

func (s *Service) apiRelease(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Because string `json:"because"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	p, _ := authn.FromContext(r.Context())
	h, err := s.rights.holds.Release(r.Context(), p.Tenant, r.PathValue("id"), body.Because)
	s.replyHold(w, r, h, err)
}

func (s *Service) replyHold(w http.ResponseWriter, r *http.Request, h hold.Hold, err error) {
	if errors.Is(err, hold.ErrHold) {
		err = &guard.Denial{Control: "records.input", Code: guard.InvalidArgument, Public: "A hold needs a reason, and ends with one.", Err: err}
	}
	if err != nil {
		guard.Refuse(w, r, unknown(err))
		return
	}
	reply(w, map[string]any{"id": h.ID, "review": h.Review, "standing": h.Released.IsZero()})
}

// apiBreach adds a breach of the caller's tenant to the register and answers
// with the letter to the regulator and when it must be there.
func (s *Service) apiBreach(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Title      string      `json:"title"`
		Nature     string      `json:"nature"`
		Categories []string    `json:"categories"`
		Risk       breach.Risk `json:"risk"`
		Why        string      `json:"why"`
		People     []string    `json:"people"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	p, _ := authn.FromContext(r.Context())
	b, err := s.rights.breaches.Open(r.Context(), p.Tenant, breach.Breach{
		Title: body.Title, Nature: body.Nature, Aware: time.Now(), Categories: body.Categories,
	})
	if err == nil {
		b, err = s.rights.breaches.Assess(r.Context(), p.Tenant, b.ID, body.Risk, body.Why, body.People)
	}
	if err != nil {
		guard.Refuse(w, r, breached(err))
		return
	}
	letter, err := s.rights.breaches.RegulatorLetter(r.Context(), p.Tenant, b.ID)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"id": b.ID, "regulator_by": b.RegulatorBy(), "untold": b.Untold(), "letter": letter})
}

// apiNotified notes that someone was told of a breach.
func (s *Service) apiNotified(w http.ResponseWriter, r *http.Request) {
	var body struct {
		To      breach.To `json:"to"`
		Subject string    `json:"subject"`
		Proof   string    `json:"proof"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	p, _ := authn.FromContext(r.Context())
	b, err := s.rights.breaches.Notified(r.Context(), p.Tenant, r.PathValue("id"), breach.Notice{To: body.To, Subject: body.Subject, Proof: body.Proof})
	if err != nil {
		guard.Refuse(w, r, breached(err))
		return
	}
	reply(w, map[string]any{"id": b.ID, "untold": b.Untold(), "notices": len(b.Notices)})
}

// unknown says that a register has no such record.
func unknown(err error) error {
	if !errors.Is(err, record.ErrNotFound) {
		return err
	}
	return &guard.Denial{Control: "records.input", Code: guard.NotFound, Public: "There is no such record.", Err: err}
}

func breached(err error) error {
	if !errors.Is(err, breach.ErrBreach) {
		return unknown(err)
	}
	return &guard.Denial{Control: "privacy.breach", Code: guard.InvalidArgument, Public: "The register of breaches does not take this.", Err: err}
}

// apiDisclosures tells the caller to whom their data went.
func (s *Service) apiDisclosures(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	list, err := s.rights.out.Of(r.Context(), p.Tenant, p.ID)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	type row struct {
		Recipient  string          `json:"recipient"`
		Purpose    privacy.Purpose `json:"purpose"`
		Categories []string        `json:"categories"`
		Country    string          `json:"country"`
		At         time.Time       `json:"at"`
	}
	rows := make([]row, 0, len(list))
	for _, e := range list {
		rows = append(rows, row{e.Recipient, e.Purpose, e.Categories, e.Country, e.At})
	}
	reply(w, map[string]any{"disclosures": rows})
}

// notice is the notice in force in the caller's language, which they are now
// proven to have been shown.
func (s *Service) notice(r *http.Request) (notice.Notice, error) {
	p, _ := authn.FromContext(r.Context())
	n, err := s.rights.notices.Current(r.Context(), p.Tenant, "", append(languages(r.Header.Get("Accept-Language")), "en")...)
	if err != nil {
		return notice.Notice{}, err
	}
	return n, s.rights.notices.Show(r.Context(), p.Tenant, p.ID, n, "web")
}

// languages reads an Accept-Language header (RFC 9110, 12.5.4) in its order,
// which browsers sort by preference. The caller controls it.
func languages(header string) []string {
	var list []string
	for part := range strings.SplitSeq(header, ",") {
		tag, _, _ := strings.Cut(part, ";")
		if tag = strings.TrimSpace(tag); tag != "" && tag != "*" && len(list) < 8 {
			list = append(list, tag)
		}
	}
	return list
}

func (s *Service) apiNotice(w http.ResponseWriter, r *http.Request) {
	n, err := s.notice(r)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"version": n.Version, "locale": n.Locale, "title": n.Title, "body": n.Body, "hash": n.Hash()})
}

// article30 is the record of processing activities.
func (s *Service) article30(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := s.rights.inventory.Article30(&b, inventory.CSV); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="article-30.csv"`)
	_, _ = w.Write(b.Bytes()) // the caller may be gone
}

// A fileSource is a person's file as an answer to a request for access has it.
type fileSource struct{ *people }

// Name is the source's name in the answer.
func (fileSource) Name() string { return "people" }

// Export opens all of the person's own fields: it is they who ask.
func (f fileSource) Export(ctx context.Context, tenant, id string, yield func(string, []string, []any) error) error {
	p, err := f.read(ctx, tenant, id)
	if errors.Is(err, errNoPerson) {
		return nil
	}
	if err != nil {
		return err
	}
	return yield("people", []string{"title", "name", "email", "national_id"}, []any{p.Title, p.Name, p.Email, p.NationalID})
}

// noticesOf are one company's notices, as the monitor probes them.
type noticesOf struct {
	*notice.Register
	tenant string
}

// Controls describes the company's notices.
func (n noticesOf) Controls() []controls.Control { return n.Register.Controls(n.tenant) }
