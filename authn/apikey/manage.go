package apikey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// Rotate makes a key with the same owner, name, scopes and groups, and ends
// the old one after the overlap, at most 31 days, in which both are good.
func (m *Manager) Rotate(ctx context.Context, tenant, id string, overlap time.Duration) (secret string, made Key, err error) {
	if overlap < 0 || overlap > maxOverlap {
		return "", Key{}, fmt.Errorf("apikey: Rotate: overlap: want at most %v", maxOverlap)
	}
	k, hash, err := m.find(ctx, tenant, id)
	if err != nil {
		return "", Key{}, err
	}
	next := k
	next.Expires = time.Time{}
	if secret, made, err = m.Create(ctx, next); err != nil {
		return "", Key{}, err
	}
	if end := m.now().Add(overlap).UTC().Truncate(time.Second); end.Before(k.Expires) {
		k.Expires = end
	}
	row, err := m.seal(k, [32]byte(hash))
	if err != nil {
		return "", Key{}, err
	}
	if err := m.record(ctx, "authn.apikey.rotate", auditlog.Success, "", k, auditlog.String("next", made.ID), auditlog.Time("expires", k.Expires)); err != nil {
		return "", Key{}, err
	}
	// The old key may have been revoked meanwhile: Update never inserts.
	if _, err := m.store.Update(ctx, row); err != nil {
		return "", Key{}, fmt.Errorf("apikey: store: %w", err)
	}
	return secret, made, nil
}

// Revoke ends a key at once and reports whether it was there. The reason is a
// code for the audit log.
func (m *Manager) Revoke(ctx context.Context, tenant, id, reason string) (bool, error) {
	gone, err := m.store.Delete(ctx, tenant, id)
	if err != nil {
		return false, fmt.Errorf("apikey: store: %w", err)
	}
	if !gone {
		return false, nil
	}
	return true, m.record(ctx, "authn.apikey.revoke", auditlog.Success, reason, Key{Tenant: tenant, ID: id})
}

// RevokeAll ends all keys of an owner, such as one who leaves, and returns
// their number.
func (m *Manager) RevokeAll(ctx context.Context, tenant, owner, reason string) (int, error) {
	if owner == "" {
		return 0, errors.New("apikey: RevokeAll: the owner is empty")
	}
	rows, err := m.store.List(ctx, tenant, owner)
	if err != nil {
		return 0, fmt.Errorf("apikey: store: %w", err)
	}
	n := 0
	for _, r := range rows {
		gone, err := m.Revoke(ctx, tenant, r.ID, reason)
		if err != nil {
			return n, err
		}
		if gone {
			n++
		}
	}
	return n, nil
}

// List returns the keys of an owner, or of the tenant if owner is empty, the
// newest first, those that have expired included. Rows that do not verify are
// left out.
func (m *Manager) List(ctx context.Context, tenant, owner string) ([]Key, error) {
	rows, err := m.store.List(ctx, tenant, owner)
	if err != nil {
		return nil, fmt.Errorf("apikey: store: %w", err)
	}
	var list []Key
	for _, r := range rows {
		if k, _, err := m.open(r); err == nil && r.Tenant == tenant {
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b Key) int { return b.Created.Compare(a.Created) })
	return list, nil
}

// Expiring returns the tenant's keys that end within a time, the first to end
// first: whom to tell in time how to renew.
func (m *Manager) Expiring(ctx context.Context, tenant string, within time.Duration) ([]Key, error) {
	list, err := m.List(ctx, tenant, "")
	if err != nil {
		return nil, err
	}
	now := m.now()
	list = slices.DeleteFunc(list, func(k Key) bool { return !k.Expires.After(now) || k.Expires.Sub(now) > within })
	slices.SortStableFunc(list, func(a, b Key) int { return a.Expires.Compare(b.Expires) })
	return list, nil
}

func (m *Manager) record(ctx context.Context, action string, o auditlog.Outcome, reason string, k Key, attrs ...auditlog.Attr) error {
	ev := auditlog.Event{Action: action, Outcome: o, Reason: reason, Tenant: k.Tenant, Attrs: attrs, Targets: []auditlog.Target{{Type: "apikey", ID: k.ID}}}
	if k.Owner != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "account", ID: k.Owner})
	}
	if err := m.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("apikey: record: %w", err)
	}
	return nil
}
