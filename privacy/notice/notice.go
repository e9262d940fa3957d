// Package notice keeps the versions of privacy notices: what people are told,
// in which language and under which law, since when, and proof of what was
// shown to whom.
//
//	register, err := notice.New(store, key, log)
//	err = register.Publish(ctx, "acme", notice.Notice{Version: "2026-1", Locale: "en", Effective: day, Title: …, Body: …, Purposes: …})
//	n, err := register.Current(ctx, "acme", "EU", "de-AT", "en")
//	err = register.Show(ctx, "acme", subject, n, "web")
//
// A version is published once and never changes: its hash stands in the audit
// log. A version that names a purpose as Material says that the purpose is not
// what people agreed to before; from its effective date consent given under
// older versions no longer counts ([Register.Stands], which privacy/consent
// asks).
package notice

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/record"
)

// Errors of the package.
var (
	ErrNotice = errors.New("notice: bad notice")
	ErrNone   = errors.New("notice: none is in force")
)

// A Notice is what people are told: one version in one language under one
// law.
type Notice struct {
	Version      string    // such as "2026-1"
	Locale       string    // BCP 47, such as "de-AT"
	Jurisdiction string    // ISO 3166, "EU", or empty for everywhere else
	Effective    time.Time // from when it counts
	Title, Body  string    // the body as shown, at most 1 MiB
	// Purposes are those the notice tells of.
	Purposes []privacy.Purpose
	// Material are those that changed so that consent to earlier versions no
	// longer counts.
	Material []privacy.Purpose
	// Change says what changed, for people.
	Change string
}

// Hash is the SHA-256 of everything in the notice, in hexadecimal.
func (n Notice) Hash() string {
	n.Effective = n.Effective.UTC()
	data, err := json.Marshal(n)
	if err != nil {
		panic("notice: " + err.Error()) // strings and times always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (n Notice) id() string { return n.Version + "|" + n.Jurisdiction + "|" + n.Locale }

func (n Notice) validate() error {
	for _, f := range []struct {
		name, value string
		limit       int
	}{{"Version", n.Version, 64}, {"Locale", n.Locale, 35}, {"Title", n.Title, 1 << 10}, {"Body", n.Body, 1 << 20}} {
		if f.value == "" || len(f.value) > f.limit || f.limit < 100 && strings.Contains(f.value, "|") {
			return fmt.Errorf("%w: %s: want 1 to %d bytes", ErrNotice, f.name, f.limit)
		}
	}
	if n.Effective.IsZero() || len(n.Purposes) == 0 || strings.Contains(n.Jurisdiction, "|") || len(n.Jurisdiction) > 16 {
		return fmt.Errorf("%w: Effective, Purposes and a short Jurisdiction must be given", ErrNotice)
	}
	for _, p := range n.Material {
		if !slices.Contains(n.Purposes, p) {
			return fmt.Errorf("%w: Material: %q is not among the purposes", ErrNotice, p)
		}
	}
	if len(n.Material) > 0 && n.Change == "" {
		return fmt.Errorf("%w: Change: say what changed", ErrNotice)
	}
	return nil
}

// Shown is proof that a person was shown a notice.
type Shown struct {
	Version, Locale, Jurisdiction string
	Hash                          string
	At                            time.Time
	Channel                       string // "web", "letter"
}

// A Register keeps notices. It is safe for concurrent use.
type Register struct {
	notices *record.Book[Notice]
	shown   *record.Book[Shown]
	rec     auditlog.Recorder
	now     func() time.Time
}

// New makes a register. The key has record.KeySize bytes.
func New(store record.Store, key []byte, rec auditlog.Recorder) (*Register, error) {
	if rec == nil {
		return nil, errors.New("notice: New needs a recorder")
	}
	notices, err := record.NewBook[Notice](store, key, "notice")
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	shown, err := record.NewBook[Shown](store, key, "shown")
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	return &Register{notices, shown, rec, time.Now}, nil
}

// Publish adds a notice. Its purposes, effective date and material changes
// must be those of the version's other languages. Publishing the same again
// does nothing; another text under the same version is refused.
func (r *Register) Publish(ctx context.Context, tenant string, n Notice) error {
	if err := n.validate(); err != nil {
		return err
	}
	n.Effective = n.Effective.UTC()
	all, err := r.all(ctx, tenant)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.id() == n.id() {
			if o.Hash() == n.Hash() {
				return nil
			}
			return fmt.Errorf("%w: Version: %q was published with another text", ErrNotice, n.Version)
		}
		if o.Version == n.Version && o.Jurisdiction == n.Jurisdiction &&
			(!o.Effective.Equal(n.Effective) || !slices.Equal(o.Purposes, n.Purposes) || !slices.Equal(o.Material, n.Material)) {
			return fmt.Errorf("%w: the version's other languages differ in effective date, purposes or material changes", ErrNotice)
		}
	}
	err = r.rec.Record(ctx, auditlog.Event{
		Action: "privacy.notice.publish", Outcome: auditlog.Success, Tenant: tenant,
		Targets: []auditlog.Target{{Type: "notice", ID: n.id()}},
		Attrs:   []auditlog.Attr{auditlog.String("hash", n.Hash()), auditlog.Time("effective", n.Effective), auditlog.Int("material", len(n.Material))},
	})
	if err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	return r.notices.Save(ctx, record.Entry[Notice]{Tenant: tenant, ID: n.id(), Version: 1, Value: n})
}

func (r *Register) all(ctx context.Context, tenant string) ([]Notice, error) {
	entries, err := r.notices.List(ctx, tenant, record.Filter{})
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	list := make([]Notice, len(entries))
	for i, e := range entries {
		list[i] = e.Value
	}
	slices.SortStableFunc(list, func(a, b Notice) int {
		return cmp.Or(a.Effective.Compare(b.Effective), cmp.Compare(a.Version, b.Version))
	})
	return list, nil
}

// Current returns the notice in force: the latest effective version under the
// jurisdiction, or the one for everywhere else, in the first of the locales it
// has; "de" serves "de-AT". If it has none of them, any language is better
// than no notice.
func (r *Register) Current(ctx context.Context, tenant, jurisdiction string, locales ...string) (Notice, error) {
	all, err := r.all(ctx, tenant)
	if err != nil {
		return Notice{}, err
	}
	for _, j := range []string{jurisdiction, ""} {
		var latest []Notice
		for _, n := range all {
			if n.Jurisdiction != j || n.Effective.After(r.now()) {
				continue
			}
			if len(latest) > 0 && latest[0].Version != n.Version {
				latest = nil
			}
			latest = append(latest, n)
		}
		if len(latest) > 0 {
			return inLocale(latest, locales), nil
		}
	}
	return Notice{}, ErrNone
}

func inLocale(list []Notice, locales []string) Notice {
	for _, want := range locales {
		base, _, _ := strings.Cut(want, "-")
		for _, exact := range []string{want, base} {
			for _, n := range list {
				if strings.EqualFold(n.Locale, exact) {
					return n
				}
			}
		}
	}
	return list[0]
}

// Show keeps proof that a person was shown a notice, before it is shown: a
// notice whose showing can't be proved is not shown.
func (r *Register) Show(ctx context.Context, tenant, subject string, n Notice, channel string) error {
	if subject == "" || channel == "" || len(channel) > 64 {
		return fmt.Errorf("%w: subject and a short channel must be given", ErrNotice)
	}
	s := Shown{n.Version, n.Locale, n.Jurisdiction, n.Hash(), r.now().UTC().Truncate(time.Microsecond), channel}
	err := r.rec.Record(ctx, auditlog.Event{
		Action: "privacy.notice.show", Outcome: auditlog.Success, Tenant: tenant,
		Targets: []auditlog.Target{{Type: "subject", ID: subject}, {Type: "notice", ID: n.id()}},
		Attrs:   []auditlog.Attr{auditlog.String("hash", s.Hash), auditlog.String("channel", channel)},
	})
	if err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	id := s.At.Format("20060102T150405.000000") + "-" + rand.Text()
	return r.shown.Save(ctx, record.Entry[Shown]{Tenant: tenant, ID: id, Version: 1, Subject: subject, Value: s})
}

// ShownTo lists what a person was shown, oldest first.
func (r *Register) ShownTo(ctx context.Context, tenant, subject string) ([]Shown, error) {
	if subject == "" {
		return nil, fmt.Errorf("%w: subject must be given", ErrNotice)
	}
	entries, err := r.shown.List(ctx, tenant, record.Filter{Subject: subject})
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	list := make([]Shown, len(entries))
	for i, e := range entries {
		list[i] = e.Value
	}
	return list, nil
}

// Stands reports whether consent to a purpose under a version counts now: the
// version is effective and tells of the purpose, and no later effective one
// under the same law names it as materially changed.
func (r *Register) Stands(ctx context.Context, tenant string, p privacy.Purpose, version string) (bool, error) {
	all, err := r.all(ctx, tenant)
	if err != nil {
		return false, err
	}
	known := map[string]bool{} // the version's jurisdictions
	for _, n := range all {    // by effective date
		switch {
		case n.Effective.After(r.now()):
		case n.Version == version:
			known[n.Jurisdiction] = known[n.Jurisdiction] || slices.Contains(n.Purposes, p)
		case known[n.Jurisdiction] && slices.Contains(n.Material, p):
			return false, nil
		}
	}
	for _, ok := range known {
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// Controls describes the register for one tenant. The probe looks for a notice
// in force.
func (r *Register) Controls(tenant string) []controls.Control {
	return []controls.Control{{
		ID: "privacy.notice", Instance: tenant,
		Probe: func(ctx context.Context) controls.Result {
			n, err := r.Current(ctx, tenant, "")
			switch {
			case errors.Is(err, record.ErrTampered):
				return controls.Failed("%v", err)
			case errors.Is(err, ErrNone):
				return controls.Failed("no notice is in force")
			case err != nil:
				return controls.Errored("%v", err)
			}
			return controls.Passed("version %s of %s is in force, hash %.16s…", n.Version, n.Effective.Format(time.DateOnly), n.Hash())
		},
	}}
}
