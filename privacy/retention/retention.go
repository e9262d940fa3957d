// Package retention disposes of what is kept no longer: personal data after
// its period, and confidential data that is about nobody likewise.
//
//	purger, err := retention.New(holds, log, tenants, retention.Options{},
//		retention.Schedule{Target: logins, Period: classify.Period{Years: 1}})
//	reports, err := purger.Run(ctx)     // every day
//
// What a legal hold names stays, item by item, and is reported. Items go in
// batches; each batch is an event before it goes. The control fails while
// something is left a day after its end that no hold keeps.
//
// retention/retentionsql has targets in SQLite and PostgreSQL.
package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/classify"
)

// An Item is one thing that is kept: a row, a file.
type Item struct {
	ID      string
	Subject string // whom it is about; empty for nobody
}

// A Target holds items of one kind.
type Target interface {
	Name() string
	// Expired lists items that are older than a moment, by id, behind an id.
	Expired(ctx context.Context, tenant string, before time.Time, after string, limit int) ([]Item, error)
	// Dispose removes items for good, and may be called again.
	Dispose(ctx context.Context, tenant string, ids []string) error
}

// Holds runs a step unless a legal hold stands; *hold.Register is one.
type Holds interface {
	Unheld(ctx context.Context, tenant, subject string, step func() error) error
	Held(ctx context.Context, tenant, subject string) (reason string, held bool, err error)
}

// A Schedule says how long the items of a target are kept.
type Schedule struct {
	Target Target
	Period classify.Period
}

// Options are the options of a [Purger].
type Options struct {
	Batch int           // items at once; 0 is 500
	Grace time.Duration // how late disposal may be; 0 is 24 h
}

// A Purger carries schedules out. It is safe for concurrent use.
type Purger struct {
	holds     Holds
	rec       auditlog.Recorder
	tenants   func(context.Context) ([]string, error)
	schedules []Schedule
	o         Options
	now       func() time.Time
}

// New makes a purger. tenants lists whose items are looked at.
func New(holds Holds, rec auditlog.Recorder, tenants func(context.Context) ([]string, error), o Options, schedules ...Schedule) (*Purger, error) {
	if holds == nil || rec == nil || tenants == nil || len(schedules) == 0 || o.Batch < 0 || o.Grace < 0 {
		return nil, errors.New("retention: New needs holds, a recorder, the tenants and a schedule")
	}
	for _, s := range schedules {
		if s.Target == nil || s.Target.Name() == "" || s.Period.IsZero() {
			return nil, errors.New("retention: a schedule needs a named target and a period")
		}
	}
	if o.Batch == 0 {
		o.Batch = 500
	}
	if o.Grace == 0 {
		o.Grace = 24 * time.Hour
	}
	return &Purger{holds, rec, tenants, schedules, o, time.Now}, nil
}

// A Report says what became of a target's expired items.
type Report struct {
	Tenant, Target string
	Disposed, Held int
	Err            error
}

// Run disposes of everything that is over. One target that fails does not stop
// the others.
func (p *Purger) Run(ctx context.Context) ([]Report, error) {
	tenants, err := p.tenants(ctx)
	if err != nil {
		return nil, fmt.Errorf("retention: tenants: %w", err)
	}
	var reports []Report
	var errs []error
	for _, t := range tenants {
		for _, s := range p.schedules {
			r := p.purge(ctx, t, s)
			reports = append(reports, r)
			errs = append(errs, r.Err)
		}
	}
	return reports, errors.Join(errs...)
}

// begin is the moment before which items are over. A period that ended is
// counted from the item's date on, so that a month means a month.
func begin(now time.Time, period classify.Period) time.Time {
	at := now.AddDate(-period.Years, -period.Months, -period.Days)
	for period.After(at).After(now) { // months of different lengths
		at = at.AddDate(0, 0, -1)
	}
	return at
}

func (p *Purger) purge(ctx context.Context, tenant string, s Schedule) Report {
	r := Report{Tenant: tenant, Target: s.Target.Name()}
	before, after := begin(p.now(), s.Period), ""
	for {
		items, err := s.Target.Expired(ctx, tenant, before, after, p.o.Batch)
		if err != nil || len(items) == 0 {
			r.Err = err
			break
		}
		after = items[len(items)-1].ID
		if r.Err = p.batch(ctx, s.Target, tenant, items, &r); r.Err != nil {
			break
		}
	}
	if r.Err != nil {
		r.Err = fmt.Errorf("retention: %s of %s: %w", r.Target, tenant, r.Err)
		r.Err = errors.Join(r.Err, p.record(ctx, auditlog.Failed, tenant, r.Target, 0, r.Held))
	}
	return r
}

// batch disposes of the items of one person after the other, so that a hold on
// one keeps nothing else.
func (p *Purger) batch(ctx context.Context, t Target, tenant string, items []Item, r *Report) error {
	bySubject := map[string][]string{}
	var order []string
	for _, i := range items {
		if bySubject[i.Subject] == nil {
			order = append(order, i.Subject)
		}
		bySubject[i.Subject] = append(bySubject[i.Subject], i.ID)
	}
	free := order[:0]
	n := 0
	for _, subject := range order {
		_, held, err := p.holds.Held(ctx, tenant, subject)
		if err != nil {
			return err
		}
		if held {
			r.Held += len(bySubject[subject])
			continue
		}
		free = append(free, subject)
		n += len(bySubject[subject])
	}
	if n == 0 {
		return nil
	}
	if err := p.record(ctx, auditlog.Success, tenant, t.Name(), n, r.Held); err != nil {
		return err
	}
	for _, subject := range free {
		// Asked again under the lock: a hold may have come since.
		err := p.holds.Unheld(ctx, tenant, subject, func() error { return t.Dispose(ctx, tenant, bySubject[subject]) })
		if err != nil {
			return err
		}
		r.Disposed += len(bySubject[subject])
	}
	return nil
}

func (p *Purger) record(ctx context.Context, o auditlog.Outcome, tenant, target string, n, held int) error {
	return p.rec.Record(ctx, auditlog.Event{
		Action: "privacy.retention.purge", Outcome: o, Tenant: tenant, Targets: []auditlog.Target{{Type: "store", ID: target}},
		Attrs: []auditlog.Attr{auditlog.Int("items", n), auditlog.Int("held", held)},
	})
}

// overdue counts items that should have gone, without those that are held.
func (p *Purger) overdue(ctx context.Context, tenant string, s Schedule) (int, error) {
	before, after, n := begin(p.now().Add(-p.o.Grace), s.Period), "", 0
	for {
		items, err := s.Target.Expired(ctx, tenant, before, after, p.o.Batch)
		if err != nil || len(items) == 0 {
			return n, err
		}
		after = items[len(items)-1].ID
		for _, i := range items {
			_, held, err := p.holds.Held(ctx, tenant, i.Subject)
			if err != nil {
				return n, err
			}
			if !held {
				n++
			}
		}
		if n >= p.o.Batch {
			return n, nil // enough to know
		}
	}
}

// Controls describes the schedules. The probe looks for what should have gone.
func (p *Purger) Controls() []controls.Control {
	var list []controls.Control
	for _, s := range p.schedules {
		list = append(list, controls.Control{
			ID: "privacy.retention", Instance: s.Target.Name(),
			Parameters: []controls.Parameter{controls.Text("period", s.Period.String()), controls.Duration("grace", p.o.Grace)},
			Probe: func(ctx context.Context) controls.Result {
				tenants, err := p.tenants(ctx)
				if err != nil {
					return controls.Errored("tenants: %v", err)
				}
				for _, t := range tenants {
					n, err := p.overdue(ctx, t, s)
					if err != nil {
						return controls.Errored("%s: %v", s.Target.Name(), err)
					}
					if n > 0 {
						return controls.Failed("%s still has at least %d items past %s that no hold keeps", s.Target.Name(), n, s.Period)
					}
				}
				return controls.Passed("nothing past %s is left, except what is held", s.Period)
			},
		})
	}
	return list
}
