package crypto

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/auditlog"
)

func personalBinding(tenant, subject, key string) Binding {
	return Binding{Tenant: tenant, Subject: subject, Table: "auditlog", Column: key, Purpose: "audit"}
}

// SealPersonal makes a Keeper an [auditlog.Sealer].
func (k *Keeper) SealPersonal(ctx context.Context, tenant, subject, key string, value []byte) ([]byte, error) {
	if subject == "" {
		return nil, fmt.Errorf("%w: Subject is empty", ErrBinding)
	}
	return k.Seal(ctx, nil, value, personalBinding(tenant, subject, key))
}

// OpenPersonal makes a Keeper an [auditlog.Opener]. For a destroyed key the
// error wraps auditlog.ErrErased.
func (k *Keeper) OpenPersonal(ctx context.Context, tenant, subject, key string, sealed []byte) ([]byte, error) {
	plain, err := k.Open(ctx, nil, sealed, personalBinding(tenant, subject, key))
	if errors.Is(err, ErrShredded) {
		return nil, fmt.Errorf("%w: %w", auditlog.ErrErased, err)
	}
	return plain, err
}

var (
	_ auditlog.Sealer = (*Keeper)(nil)
	_ auditlog.Opener = (*Keeper)(nil)
)
