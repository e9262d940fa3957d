package crypto

import (
	"context"
	"fmt"
	"time"
)

// SealDeterministic is Seal with [AES256SIV] under a key of the tenant and
// column alone: for columns that are compared for equality by the database.
// Row and Subject must be empty, because equal values have to be equal
// wherever they stand; prefer a blind index. Reading the column tells which
// rows are equal; there is no crypto-shredding of single subjects.
func (k *Keeper) SealDeterministic(ctx context.Context, dst, plain []byte, b Binding) ([]byte, error) {
	if err := checkDeterministic(&b); err != nil {
		return nil, err
	}
	return k.sealAs(ctx, dst, plain, &b, deterministicUse(&b))
}

// SearchDeterministic returns what a row with the value may hold: the value
// sealed under every key of the column that stands, latest first. While a
// rotation is under way, rows of each are found with WHERE column IN (…).
func (k *Keeper) SearchDeterministic(ctx context.Context, plain []byte, b Binding) ([][]byte, error) {
	if err := checkDeterministic(&b); err != nil {
		return nil, err
	}
	if len(plain) > MaxPlain {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(plain), MaxPlain)
	}
	var list [][]byte
	err := k.eachVersion(ctx, DeterministicScope(b.Tenant, b.Table, b.Column), len(plain), func(m *material) error {
		sealed, err := m.seal(nil, plain, &b)
		list = append(list, sealed)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// DeterministicScope is the scope of a column's deterministic keys, for
// Rotate.
func DeterministicScope(tenant, table, column string) Scope {
	return Scope{Tenant: tenant, Use: "siv " + table + " " + column}
}

func deterministicUse(b *Binding) string { return DeterministicScope("", b.Table, b.Column).Use }

func checkDeterministic(b *Binding) error {
	if err := b.Validate(); err != nil {
		return err
	}
	if b.Row != "" || b.Subject != "" || b.Table == "" || b.Column == "" {
		return fmt.Errorf("%w: deterministic sealing needs Table and Column, and neither Row nor Subject", ErrBinding)
	}
	return nil
}

// eachVersion calls f with every key of the scope that stands, latest first,
// a use of n bytes taken of each. The current key is asked for first, so that
// a search works before the first write, and fails for an erased tenant.
func (k *Keeper) eachVersion(ctx context.Context, s Scope, n int, f func(*material) error) error {
	if _, err := k.current(ctx, s, n); err != nil {
		return err
	}
	list, err := k.store.Versions(ctx, s)
	if err != nil {
		return unavailable(err)
	}
	for i := range list {
		if list[i].Scope != s {
			return fmt.Errorf("%w: the store answered with another key", ErrTampered)
		}
		e, err := k.load(ctx, &list[i], time.Now())
		if err != nil {
			return err
		}
		e.left.Add(-1)
		e.spend(n)
		if err := f(e.mat); err != nil {
			return err
		}
	}
	return nil
}
