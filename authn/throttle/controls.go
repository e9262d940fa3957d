package throttle

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// probeTenant is where probes count on the live store. No account has it.
const probeTenant = "surety-probe"

// Controls describes the throttle. Its probe fails on an account of its own
// on the live store until it has to wait.
func (t *Throttle) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.throttle",
		Parameters: []controls.Parameter{
			controls.Int("free", t.o.Free), controls.Int("client_free", t.o.ClientFree),
			controls.Duration("base", t.o.Base), controls.Duration("max", t.o.Max), controls.Int("disable", t.o.Disable),
		},
		Probe: t.probe,
	}}
}

func (t *Throttle) probe(ctx context.Context) controls.Result {
	quiet := *t
	quiet.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	at := t.now()
	quiet.now = func() time.Time { return at }
	account := Unknown + "probe-" + rand.Text()
	defer t.store.Purge(context.WithoutCancel(ctx), probeTenant, at.Add(t.o.Max)) //nolint:errcheck // the next probe purges too
	for n := range t.o.Free + 1 {
		err := quiet.Begin(ctx, probeTenant, account, netip.Addr{})
		switch {
		case err == nil && n < t.o.Free:
		case err == nil:
			return controls.Failed("failure %d of an account in a row cost no wait", n+1)
		case n < t.o.Free:
			return controls.Errored("failure %d: %v", n+1, err)
		case !errors.Is(err, ErrLocked):
			return controls.Errored("failure %d: %v", n+1, err)
		}
	}
	if err := quiet.Succeed(ctx, probeTenant, account); err != nil {
		return controls.Errored("clearing: %v", err)
	}
	if err := quiet.Begin(ctx, probeTenant, account, netip.Addr{}); err != nil {
		return controls.Errored("after a success: %v", err)
	}
	return controls.Passed("failure %d in a row had to wait, on the live store", t.o.Free+1)
}
