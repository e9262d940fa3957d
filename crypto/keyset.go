package crypto

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/surety-go/surety/auditlog"
)

// ExportKeyset returns a data key as a Tink keyset of one key without prefix,
// for moving data elsewhere. Whoever holds it reads what it sealed, whatever
// happens here: the token, from a package with a name to search for, says
// that this is meant. The export is recorded as crypto.key.export.
//
// What [AES256GCM] and [AES256SIV] sealed, Tink opens with the sealed value
// after its header and the associated data of [Binding.AppendAAD].
func (k *Keeper) ExportKeyset(ctx context.Context, tenant string, id KeyID, _ insecuresecretdataaccess.Token) (*keyset.Handle, error) {
	if k.closed.Load() {
		return nil, ErrClosed
	}
	r, err := k.store.Get(ctx, tenant, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrNotFound
	case err != nil:
		return nil, unavailable(err)
	case !r.Destroyed.IsZero():
		return nil, ErrShredded
	}
	kek := k.keks[r.KEK]
	if kek == nil {
		return nil, fmt.Errorf("%w: it is wrapped by a KEK that is not configured", ErrKeyUnavailable)
	}
	h, _, err := unwrap(ctx, kek, &r)
	if err != nil {
		return nil, err
	}
	if err := k.keyEvent(ctx, "crypto.key.export", auditlog.Success, &r); err != nil {
		return nil, err
	}
	return h, nil
}

// ImportKeyset makes the primary key of a Tink keyset, AES-256-GCM without
// prefix, the scope's next version and returns its id. Prefer new keys: how
// often an imported one was used elsewhere, and who knows it, can't be told.
// The import is recorded as crypto.key.import.
func (k *Keeper) ImportKeyset(ctx context.Context, s Scope, h *keyset.Handle, _ insecuresecretdataaccess.Token) (KeyID, error) {
	if k.closed.Load() {
		return KeyID{}, ErrClosed
	}
	if s.Use != "" || h == nil {
		return KeyID{}, errors.New("crypto: ImportKeyset: want a keyset, and a scope for sealing values")
	}
	latest, err := k.store.Latest(ctx, s)
	if err != nil && !errors.Is(err, ErrNotFound) {
		if errors.Is(err, ErrShredded) {
			return KeyID{}, ErrShredded
		}
		return KeyID{}, unavailable(err)
	}
	raw, err := keyBytes(AES256GCM, h)
	if err != nil {
		return KeyID{}, fmt.Errorf("crypto: ImportKeyset: %w", err)
	}
	defer clear(raw)
	r := Record{
		Scope: s, Version: latest.Version + 1, Algorithm: AES256GCM, ID: commitment(AES256GCM, raw),
		Created: time.Now().UTC().Truncate(time.Microsecond),
	}
	if err := wrap(ctx, k.kek, h, &r); err != nil {
		return KeyID{}, err
	}
	if err := k.keyEvent(ctx, "crypto.key.import", auditlog.Success, &r); err != nil {
		return KeyID{}, err
	}
	if err := k.store.Insert(ctx, r); err != nil {
		return KeyID{}, errors.Join(err, k.keyEvent(ctx, "crypto.key.import", auditlog.Failed, &r))
	}
	if e := k.cache.byScope(&s); e != nil {
		e.current.lower()
	}
	return r.ID, nil
}
