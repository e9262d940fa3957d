// Package breach keeps the register of personal data breaches (GDPR, Articles
// 33 and 34): what happened, whose data, who had to be told by when, and proof
// that they were.
//
//	b, err := register.Open(ctx, "acme", breach.Breach{Title: "laptop lost", Aware: now, Categories: …})
//	b, err = register.Assess(ctx, "acme", b.ID, breach.High, "disk not encrypted", people)
//	letter, err := register.RegulatorLetter(ctx, "acme", b.ID)
//	b, err = register.Notified(ctx, "acme", b.ID, breach.Notice{To: breach.Regulator, Proof: "receipt 4711"})
//
// The clock runs from when the controller became aware, for 72 hours straight:
// weekends count (Regulation 1182/71, Article 3, keeps hours as hours). A
// breach that is no likely risk needs no notice, but a reason; one of high
// risk needs the people told as well. The control fails while a notice is late.
package breach

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"text/template"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy/record"
)

// ErrBreach is wrapped by errors about what is asked of a register.
var ErrBreach = errors.New("breach: not possible")

// RegulatorTime is how long the regulator may wait (GDPR Art. 33(1)).
const RegulatorTime = 72 * time.Hour

// A Risk is what a breach means for the people concerned.
type Risk string

// The risks.
const (
	Unassessed Risk = ""         // counts as Likely
	Unlikely   Risk = "unlikely" // no notice (Art. 33(1))
	Likely     Risk = "likely"   // the regulator is told
	High       Risk = "high"     // the people are told too, without undue delay (Art. 34)
)

// To is who is told.
type To string

// Who is told.
const (
	Regulator To = "regulator"
	Person    To = "person"
)

// A Notice is proof that someone was told.
type Notice struct {
	To      To
	Subject string // the person's account id
	At      time.Time
	Proof   string // where the receipt is kept
	Late    string // why it is late, if the regulator's is (Art. 33(1))
}

// A Breach is an entry of the register.
type Breach struct {
	ID           string
	Title        string    // no personal data
	Aware        time.Time // when the controller became aware
	Happened     time.Time
	Nature       string // Art. 33(3)(a)
	Categories   []string
	Consequences string // Art. 33(3)(c)
	Measures     string // Art. 33(3)(d)
	Risk         Risk
	Why          string // of the risk
	People       []string
	Notices      []Notice
	Closed       time.Time
	Overdue      bool
}

// RegulatorBy is when the regulator must be told, or zero if it need not be.
func (b Breach) RegulatorBy() time.Time {
	if b.Risk == Unlikely {
		return time.Time{}
	}
	return b.Aware.Add(RegulatorTime)
}

// told reports whether someone was told.
func (b Breach) told(to To, subject string) bool {
	return slices.ContainsFunc(b.Notices, func(n Notice) bool { return n.To == to && n.Subject == subject })
}

// Untold lists the people who must be told and were not.
func (b Breach) Untold() []string {
	if b.Risk != High {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(b.People), func(s string) bool { return b.told(Person, s) })
}

// Late reports whether a notice is late. People must be told without undue
// delay; here that is taken as by the time the regulator is.
func (b Breach) Late(now time.Time) bool {
	by := b.RegulatorBy()
	return !by.IsZero() && !now.Before(by) && (!b.told(Regulator, "") || len(b.Untold()) > 0)
}

// Options are the options of a [Register].
type Options struct {
	// Controller and Contact stand in the letters.
	Controller, Contact string
}

// A Register keeps breaches. It is safe for concurrent use.
type Register struct {
	book    *record.Book[Breach]
	rec     auditlog.Recorder
	tenants func(context.Context) ([]string, error)
	o       Options
	now     func() time.Time
}

// New makes a register. The key has record.KeySize bytes; tenants lists whose
// breaches [Register.Sweep] and the probe look at.
func New(store record.Store, key []byte, rec auditlog.Recorder, tenants func(context.Context) ([]string, error), o Options) (*Register, error) {
	if rec == nil || tenants == nil || o.Controller == "" || o.Contact == "" {
		return nil, errors.New("breach: New needs a recorder, the tenants, and the controller's name and contact")
	}
	book, err := record.NewBook[Breach](store, key, "breach")
	if err != nil {
		return nil, fmt.Errorf("breach: %w", err)
	}
	return &Register{book, rec, tenants, o, time.Now}, nil
}

// Open adds a breach.
func (r *Register) Open(ctx context.Context, tenant string, b Breach) (Breach, error) {
	if tenant == "" || b.Title == "" || len(b.Title) > auditlog.MaxName || b.Aware.IsZero() || b.Aware.After(r.now()) {
		return Breach{}, fmt.Errorf("%w: a tenant, a title and since when it is known must be given", ErrBreach)
	}
	b.ID, b.Notices, b.Closed, b.Overdue = rand.Text(), nil, time.Time{}, false
	if err := r.record(ctx, "open", tenant, b); err != nil {
		return Breach{}, err
	}
	return b, r.book.Save(ctx, record.Entry[Breach]{Tenant: tenant, ID: b.ID, Version: 1, Open: true, Value: b})
}

// Assess states the risk with its reason, and whose data it was: as the
// inventory and the disclosure register say (egress.Gate.To). People are
// added, never taken away.
func (r *Register) Assess(ctx context.Context, tenant, id string, risk Risk, why string, people []string) (Breach, error) {
	if !slices.Contains([]Risk{Unlikely, Likely, High}, risk) || why == "" {
		return Breach{}, fmt.Errorf("%w: a risk and its reason must be given", ErrBreach)
	}
	return r.change(ctx, tenant, id, "assess", func(b *Breach) error {
		b.Risk, b.Why = risk, why
		for _, p := range people {
			if p != "" && !slices.Contains(b.People, p) {
				b.People = append(b.People, p)
			}
		}
		return nil
	})
}

// Notified notes that someone was told, with proof. The regulator's notice
// must give reasons when it is late.
func (r *Register) Notified(ctx context.Context, tenant, id string, n Notice) (Breach, error) {
	if n.Proof == "" || n.To != Regulator && n.To != Person || (n.To == Person) != (n.Subject != "") {
		return Breach{}, fmt.Errorf("%w: who was told, and proof of it, must be given", ErrBreach)
	}
	if n.At.IsZero() {
		n.At = r.now().UTC()
	}
	return r.change(ctx, tenant, id, "notify", func(b *Breach) error {
		if by := b.RegulatorBy(); n.To == Regulator && !by.IsZero() && n.At.After(by) && n.Late == "" {
			return fmt.Errorf("%w: a notice after 72 hours must say why (Art. 33(1))", ErrBreach)
		}
		b.Notices = append(slices.Clone(b.Notices), n)
		return nil
	})
}

// Close closes a breach that was assessed and whose notices were given.
func (r *Register) Close(ctx context.Context, tenant, id, measures string) (Breach, error) {
	return r.change(ctx, tenant, id, "close", func(b *Breach) error {
		switch {
		case b.Risk == Unassessed || measures == "":
			return fmt.Errorf("%w: the risk and the measures must be stated first", ErrBreach)
		case b.Risk != Unlikely && !b.told(Regulator, ""):
			return fmt.Errorf("%w: the regulator was not told", ErrBreach)
		case len(b.Untold()) > 0:
			return fmt.Errorf("%w: %d people were not told", ErrBreach, len(b.Untold()))
		}
		b.Measures, b.Closed = measures, r.now().UTC()
		return nil
	})
}

// Get returns a breach.
func (r *Register) Get(ctx context.Context, tenant, id string) (Breach, error) {
	e, err := r.book.Load(ctx, tenant, id)
	return e.Value, err
}

// List lists a tenant's breaches, or the open ones alone: the register that a
// regulator may ask for (Art. 33(5)).
func (r *Register) List(ctx context.Context, tenant string, openOnly bool) ([]Breach, error) {
	entries, err := r.book.List(ctx, tenant, record.Filter{OpenOnly: openOnly})
	if err != nil {
		return nil, fmt.Errorf("breach: %w", err)
	}
	list := make([]Breach, len(entries))
	for i, e := range entries {
		list[i] = e.Value
	}
	return list, nil
}

func (r *Register) change(ctx context.Context, tenant, id, action string, f func(*Breach) error) (Breach, error) {
	e, err := r.book.Update(ctx, tenant, id, func(e *record.Entry[Breach]) error {
		if !e.Open {
			return fmt.Errorf("%w: it is closed", ErrBreach)
		}
		if err := f(&e.Value); err != nil {
			return err
		}
		e.Open = e.Value.Closed.IsZero()
		return r.record(ctx, action, tenant, e.Value) // before it counts
	})
	return e.Value, err
}

func (r *Register) record(ctx context.Context, action, tenant string, b Breach) error {
	err := r.rec.Record(ctx, auditlog.Event{
		Action: "privacy.breach." + action, Outcome: auditlog.Success, Tenant: tenant, Targets: []auditlog.Target{{Type: "breach", ID: b.ID}},
		Attrs: []auditlog.Attr{
			auditlog.String("risk", string(b.Risk)), auditlog.Int("people", len(b.People)), auditlog.Int("notices", len(b.Notices)), auditlog.Time("aware", b.Aware),
		},
	})
	if err != nil {
		return fmt.Errorf("breach: %w", err)
	}
	return nil
}

// Sweep records an event for each breach whose notice has become late, and
// returns those that are. Run it every hour.
func (r *Register) Sweep(ctx context.Context) ([]Breach, error) {
	tenants, err := r.tenants(ctx)
	if err != nil {
		return nil, fmt.Errorf("breach: tenants: %w", err)
	}
	var late []Breach
	for _, t := range tenants {
		list, err := r.List(ctx, t, true)
		if err != nil {
			return late, err
		}
		for _, b := range list {
			if !b.Late(r.now()) {
				continue
			}
			late = append(late, b)
			if b.Overdue {
				continue
			}
			if _, err := r.change(ctx, t, b.ID, "lapse", func(b *Breach) error { b.Overdue = true; return nil }); err != nil {
				return late, err
			}
		}
	}
	return late, nil
}

// Controls describes the register. The probe fails while a notice is late.
func (r *Register) Controls() []controls.Control {
	return []controls.Control{{
		ID: "privacy.breach", Parameters: []controls.Parameter{controls.Duration("regulator_within", RegulatorTime)},
		Probe: func(ctx context.Context) controls.Result {
			tenants, err := r.tenants(ctx)
			if err != nil {
				return controls.Errored("tenants: %v", err)
			}
			open, late := 0, 0
			for _, t := range tenants {
				list, err := r.List(ctx, t, true)
				if errors.Is(err, record.ErrTampered) {
					return controls.Failed("%v", err)
				}
				if err != nil {
					return controls.Errored("%v", err)
				}
				for _, b := range list {
					open++
					if b.Late(r.now()) {
						late++
					}
				}
			}
			if late > 0 {
				return controls.Failed("the notices of %d of %d open breaches are late", late, open)
			}
			return controls.Passed("%d breaches are open, no notice is late", open)
		},
	}}
}

// RegulatorLetter writes the notice to the regulator with what Article 33(3)
// asks for; what is not known yet is said to follow (Art. 33(4)).
func (r *Register) RegulatorLetter(ctx context.Context, tenant, id string) (string, error) {
	return r.letter(ctx, tenant, id, regulatorLetter)
}

// PersonLetter writes the notice to the people concerned, in plain language
// (Art. 34(2)). It is the same for all and names no one.
func (r *Register) PersonLetter(ctx context.Context, tenant, id string) (string, error) {
	return r.letter(ctx, tenant, id, personLetter)
}

func (r *Register) letter(ctx context.Context, tenant, id string, t *template.Template) (string, error) {
	b, err := r.Get(ctx, tenant, id)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, struct {
		Breach
		Options
	}{b, r.o}); err != nil {
		return "", fmt.Errorf("breach: letter: %w", err)
	}
	return out.String(), nil
}

var regulatorLetter = template.Must(template.New("regulator").Parse(`Notification of a personal data breach (GDPR, Article 33)

Controller: {{.Controller}}. Contact for more information: {{.Contact}}.
Reference: {{.ID}}. Aware since: {{.Aware.UTC.Format "2006-01-02 15:04 UTC"}}.{{if not .Happened.IsZero}} Happened: {{.Happened.UTC.Format "2006-01-02 15:04 UTC"}}.{{end}}

Nature of the breach: {{or .Nature "to follow"}}
Categories of data: {{range $i, $c := .Categories}}{{if $i}}, {{end}}{{$c}}{{else}}to follow{{end}}
People concerned, about: {{if .People}}{{len .People}}{{else}}to follow{{end}}
Likely consequences: {{or .Consequences "to follow"}}
Risk: {{or .Risk "being assessed"}}{{with .Why}} ({{.}}){{end}}
Measures taken or proposed: {{or .Measures "to follow"}}
`))

var personLetter = template.Must(template.New("person").Parse(`What happened to your data

{{.Controller}} has found that personal data was exposed. We learned of it on {{.Aware.UTC.Format "2 January 2006"}}.

What happened: {{or .Nature "We are still finding out, and will write again."}}
Which data: {{range $i, $c := .Categories}}{{if $i}}, {{end}}{{$c}}{{else}}We will write again.{{end}}
What it may mean for you: {{or .Consequences "We will write again."}}
What we do about it: {{or .Measures "We will write again."}}

Ask us: {{.Contact}}. You may complain to your data protection authority.
`))
