package crypto

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// NeedsRotation reports whether a sealed value is not under its scope's
// current key. It asks for the key, but does not open the value.
func (k *Keeper) NeedsRotation(ctx context.Context, sealed []byte, b Binding) (bool, error) {
	if err := b.Validate(); err != nil {
		return false, err
	}
	h, err := Inspect(sealed)
	if err != nil {
		return false, err
	}
	e, err := k.current(ctx, Scope{b.Tenant, b.Subject, useOf(h.Algorithm, &b)}, 0)
	if err != nil {
		return false, err
	}
	return e.mat.id != h.Key, nil
}

// Reseal appends the value to dst, sealed under its scope's current key, and
// reports whether that is a new ciphertext. It opens the value only if it has
// to; what does not open is an error, never passed on.
func (k *Keeper) Reseal(ctx context.Context, dst, sealed []byte, b Binding) (out []byte, changed bool, err error) {
	due, err := k.NeedsRotation(ctx, sealed, b)
	if err != nil {
		return nil, false, err
	}
	if !due {
		return append(dst, sealed...), false, nil
	}
	plain, err := k.Open(ctx, nil, sealed, b)
	if err != nil {
		return nil, false, err
	}
	defer clear(plain)
	out, err = k.sealAs(ctx, dst, plain, &b, useOf(Algorithm(sealed[3]), &b))
	return out, err == nil, err
}

// useOf is what the key of a value does.
func useOf(a Algorithm, b *Binding) string {
	if a == AES256SIV {
		return deterministicUse(b)
	}
	return ""
}

// A Stored is a sealed value where it is stored.
type Stored struct {
	Binding
	Sealed []byte
	// Replace puts the fresh value in the old one's place, if the old one is
	// still there:
	//
	//	UPDATE people SET email = fresh WHERE id = ? AND email = sealed
	//
	// No row changed is no error: someone else has just written it.
	Replace func(ctx context.Context, fresh []byte) error
}

// ResealOptions are the options of ResealAll.
type ResealOptions struct {
	// Every is how many values are looked at between calls of Progress;
	// default 1000.
	Every int
	// Progress is told how far it has come; returning an error stops.
	Progress func(ResealReport) error
}

// A ResealReport says how far ResealAll has come.
type ResealReport struct {
	Last     Binding // the last value that is done, to go on after
	Seen     int     // values looked at
	Resealed int     // of these, sealed under a new key and replaced
	Erased   int     // of these, erased: their key was destroyed
	Tampered int     // of these, such that don't open; each is recorded
}

// ResealAll seals values anew whose keys were rotated, so that old keys serve
// no more. The values come from the application, in an order in which it can
// go on after Last:
//
//	SELECT id, email FROM people WHERE id > ? ORDER BY id
//
// Erased values are passed over. Those that don't open are left as they are,
// and are ErrTampered at the end. Any other error, of values or Replace among
// them, stops at once with the report so far.
func (k *Keeper) ResealAll(ctx context.Context, values iter.Seq2[Stored, error], o ResealOptions) (ResealReport, error) {
	var rep ResealReport
	orDefault(&o.Every, 1000)
	if o.Every < 1 {
		return rep, errors.New("crypto: ResealOptions.Every is negative")
	}
	for v, err := range values {
		if err == nil {
			err = k.resealOne(ctx, &v, &rep)
		}
		if err == nil && o.Progress != nil && rep.Seen%o.Every == 0 {
			err = o.Progress(rep)
		}
		if err != nil {
			return rep, err
		}
	}
	if rep.Tampered > 0 {
		return rep, fmt.Errorf("%w: %d of %d values", ErrTampered, rep.Tampered, rep.Seen)
	}
	return rep, nil
}

func (k *Keeper) resealOne(ctx context.Context, v *Stored, rep *ResealReport) error {
	fresh, changed, err := k.Reseal(ctx, nil, v.Sealed, v.Binding)
	switch {
	case errors.Is(err, ErrShredded):
		rep.Erased++
	case errors.Is(err, ErrTampered):
		rep.Tampered++
	case err != nil:
		return err
	case changed:
		if err := v.Replace(ctx, fresh); err != nil {
			return fmt.Errorf("crypto: a resealed value was not stored: %w", err)
		}
		rep.Resealed++
	}
	rep.Seen++
	rep.Last = v.Binding
	return nil
}
