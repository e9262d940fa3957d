package kms

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/crypto"
)

// Tenants is a KEK that wraps every tenant's keys with that tenant's own:
// bring your own key. What the tenant takes away, only the keeper's cache
// still opens, and that for its CachePolicy.MaxAge.
type Tenants struct {
	id     string
	lookup Lookup
}

// A Lookup returns a tenant's KEKs: the first wraps, the others still unwrap
// what they wrapped. It returns an error for a tenant that it does not know;
// for those without a key of their own it returns the operator's. It is
// called for every key that is wrapped or unwrapped, and only with tenants
// that the application named.
type Lookup func(ctx context.Context, tenant string) ([]crypto.KEK, error)

var _ crypto.KEK = (*Tenants)(nil)

// NewTenants returns the KEK. After a tenant has changed its key, a new id,
// with the old one in crypto.Options.Previous, makes crypto.Keeper.Rewrap wrap
// the tenant's keys anew.
func NewTenants(id string, lookup Lookup) (*Tenants, error) {
	if id == "" || lookup == nil {
		return nil, errors.New("kms: NewTenants needs an id and a lookup")
	}
	return &Tenants{id, lookup}, nil
}

// ID is the id given to NewTenants.
func (t *Tenants) ID() string { return t.id }

func (t *Tenants) of(ctx context.Context, tenant string) ([]crypto.KEK, error) {
	list, err := t.lookup(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("kms: the tenant's key: %w", err)
	}
	for _, k := range list {
		if k == nil || k.ID() == "" || len(k.ID()) > 255 {
			return nil, fmt.Errorf("%w: a tenant's key is nil, or its ID is not 1 to 255 bytes", ErrRefused)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: the tenant has no key", ErrRefused)
	}
	return list, nil
}

// Wrap wraps with the tenant's first KEK and puts the KEK's ID in front.
func (t *Tenants) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	list, err := t.of(ctx, b.Tenant)
	if err != nil {
		return nil, err
	}
	wrapped, err := list[0].Wrap(ctx, key, b)
	if err != nil {
		return nil, err
	}
	id := list[0].ID()
	return append(append([]byte{byte(len(id))}, id...), wrapped...), nil
}

// Unwrap unwraps with the one of the tenant's KEKs that is named in front. The
// name only chooses among the tenant's own: naming another's is ErrRefused.
func (t *Tenants) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	if len(wrapped) < 1 || len(wrapped) <= int(wrapped[0]) {
		return nil, fmt.Errorf("kms: %w: a wrapped key of %d bytes", crypto.ErrTampered, len(wrapped))
	}
	id, rest := string(wrapped[1:1+int(wrapped[0])]), wrapped[1+int(wrapped[0]):]
	list, err := t.of(ctx, b.Tenant)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if k.ID() == id {
			return k.Unwrap(ctx, rest, b)
		}
	}
	return nil, fmt.Errorf("%w: the key is wrapped by none of the tenant's KEKs", ErrRefused)
}
