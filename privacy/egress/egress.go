// Package egress is the gate through which personal data leaves for others, and
// the register of what left: to whom, what, for which purpose, on what ground.
//
//	out, err := egress.New(store, key, log, gate, inv)
//	err = out.Disclose(ctx, "acme", egress.Disclosure{Recipient: "Mailer", Subjects: ids, Categories: …})
//	if err != nil { return err }                    // nothing may be sent
//	list, err := out.Of(ctx, "acme", subject)       // what a person is told
//
// The recipient must be in the inventory, for the context's purpose and for
// each category; each person's data must be free for the purpose. One refusal
// refuses the whole disclosure. The register and the audit log have it before
// Disclose returns: data that left without a trace never left by this gate.
package egress

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/inventory"
	"github.com/surety-go/surety/privacy/record"
)

// ErrRefused is wrapped by every refusal.
var ErrRefused = errors.New("egress: disclosure refused")

// Recipients knows who may get what; *inventory.Inventory does.
type Recipients interface {
	Recipient(name string) (inventory.Recipient, bool)
}

// A Disclosure is personal data on its way to someone.
type Disclosure struct {
	Recipient  string
	Subjects   []string // account ids, at most 1,000
	Categories []string // of data, such as user.contact.email
	Ground     string   // further words: a court order's number; may be empty
}

// An Entry is a disclosure of one person's data in the register.
type Entry struct {
	ID, Recipient, Subject string
	Purpose                privacy.Purpose
	Categories             []string
	Ground, Country        string
	Transfer               string
	By                     string
	At                     time.Time
}

// A Gate lets data out. It is safe for concurrent use.
type Gate struct {
	book       *record.Book[Entry]
	rec        auditlog.Recorder
	gate       *privacy.Gate
	recipients Recipients
}

// New makes a gate. The key has record.KeySize bytes.
func New(store record.Store, key []byte, rec auditlog.Recorder, gate *privacy.Gate, recipients Recipients) (*Gate, error) {
	if rec == nil || gate == nil || recipients == nil {
		return nil, errors.New("egress: New needs a recorder, a gate and the recipients")
	}
	book, err := record.NewBook[Entry](store, key, "disclosure")
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	return &Gate{book, rec, gate, recipients}, nil
}

const maxSubjects = 1000

// Disclose decides whether data may go to a recipient, under the context's
// purpose, and registers it. The error wraps ErrRefused and is a
// *guard.Denial.
func (g *Gate) Disclose(ctx context.Context, tenant string, d Disclosure) error {
	r, err := g.allowed(ctx, tenant, d)
	if err != nil {
		return g.refuse(ctx, tenant, d, err)
	}
	p, now := privacy.PurposeFrom(ctx), time.Now().UTC().Truncate(time.Microsecond)
	if err := g.record(ctx, auditlog.Success, tenant, d, ""); err != nil {
		return &guard.Denial{Control: "privacy.egress", Code: guard.Unavailable, Err: errors.Join(ErrRefused, err)}
	}
	for _, s := range d.Subjects {
		e := Entry{
			ID: now.Format("20060102T150405.000000") + "-" + rand.Text(), Recipient: d.Recipient, Subject: s, Purpose: p, Categories: d.Categories,
			Ground: d.Ground, Country: r.Country, Transfer: r.Transfer, By: auditlog.ActorFrom(ctx).ID, At: now,
		}
		if err := g.book.Save(ctx, record.Entry[Entry]{Tenant: tenant, ID: e.ID, Version: 1, Subject: s, Value: e}); err != nil {
			return &guard.Denial{Control: "privacy.egress", Code: guard.Unavailable, Err: errors.Join(ErrRefused, err)}
		}
	}
	return nil
}

func (g *Gate) allowed(ctx context.Context, tenant string, d Disclosure) (inventory.Recipient, error) {
	if tenant == "" || len(d.Subjects) == 0 || len(d.Subjects) > maxSubjects || len(d.Categories) == 0 || slices.Contains(d.Subjects, "") {
		return inventory.Recipient{}, fmt.Errorf("it must name a tenant, 1 to %d people and categories", maxSubjects)
	}
	r, ok := g.recipients.Recipient(d.Recipient)
	if !ok {
		return r, errors.New("the recipient is not in the inventory")
	}
	if p := privacy.PurposeFrom(ctx); !slices.Contains(r.Purposes, p) {
		return r, errors.New("the recipient gets nothing for this purpose")
	}
	for _, c := range d.Categories {
		if !slices.ContainsFunc(r.Categories, func(x string) bool { return c == x || strings.HasPrefix(c, x+".") }) {
			return r, errors.New("the recipient does not get this category of data")
		}
	}
	for _, s := range d.Subjects {
		if err := g.gate.Check(ctx, tenant, s); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (g *Gate) refuse(ctx context.Context, tenant string, d Disclosure, cause error) error {
	err := errors.Join(ErrRefused, cause, g.record(ctx, auditlog.Denied, tenant, d, "privacy.egress"))
	return &guard.Denial{Control: "privacy.egress", Code: guard.PermissionDenied, Public: "This data may not go to this recipient.", Err: err}
}

func (g *Gate) record(ctx context.Context, o auditlog.Outcome, tenant string, d Disclosure, reason string) error {
	name := d.Recipient
	if len(name) > 128 {
		name = name[:128]
	}
	targets := []auditlog.Target{{Type: "recipient", ID: name}}
	if name == "" {
		targets = nil
	}
	for _, s := range d.Subjects[:min(len(d.Subjects), 32)] {
		if s != "" {
			targets = append(targets, auditlog.Target{Type: "subject", ID: s})
		}
	}
	return g.rec.Record(ctx, auditlog.Event{
		Action: "privacy.egress.disclose", Outcome: o, Tenant: tenant, Reason: reason, Targets: targets,
		Attrs: []auditlog.Attr{
			auditlog.String("purpose", string(privacy.PurposeFrom(ctx))), auditlog.Int("subjects", len(d.Subjects)), auditlog.String("categories", strings.Join(d.Categories, " ")),
		},
	})
}

// Of lists what was disclosed about a person, oldest first (Trust Services
// P6.7; GDPR Art. 15(1)(c)).
func (g *Gate) Of(ctx context.Context, tenant, subject string) ([]Entry, error) {
	if subject == "" {
		return nil, errors.New("egress: the subject must be given")
	}
	return g.list(ctx, tenant, record.Filter{Subject: subject})
}

func (g *Gate) list(ctx context.Context, tenant string, f record.Filter) ([]Entry, error) {
	entries, err := g.book.List(ctx, tenant, f)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	list := make([]Entry, len(entries))
	for i, e := range entries {
		list[i] = e.Value
	}
	return list, nil
}

// Recipients lists who was given a person's data, for dsr.Options.
func (g *Gate) Recipients(ctx context.Context, tenant, subject string) ([]string, error) {
	list, err := g.Of(ctx, tenant, subject)
	var names []string
	for _, e := range list {
		if !slices.Contains(names, e.Recipient) {
			names = append(names, e.Recipient)
		}
	}
	return names, err
}

// To lists the people whose data went to a recipient since a moment, for a
// breach there. It reads the register page by page.
func (g *Gate) To(ctx context.Context, tenant, recipient string, since time.Time) ([]string, error) {
	seen := map[string]bool{}
	var people []string
	for after := since.UTC().Format("20060102T150405.000000"); ; {
		page, err := g.list(ctx, tenant, record.Filter{After: after, Limit: 1000})
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e.Recipient == recipient && !seen[e.Subject] {
				seen[e.Subject] = true
				people = append(people, e.Subject)
			}
			after = e.ID
		}
		if len(page) < 1000 {
			return people, nil
		}
	}
}

// Controls describes the gate. The probe tries to send someone's data to a
// recipient that nobody declared.
func (g *Gate) Controls() []controls.Control {
	return []controls.Control{{ID: "privacy.egress", Probe: func(ctx context.Context) controls.Result {
		ctx = auditlog.WithActor(ctx, auditlog.Actor{ID: "probe", Kind: auditlog.Probe})
		err := g.Disclose(ctx, "probe", Disclosure{Recipient: "probe-undeclared", Subjects: []string{"probe"}, Categories: []string{"user.contact"}})
		if !errors.Is(err, ErrRefused) {
			return controls.Failed("data could go to a recipient nobody declared")
		}
		if _, err := g.Of(ctx, "probe", "probe"); err != nil {
			return controls.Errored("the register can't be read: %v", err)
		}
		return controls.Passed("a disclosure to a recipient nobody declared was refused")
	}}}
}
