package review

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

func equal(a, b [sha256.Size]byte) bool { return hmac.Equal(a[:], b[:]) }

// record puts a step into the log before it counts.
func (d *Desk) record(ctx context.Context, c *Campaign, verb string, i *Item, attrs ...auditlog.Attr) error {
	ev := auditlog.Event{
		Action: "authz.review." + verb, Outcome: auditlog.Success, Tenant: c.Tenant,
		Targets: []auditlog.Target{{Type: "campaign", ID: c.ID}}, Attrs: attrs,
	}
	if i != nil {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "account", ID: i.Subject}, auditlog.Target{Type: "role", ID: i.Role})
	}
	if err := d.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("review: %w", err)
	}
	return nil
}

func (d *Desk) forged(ctx context.Context, tenant, campaign string) error {
	err := d.rec.Record(ctx, auditlog.Event{
		Action: "authz.review.read", Outcome: auditlog.Failed, Tenant: tenant, Reason: "authz.review",
		Targets: []auditlog.Target{{Type: "campaign", ID: campaign}},
	})
	return errors.Join(fmt.Errorf("%w: campaign %s", ErrForged, campaign), err)
}

// Controls describes the reviews of a tenant. The probe fails when no campaign
// was closed within the interval and none is under way, when a deadline has
// passed, when a closed campaign left grants that nobody decided, and when a
// campaign does not verify.
func (d *Desk) Controls(tenant string) []controls.Control {
	return []controls.Control{{
		ID: "authz.review", Instance: tenant,
		Parameters: []controls.Parameter{
			controls.Duration("interval", d.o.Interval),
			controls.Bool("facts", d.o.Facts != nil),
			controls.Bool("reminders", d.o.Remind != nil),
		},
		Probe: func(ctx context.Context) controls.Result { return d.probe(ctx, tenant) },
	}}
}

func (d *Desk) probe(ctx context.Context, tenant string) controls.Result {
	list, err := d.List(ctx, tenant)
	switch {
	case errors.Is(err, ErrForged):
		return controls.Failed("a campaign does not verify")
	case err != nil:
		return controls.Errored("the campaigns can't be read: %v", err)
	case len(list) == 0:
		return controls.Failed("access was never reviewed")
	}
	now := d.now()
	for i := range list {
		if c := &list[i]; c.Closed.IsZero() && now.After(c.Due) {
			return controls.Failed("campaign %q is past its deadline with %d grants open", c.Name, c.unfinished())
		}
	}
	latest := &list[0]
	if age := now.Sub(latest.Started); age > d.o.Interval {
		return controls.Failed("the latest campaign, %q, began %d days ago", latest.Name, int(age.Hours()/24))
	}
	if n := len(latest.Undecided()); !latest.Closed.IsZero() && n > 0 {
		return controls.Failed("campaign %q ended with %d grants that nobody decided", latest.Name, n)
	}
	return controls.Passed("campaign %q: %d of %d grants are done", latest.Name, len(latest.Items)-latest.unfinished(), len(latest.Items))
}
