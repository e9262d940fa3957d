// Package erasure carries out a person's right to be forgotten (GDPR, Article
// 17): it destroys the person's key, which makes every sealed copy unreadable,
// backups included, then removes what is left from each place that holds data,
// and looks again whether anything remained.
//
//	eraser, err := erasure.New(keeper, log, erasure.Options{Holds: holds}, files, search)
//	report, err := eraser.Erase(ctx, tenant, subject, "request 2026-17")
//
// A legal hold wins: nothing is touched and [ErrHeld] names the reason. One
// place that can't be reached does not stop the others; the report and the
// event say what is still open, and calling Erase again resumes, because every
// step may be done twice. An erasure that could not be recorded is an error.
//
// A [Ledger] remembers, under pseudonyms, who was erased: after a backup was
// restored, [Eraser.Replay] erases again whoever came back with it, and
// whoever a crash left half erased. Erasing many people takes two: see
// [Bulk].
//
// [Files] is a place for a directory of each person; erasure/erasuresql one for
// databases, erasure/processor one for other companies.
package erasure

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// Errors of the package.
var (
	ErrHeld       = errors.New("erasure: a legal hold stands")
	ErrIncomplete = errors.New("erasure: not complete")
)

// A Destroyer destroys a person's key for good. Destroying it again succeeds.
type Destroyer interface {
	DestroySubject(ctx context.Context, tenant, subject, reason string) error
}

// A Holder tells whether a legal hold forbids erasing a person's data. An
// error counts as a hold.
type Holder interface {
	Held(ctx context.Context, tenant, subject string) (reason string, held bool, err error)
}

// A Place holds data about people outside the reach of the key: plain
// columns, files, a search index, a vendor.
type Place interface {
	// Name is the place's name in reports.
	Name() string
	// Erase removes a person's data and may be called again.
	Erase(ctx context.Context, tenant, subject string) error
	// Remains counts what is still there.
	Remains(ctx context.Context, tenant, subject string) (int, error)
}

// A Batcher is a [Place] that works in parts; legal holds are looked for before
// each.
type Batcher interface {
	Place
	// EraseBatch erases a part and reports whether nothing is left.
	EraseBatch(ctx context.Context, tenant, subject string) (done bool, err error)
}

// A Locker is a [Holder] that keeps a hold from being placed while a step
// runs: step runs if no hold stands, and who places one meanwhile waits.
type Locker interface {
	Holder
	Unheld(ctx context.Context, tenant, subject string, step func() error) error
}

// Options are the options of an [Eraser].
type Options struct {
	// Ledger remembers who was erased; nil means that a restored backup
	// brings people back, which shows in evidence.
	Ledger *Ledger
	// Holds is asked before anything is touched; nil means that the
	// application knows no legal holds, which shows in evidence.
	Holds Holder
}

// An Eraser erases people.
type Eraser struct {
	keys   Destroyer
	rec    auditlog.Recorder
	holds  Holder
	ledger *Ledger
	places []Place
}

// New makes an eraser for all places that hold personal data.
func New(keys Destroyer, rec auditlog.Recorder, o Options, places ...Place) (*Eraser, error) {
	if keys == nil || rec == nil {
		return nil, errors.New("erasure: New needs a destroyer of keys and a recorder")
	}
	seen := map[string]bool{}
	for i, p := range places {
		if p == nil || p.Name() == "" || seen[p.Name()] {
			return nil, fmt.Errorf("erasure: place %d is nil, or its name is empty or repeated", i)
		}
		seen[p.Name()] = true
	}
	return &Eraser{keys, rec, o.Holds, o.Ledger, places}, nil
}

// A Report says what became of each place.
type Report struct {
	KeyDestroyed bool
	Places       []PlaceReport
}

// A PlaceReport says what became of one place.
type PlaceReport struct {
	Name    string
	Remains int   // what a look after the erasure still found
	Err     error // why the place could not be erased or looked at
}

// Open lists the places that are not proven empty.
func (r Report) Open() []string {
	var list []string
	for _, p := range r.Places {
		if p.Err != nil || p.Remains > 0 {
			list = append(list, p.Name)
		}
	}
	return list
}

// Erase erases a person. The reason stands in the log and must not contain
// personal data.
func (e *Eraser) Erase(ctx context.Context, tenant, subject, reason string) (Report, error) {
	if tenant == "" || subject == "" || reason == "" {
		return Report{}, errors.New("erasure: tenant, subject and reason must not be empty")
	}
	if err := e.held(ctx, tenant, subject); err != nil {
		return Report{}, errors.Join(err, e.record(ctx, "privacy.erasure.request", auditlog.Denied, tenant, subject, "privacy.hold"))
	}
	if err := e.record(ctx, "privacy.erasure.request", auditlog.Success, tenant, subject, "", auditlog.String("request", reason)); err != nil {
		return Report{}, err
	}
	run, err := e.ledger.begin(ctx, tenant, subject, reason)
	if err != nil {
		return Report{}, errors.Join(err, e.complete(ctx, tenant, subject, []string{"ledger"}))
	}
	report, err := e.carryOut(ctx, run, tenant, subject, reason)
	open := report.Open()
	if !report.KeyDestroyed {
		open = append(open, "key")
	}
	if err == nil && len(open) > 0 {
		err = fmt.Errorf("%w: %v", ErrIncomplete, open)
	}
	if err != nil {
		return report, errors.Join(err, e.complete(ctx, tenant, subject, open))
	}
	// The ledger goes first: what it does not say is done is done again.
	if err := e.ledger.finish(ctx, run); err != nil {
		return report, errors.Join(err, e.complete(ctx, tenant, subject, []string{"ledger"}))
	}
	return report, e.complete(ctx, tenant, subject, nil)
}

// complete records how an erasure ended.
func (e *Eraser) complete(ctx context.Context, tenant, subject string, open []string) error {
	if len(open) > 0 {
		return e.record(ctx, "privacy.erasure.complete", auditlog.Failed, tenant, subject, "privacy.erasure", auditlog.String("open", fmt.Sprint(open)))
	}
	return e.record(ctx, "privacy.erasure.complete", auditlog.Success, tenant, subject, "", auditlog.Int("places", len(e.places)))
}

// carryOut does the steps, each only while no hold stands. A hold that is
// placed midway stops it there.
func (e *Eraser) carryOut(ctx context.Context, run *run, tenant, subject, reason string) (Report, error) {
	var report Report
	// The key goes first: it is the step that no backup can undo.
	err := e.unheld(ctx, tenant, subject, func() error { return e.keys.DestroySubject(ctx, tenant, subject, reason) })
	if errors.Is(err, ErrHeld) {
		return report, err
	}
	if err != nil {
		return report, fmt.Errorf("%w: key: %w", ErrIncomplete, err)
	}
	report.KeyDestroyed = true
	for i, p := range e.places {
		r := PlaceReport{Name: p.Name()}
		r.Err = e.empty(ctx, p, tenant, subject)
		if r.Err == nil {
			r.Remains, r.Err = p.Remains(ctx, tenant, subject)
		}
		report.Places = append(report.Places, r)
		if errors.Is(r.Err, ErrHeld) {
			for _, rest := range e.places[i+1:] {
				report.Places = append(report.Places, PlaceReport{Name: rest.Name(), Err: r.Err})
			}
			return report, r.Err
		}
		if r.Err == nil && r.Remains == 0 {
			report.Places[i].Err = e.ledger.note(ctx, run, r.Name) // what is not noted is not done
		}
	}
	return report, nil
}

// empty erases one place, part by part where it can.
func (e *Eraser) empty(ctx context.Context, p Place, tenant, subject string) error {
	b, ok := p.(Batcher)
	if !ok {
		return e.unheld(ctx, tenant, subject, func() error { return p.Erase(ctx, tenant, subject) })
	}
	for {
		var done bool
		err := e.unheld(ctx, tenant, subject, func() (err error) {
			done, err = b.EraseBatch(ctx, tenant, subject)
			return err
		})
		if done || err != nil {
			return err
		}
	}
}

// unheld runs a step if no hold stands.
func (e *Eraser) unheld(ctx context.Context, tenant, subject string, step func() error) error {
	if l, ok := e.holds.(Locker); ok {
		return l.Unheld(ctx, tenant, subject, func() error {
			if err := e.held(ctx, tenant, subject); err != nil {
				return err
			}
			return step()
		})
	}
	if err := e.held(ctx, tenant, subject); err != nil {
		return err
	}
	return step()
}

// Verify asks every place whether anything of an erased person is left, and
// records the answer.
func (e *Eraser) Verify(ctx context.Context, tenant, subject string) (Report, error) {
	if tenant == "" || subject == "" {
		return Report{}, errors.New("erasure: tenant and subject must not be empty")
	}
	var report Report
	for _, p := range e.places {
		r := PlaceReport{Name: p.Name()}
		r.Remains, r.Err = p.Remains(ctx, tenant, subject)
		report.Places = append(report.Places, r)
	}
	if open := report.Open(); len(open) > 0 {
		err := fmt.Errorf("%w: %v", ErrIncomplete, open)
		return report, errors.Join(err, e.record(ctx, "privacy.erasure.verify", auditlog.Failed, tenant, subject, "privacy.erasure", auditlog.String("open", fmt.Sprint(open))))
	}
	return report, e.record(ctx, "privacy.erasure.verify", auditlog.Success, tenant, subject, "", auditlog.Int("places", len(e.places)))
}

func (e *Eraser) held(ctx context.Context, tenant, subject string) error {
	if e.holds == nil {
		return nil
	}
	reason, held, err := e.holds.Held(ctx, tenant, subject)
	switch {
	case err != nil:
		return fmt.Errorf("%w: whether one does can't be found out: %w", ErrHeld, err)
	case held:
		return fmt.Errorf("%w: %s", ErrHeld, reason)
	}
	return nil
}

func (e *Eraser) record(ctx context.Context, action string, o auditlog.Outcome, tenant, subject, reason string, attrs ...auditlog.Attr) error {
	err := e.rec.Record(ctx, auditlog.Event{
		Action: action, Outcome: o, Tenant: tenant, Reason: reason, Attrs: attrs,
		Targets: []auditlog.Target{{Type: "subject", ID: subject}},
	})
	if err != nil {
		return fmt.Errorf("erasure: %w", err)
	}
	return nil
}

// Controls describes the eraser. The probe asks every place about a person
// who never existed: a place that can't be asked could not be erased either.
func (e *Eraser) Controls() []controls.Control {
	return []controls.Control{{
		ID: "privacy.erasure",
		Parameters: []controls.Parameter{
			controls.Int("places", len(e.places)),
			controls.Bool("legal_holds", e.holds != nil),
			controls.Bool("ledger", e.ledger != nil),
		},
		Probe: func(ctx context.Context) controls.Result {
			for _, p := range e.places {
				n, err := p.Remains(ctx, "probe", "probe")
				if err != nil {
					return controls.Errored("%s can't be searched: %v", p.Name(), err)
				}
				if n != 0 {
					return controls.Failed("%s finds data of someone who never existed", p.Name())
				}
			}
			return controls.Passed("all %d places could be searched", len(e.places))
		},
	}}
}
