package totp

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// probeTenant is where probes enrol on the live store. No account has it.
const probeTenant = "surety-probe"

// Controls describes one-time codes. Its probe enrols an account of its own
// on the live store and checks that an accepted code is not accepted again,
// nor one of an earlier step.
func (v *Verifier) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.totp",
		Parameters: []controls.Parameter{
			controls.Int("digits", digits), controls.Duration("period", period*time.Second), controls.Int("skew_steps", v.o.Skew),
			controls.Int("seed_bits", 8*seedLength), controls.Duration("enrol_for", v.o.EnrolFor),
		},
		Probe: v.probe,
	}}
}

func (v *Verifier) probe(ctx context.Context) controls.Result {
	quiet := *v
	quiet.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	at := v.now()
	quiet.now = func() time.Time { return at }
	account := "probe-" + rand.Text()
	defer v.store.Delete(context.WithoutCancel(ctx), probeTenant, account) //nolint:errcheck // a left-over enrolment has no account
	e, err := quiet.Enrol(ctx, probeTenant, account, "probe")
	if err != nil {
		return controls.Errored("enrolling: %v", err)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(e.Secret)
	if err != nil {
		return controls.Errored("the secret is not base32")
	}
	code := func(offset int64) string {
		return fmt.Sprintf("%06d", hotp(seed, uint64(at.Unix()/period+offset))) //nolint:gosec // after 1970
	}
	if err := quiet.Confirm(ctx, probeTenant, account, code(0)); err != nil {
		return controls.Errored("confirming: %v", err)
	}
	for _, offset := range []int64{0, -1, 10} {
		switch err := quiet.Verify(ctx, probeTenant, account, code(offset)); {
		case err == nil:
			return controls.Failed("after a code was accepted, the one %d steps away was accepted", offset)
		case !errors.Is(err, ErrUsed) && !errors.Is(err, ErrCode):
			return controls.Errored("verifying: %v", err)
		}
	}
	return controls.Passed("a used code, an earlier and a far one were refused on the live store")
}
