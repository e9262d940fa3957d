package otp

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// probeTenant is where probes work on the live store. No account has it.
const probeTenant = "surety-probe"

// Controls describes codes out of band. Its probe, on an account of its own on
// the live store and sending nothing, tries a code from another request, a
// wrong one and a used one.
func (c *Codes) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.otp",
		Parameters: []controls.Parameter{
			controls.Int("digits", c.o.Digits), controls.Duration("lifetime", c.o.For),
			controls.Int("per_hour", c.o.PerHour), controls.Int("failures", c.o.Failures),
		},
		Probe: c.probe,
	}}
}

type caught struct{ code string }

func (s *caught) Send(_ context.Context, m Message) error {
	s.code = m.Code
	return nil
}

func (c *Codes) probe(ctx context.Context) controls.Result {
	quiet, box := *c, &caught{}
	quiet.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	quiet.sender = box
	const account, purpose = "probe", "probe"
	if err := quiet.Reset(ctx, probeTenant, account, purpose); err != nil {
		return controls.Errored("the store does not answer: %v", err)
	}
	handle, err := quiet.Send(ctx, Request{Tenant: probeTenant, Account: account, Purpose: purpose, Channel: Email, To: "probe"})
	if err != nil {
		return controls.Errored("sending: %v", err)
	}
	right := Answer{probeTenant, account, purpose, handle, box.code}
	elsewhere, wrong := right, right
	elsewhere.Handle, wrong.Code = rand.Text(), box.code+"0"
	for _, step := range []struct {
		what string
		a    Answer
		ok   bool
	}{{"a code from another request", elsewhere, false}, {"a wrong code", wrong, false}, {"the right code", right, true}, {"a used code", right, false}} {
		switch err := quiet.Verify(ctx, step.a); {
		case err != nil && !errors.Is(err, ErrCode):
			return controls.Errored("%s: %v", step.what, err)
		case (err == nil) != step.ok:
			return controls.Failed("%s: accepted %t", step.what, err == nil)
		}
	}
	return controls.Passed("a code from another request, a wrong and a used one were refused on the live store")
}
