package passkey

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// probeTenant is where probes work on the live store. No account has it.
const probeTenant = "surety-probe"

// Controls describes the passkeys. Its probe, on the live store, takes a
// ceremony twice, takes one for another session, and puts a passkey there that
// this program did not write.
func (m *Manager) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authn.passkey",
		Parameters: []controls.Parameter{
			controls.Text("relying_party", m.rp.ID), controls.Int("challenge_bits", 256), controls.Duration("ceremony", ceremonyFor),
			controls.Bool("attestation", m.o.Trust != nil), controls.Bool("trusted_only", m.o.TrustedOnly), controls.Bool("accept_counter", m.o.AcceptCounter),
		},
		Probe: m.probe,
	}}
}

func (m *Manager) probe(ctx context.Context) controls.Result {
	quiet := *m
	quiet.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	account := "probe-" + rand.Text()
	_, handle, err := quiet.BeginRegistration(ctx, probeTenant, account, "probe", "session")
	if err != nil {
		return controls.Errored("the store does not answer: %v", err)
	}
	if _, err := quiet.take(ctx, probeTenant, handle, kindRegister, "another"); !errors.Is(err, ErrRefused) {
		return controls.Failed("a ceremony was taken for another session: %v", err)
	}
	if _, err := quiet.take(ctx, probeTenant, handle, kindRegister, "session"); !errors.Is(err, ErrRefused) {
		return controls.Failed("a ceremony was taken twice: %v", err)
	}
	forged := Row{Tenant: probeTenant, Account: account, ID: rand.Text(), Rev: 1, Data: make([]byte, 200)}
	defer m.store.Delete(context.WithoutCancel(ctx), probeTenant, account, forged.ID) //nolint:errcheck // a left-over row has no account
	if ok, err := m.store.Insert(ctx, forged); err != nil || !ok {
		return controls.Errored("the store does not answer: %t, %v", ok, err)
	}
	switch yes, err := quiet.Enrolled(ctx, probeTenant, account); {
	case err != nil:
		return controls.Errored("the store does not answer: %v", err)
	case yes:
		return controls.Failed("a row that somebody else wrote counts as a passkey")
	}
	return controls.Passed("a used ceremony, one of another session and a forged row were refused on the live store")
}
