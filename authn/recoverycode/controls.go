package recoverycode

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// probeTenant is where probes work on the live store. No account has it.
const probeTenant = "surety-probe"

// Controls describes recovery codes. Its probe issues codes to an account of
// its own on the live store and checks that a used one is refused.
func (c *Codes) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "authn.recoverycode",
		Parameters: []controls.Parameter{controls.Int("codes", Count), controls.Int("bits", 8*codeBytes)},
		Probe:      c.probe,
	}}
}

func (c *Codes) probe(ctx context.Context) controls.Result {
	quiet := *c
	quiet.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	account := "probe-" + rand.Text()
	defer c.store.Replace(context.WithoutCancel(ctx), probeTenant, account, nil) //nolint:errcheck // left-over codes have no account
	list, err := quiet.Issue(ctx, probeTenant, account)
	if err != nil {
		return controls.Errored("the store does not answer: %v", err)
	}
	for n, want := range []bool{true, false} {
		switch _, err := quiet.Verify(ctx, probeTenant, account, list[0]); {
		case err != nil && !errors.Is(err, ErrCode):
			return controls.Errored("verifying: %v", err)
		case (err == nil) != want:
			return controls.Failed("use %d of a code: accepted %t", n+1, err == nil)
		}
	}
	return controls.Passed("a used code was refused on the live store")
}
