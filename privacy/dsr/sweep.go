package dsr

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/controls"
)

// Sweep looks at all open requests and records an event for each that has
// become late since the last time. It returns those that are late. Run it
// every hour.
func (d *Desk) Sweep(ctx context.Context) ([]Request, error) {
	open, err := d.all(ctx)
	if err != nil {
		return nil, err
	}
	var late []Request
	var errs []error
	for _, r := range open {
		if !r.Late(d.now()) && !r.LateToConfirm(d.now()) {
			continue
		}
		late = append(late, r)
		if r.Overdue {
			continue
		}
		_, err := d.change(ctx, r.Tenant, r.ID, "lapse", "", func(r *Request) error {
			r.Overdue = true
			return nil
		})
		if !errors.Is(err, ErrConflict) { // someone works on it: next time
			errs = append(errs, err)
		}
	}
	return late, errors.Join(errs...)
}

func (d *Desk) all(ctx context.Context) ([]Request, error) {
	tenants, err := d.tenants(ctx)
	if err != nil {
		return nil, fmt.Errorf("dsr: tenants: %w", err)
	}
	var open []Request
	for _, t := range tenants {
		list, err := d.List(ctx, t, true)
		if err != nil {
			return nil, err
		}
		open = append(open, list...)
	}
	return open, nil
}

// Controls describes the desk. The probe fails while a request is late, and
// when a record does not verify.
func (d *Desk) Controls() []controls.Control {
	var names string
	for _, g := range sortedRegimes(d.regimes) {
		names += g + " "
	}
	return []controls.Control{{
		ID: "privacy.dsr",
		Parameters: []controls.Parameter{
			controls.Text("regimes", names[:len(names)-1]),
			controls.Text("erasure_needs", d.level(Erasure).String()),
			controls.Bool("recipients_known", d.o.Recipients != nil),
		},
		Probe: d.probe,
	}}
}

func (d *Desk) probe(ctx context.Context) controls.Result {
	open, err := d.all(ctx)
	switch {
	case errors.Is(err, ErrTampered):
		return controls.Failed("%v", err)
	case err != nil:
		return controls.Errored("%v", err)
	}
	late, unconfirmed := 0, 0
	for _, r := range open {
		if r.Late(d.now()) {
			late++
		}
		if r.LateToConfirm(d.now()) {
			unconfirmed++
		}
	}
	if late+unconfirmed > 0 {
		return controls.Failed("of %d open requests %d are late to be answered and %d to be confirmed", len(open), late, unconfirmed)
	}
	return controls.Passed("none of %d open requests is late", len(open))
}
