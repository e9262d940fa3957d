package crypto

import (
	"context"
	"crypto/sha256"
	"fmt"
)

const labelIndex = "surety blind index v1\x00"

// MAC returns a keyed hash of data under the current key of the tenant and
// column: what a blind index is made of, see crypto/blindindex. The keys are
// separate from those that seal. Subject and Row of b must be empty.
func (k *Keeper) MAC(ctx context.Context, data []byte, b Binding) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	s, err := indexScope(&b)
	if err != nil {
		return sum, err
	}
	e, err := k.current(ctx, s, len(data))
	if err != nil {
		return sum, err
	}
	e.mat.derive(&sum, labelIndex, append(b.AppendAAD(nil), data...))
	return sum, nil
}

// MACs is MAC under every key of the tenant and column that stands, latest
// first: while a rotation is under way, rows carry values of each.
func (k *Keeper) MACs(ctx context.Context, data []byte, b Binding) ([][sha256.Size]byte, error) {
	s, err := indexScope(&b)
	if err != nil {
		return nil, err
	}
	msg := append(b.AppendAAD(nil), data...)
	var sums [][sha256.Size]byte
	err = k.eachVersion(ctx, s, len(data), func(m *material) error {
		sums = append(sums, [sha256.Size]byte{})
		m.derive(&sums[len(sums)-1], labelIndex, msg)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sums, nil
}

// IndexScope is the scope of a column's blind index keys, for Rotate.
func IndexScope(tenant, table, column string) Scope {
	return Scope{Tenant: tenant, Use: "index " + table + " " + column}
}

func indexScope(b *Binding) (Scope, error) {
	if err := b.Validate(); err != nil {
		return Scope{}, err
	}
	if b.Table == "" || b.Column == "" || b.Row != "" || b.Subject != "" {
		return Scope{}, fmt.Errorf("%w: an index needs Table and Column, and neither Row nor Subject", ErrBinding)
	}
	return IndexScope(b.Tenant, b.Table, b.Column), nil
}
