package crypto

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// ProbeTenant is the tenant whose keys the probes use. No application's tenant
// may have this name.
const ProbeTenant = "surety.probe"

// Controls lists the controls that the keeper enforces. Their probes use keys
// of [ProbeTenant] and record events with an actor of kind Probe.
func (k *Keeper) Controls() []controls.Control {
	probe := func(f func(context.Context) controls.Result) func(context.Context) controls.Result {
		return func(ctx context.Context) controls.Result {
			return f(auditlog.WithActor(ctx, auditlog.Actor{ID: "probe", Tenant: ProbeTenant, Kind: auditlog.Probe}))
		}
	}
	return []controls.Control{
		{
			ID: "crypto.envelope",
			Parameters: []controls.Parameter{
				controls.Text("algorithm", k.o.Algorithm.String()),
				controls.Duration("cache_max_age", k.o.Cache.MaxAge),
				controls.Int("cache_max_uses", k.o.Cache.MaxUses),
				controls.Bytes("cache_max_bytes", k.o.Cache.MaxBytes),
				controls.Int("cache_max_entries", k.o.Cache.MaxEntries),
			},
			Probe: probe(k.probeEnvelope),
		},
		{
			ID:         "crypto.rotation",
			Parameters: []controls.Parameter{controls.Duration("rotate_after", k.o.RotateAfter)},
			Probe:      probe(k.probeRotation),
		},
		{
			ID: "crypto.shredding",
			Parameters: []controls.Parameter{
				controls.Duration("revoke_check", k.o.Cache.RevokeCheck),
				controls.Bool("legal_holds", k.o.Holds != nil),
				controls.Bool("clears_indexes", k.o.Clear != nil),
				controls.Bool("second_person", k.o.Approver != nil),
				controls.Bool("signed_receipts", len(k.o.Signer) != 0),
				controls.Duration("backup_horizon", k.o.BackupHorizon),
			},
			Probe: probe(k.probeShredding),
		},
		{
			ID:         "crypto.kek",
			Parameters: []controls.Parameter{controls.Text("kek", k.kek.ID()), controls.Int("previous_keks", len(k.o.Previous))},
			Probe:      probe(k.probeKEK),
		},
	}
}

// probeEnvelope seals and opens a value, then changes a bit of it, then
// presents it in another place.
func (k *Keeper) probeEnvelope(ctx context.Context) controls.Result {
	b := Binding{Tenant: ProbeTenant, Table: "probe", Column: "value", Row: "1"}
	sealed, err := k.Seal(ctx, nil, []byte("probe"), b)
	if err != nil {
		return controls.Errored("sealing failed: %v", err)
	}
	if plain, err := k.Open(ctx, nil, sealed, b); err != nil || string(plain) != "probe" {
		return controls.Failed("a sealed value did not open: %v", err)
	}
	if bytes.Contains(sealed, []byte("probe")) {
		return controls.Failed("the sealed value contains the plain one")
	}
	moved := b
	moved.Row = "2"
	if _, err := k.Open(ctx, nil, sealed, moved); !errors.Is(err, ErrTampered) {
		return controls.Failed("a value moved to another row was answered with %v", err)
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := k.Open(ctx, nil, sealed, b); !errors.Is(err, ErrTampered) {
		return controls.Failed("a value with one bit changed was answered with %v", err)
	}
	return controls.Passed("a value was sealed and opened; with one bit changed, and in another row, it was refused")
}

// probeRotation replaces the probe's key and reads what the old one sealed.
func (k *Keeper) probeRotation(ctx context.Context) controls.Result {
	b := Binding{Tenant: ProbeTenant, Subject: "rotation", Purpose: "probe"}
	sealed, err := k.Seal(ctx, nil, []byte("probe"), b)
	if err != nil {
		return controls.Errored("sealing failed: %v", err)
	}
	if err := k.Rotate(ctx, Scope{Tenant: b.Tenant, Subject: b.Subject}); err != nil {
		return controls.Errored("rotating failed: %v", err)
	}
	if due, err := k.NeedsRotation(ctx, sealed, b); err != nil || !due {
		return controls.Failed("after a rotation the old key still seals (%v)", err)
	}
	if plain, err := k.Open(ctx, nil, sealed, b); err != nil || string(plain) != "probe" {
		return controls.Failed("after a rotation the old value did not open: %v", err)
	}
	return controls.Passed("a new key version took over and the old version's value still opened")
}

// probeShredding destroys the key of a person who never existed.
func (k *Keeper) probeShredding(ctx context.Context) controls.Result {
	b := Binding{Tenant: ProbeTenant, Subject: "probe-" + rand.Text(), Purpose: "probe"}
	sealed, err := k.Seal(ctx, nil, []byte("probe"), b)
	if err != nil {
		return controls.Errored("sealing failed: %v", err)
	}
	r, err := k.Destroy(ctx, b.Tenant, b.Subject, "probe")
	switch {
	case errors.Is(err, ErrHeld):
		return controls.Errored("the probe's key is held: %v", err)
	case err != nil:
		return controls.Failed("destroying failed: %v", err)
	case !r.OpenFailed || r.Keys == 0:
		return controls.Failed("the receipt names %d keys, open failed %t", r.Keys, r.OpenFailed)
	}
	if _, err := k.Open(ctx, nil, sealed, b); !errors.Is(err, ErrShredded) {
		return controls.Failed("a value under a destroyed key was answered with %v", err)
	}
	if _, err := k.Seal(ctx, nil, []byte("probe"), b); !errors.Is(err, ErrShredded) {
		return controls.Failed("a new key was made for an erased person (%v)", err)
	}
	return controls.Passed("a destroyed key opened nothing, and no new one was made for the person")
}

// probeKEK wraps a random key and unwraps it, here and elsewhere.
func (k *Keeper) probeKEK(ctx context.Context) controls.Result {
	b := Binding{Tenant: ProbeTenant, Purpose: "probe " + rand.Text()}
	dek := make([]byte, 32)
	rand.Read(dek) // never fails
	wrapped, err := k.kek.Wrap(ctx, dek, b)
	if err != nil {
		return controls.Errored("wrapping failed: %v", err)
	}
	back, err := k.kek.Unwrap(ctx, wrapped, b)
	if err != nil || !bytes.Equal(back, dek) {
		return controls.Failed("a wrapped key did not come back: %v", err)
	}
	b.Tenant = "other"
	if _, err := k.kek.Unwrap(ctx, wrapped, b); err == nil {
		return controls.Failed("a wrapped key opened for another tenant")
	}
	return controls.Passed("a key was wrapped and unwrapped, and refused for another tenant")
}
