package crypto

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// A Receipt states that keys were destroyed. It is made, and recorded as
// crypto.key.destroyed, only after every instance that keeps to the same
// CachePolicy has stopped using them, and after opening a value sealed under a
// destroyed key has failed.
type Receipt struct {
	Tenant  string    `json:"tenant"`
	Subject string    `json:"subject,omitempty"` // empty for the whole tenant
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	// EffectiveAt is when the last cached copy could no longer be used.
	EffectiveAt time.Time `json:"effective_at"`
	// BackupsUntil is when the last backup with a wrapped copy expires; zero
	// when Options.BackupHorizon does not say.
	BackupsUntil time.Time `json:"backups_until,omitzero"`
	// Keys counts the keys destroyed by this call, and KeysHash is SHA-256
	// over the id and the SHA-256 of the wrapped form of each, by id.
	Keys     int    `json:"keys"`
	KeysHash string `json:"keys_sha256"`
	// Destroyed names the keys, unless there are more than MaxReceiptKeys:
	// with the hash, a copy of a wrapped key that turns up is recognised.
	Destroyed []DestroyedKey `json:"destroyed,omitempty"`
	// Cleared says that Options.Clear did its work.
	Cleared bool `json:"cleared,omitempty"`
	// OpenFailed says that a value sealed under one of the keys was tried
	// afterwards and did not open. It is false when there was no key.
	OpenFailed bool `json:"open_failed"`
	// Signature is Ed25519 over the other members' JSON, by Options.Signer.
	Signature []byte `json:"signature,omitempty"`
}

// MaxReceiptKeys is how many keys a Receipt names.
const MaxReceiptKeys = 1000

// A DestroyedKey is a line of a Receipt, in hexadecimal.
type DestroyedKey struct {
	ID            string `json:"id"`
	WrappedSHA256 string `json:"wrapped_sha256"`
}

func (r Receipt) signed() []byte {
	r.Signature = nil
	b, err := json.Marshal(r)
	if err != nil {
		return nil // strings and times only: a year past 9999 can't be signed
	}
	return b
}

// Verify reports whether the receipt was signed by the key's owner.
func (r Receipt) Verify(key ed25519.PublicKey) bool {
	msg := r.signed()
	return len(key) == ed25519.PublicKeySize && msg != nil && ed25519.Verify(key, msg, r.Signature)
}

// Destroy destroys all keys of a subject, or with an empty subject all keys of
// a tenant. What was sealed under them is erased, in backups too, once those
// no longer hold the wrapped keys. It returns after CachePolicy.RevokeCheck has
// passed. Doing it again succeeds.
//
// A legal hold is ErrHeld. For a whole tenant, Options.Approver must name a
// second person, known and other than the context's actor, or it is
// ErrApproval. The reason stands in the log and must not be personal data.
//
// Blind indexes are made with keys of the tenant: Options.Clear empties a
// subject's index columns.
func (k *Keeper) Destroy(ctx context.Context, tenant, subject, reason string) (Receipt, error) {
	if tenant == "" || reason == "" || max(len(tenant), len(subject), len(reason)) > MaxScopeField {
		return Receipt{}, fmt.Errorf("crypto: Destroy: want a tenant and a reason, each of at most %d bytes", MaxScopeField)
	}
	if k.closed.Load() {
		return Receipt{}, ErrClosed
	}
	canary := k.canary(ctx, tenant, subject)
	r, err := k.destroy(ctx, tenant, subject, reason)
	if err != nil {
		return Receipt{}, err
	}
	err = k.finish(ctx, &r, canary)
	return r, err
}

// destroy asks, records, and removes the keys, while no hold can be placed.
func (k *Keeper) destroy(ctx context.Context, tenant, subject, reason string) (r Receipt, err error) {
	unlock, err := k.lockHolds(ctx, tenant, subject)
	defer unlock()
	var attrs []auditlog.Attr
	if err == nil {
		attrs, err = k.mayDestroy(ctx, tenant, subject, reason)
	}
	if err != nil {
		return r, errors.Join(err, k.destroyEvent(ctx, auditlog.Denied, tenant, subject, attrs...))
	}
	ts := Tombstone{tenant, subject, time.Now().UTC().Truncate(time.Microsecond)}
	attrs = append(attrs, auditlog.String("request", reason), auditlog.Time("at", ts.At))
	// The event is the tombstone that is replayed after a restore: it is on
	// disk before the keys go.
	if err := k.destroyEvent(ctx, auditlog.Success, tenant, subject, attrs...); err != nil {
		return r, err
	}
	gone, err := k.store.Destroy(ctx, ts)
	if err != nil {
		return r, errors.Join(unavailable(err), k.destroyEvent(ctx, auditlog.Failed, tenant, subject, auditlog.String("request", reason)))
	}
	r = Receipt{Tenant: tenant, Subject: subject, Reason: reason, At: ts.At, Keys: len(gone), KeysHash: hashOf(gone)}
	for _, d := range gone {
		k.cache.forget(tenant, d.ID)
		if len(gone) <= MaxReceiptKeys {
			r.Destroyed = append(r.Destroyed, DestroyedKey{d.ID.String(), hex.EncodeToString(d.WrappedHash[:])})
		}
	}
	return r, nil
}

func (k *Keeper) lockHolds(ctx context.Context, tenant, subject string) (unlock func(), err error) {
	l, ok := k.o.Holds.(HoldLocker)
	if !ok {
		return func() {}, nil
	}
	if unlock, err = l.LockHolds(ctx, tenant, subject); err != nil {
		return func() {}, fmt.Errorf("%w: holds can't be locked: %w", ErrHeld, err)
	}
	return unlock, nil
}

// DestroySubject is Destroy without the receipt, for privacy/erasure.
func (k *Keeper) DestroySubject(ctx context.Context, tenant, subject, reason string) error {
	if subject == "" {
		return errors.New("crypto: DestroySubject: the subject is empty")
	}
	_, err := k.Destroy(ctx, tenant, subject, reason)
	return err
}

// mayDestroy asks for holds and, for a whole tenant, for the second person.
func (k *Keeper) mayDestroy(ctx context.Context, tenant, subject, reason string) ([]auditlog.Attr, error) {
	if k.o.Holds != nil {
		why, held, err := k.o.Holds.Held(ctx, tenant, subject)
		if err != nil {
			return nil, fmt.Errorf("%w: whether one does can't be found out: %w", ErrHeld, err)
		}
		if held {
			return nil, fmt.Errorf("%w: %s", ErrHeld, why)
		}
	}
	if subject != "" {
		return nil, nil
	}
	if k.o.Approver == nil {
		return nil, fmt.Errorf("%w: no Options.Approver", ErrApproval)
	}
	first := auditlog.ActorFrom(ctx)
	second, err := k.o.Approver.Approved(ctx, tenant, reason)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrApproval, err)
	case first.ID == "" || second.ID == "" || second.Kind != auditlog.User:
		return nil, fmt.Errorf("%w: both must be known, and the second a person", ErrApproval)
	case second.ID == first.ID || second.ID == first.For || second.For != "":
		return nil, fmt.Errorf("%w: it is the same person", ErrApproval)
	}
	return []auditlog.Attr{auditlog.String("approved_by", second.ID)}, nil
}

func (k *Keeper) destroyEvent(ctx context.Context, o auditlog.Outcome, tenant, subject string, attrs ...auditlog.Attr) error {
	ev := auditlog.Event{Action: "crypto.key.destroy", Outcome: o, Tenant: tenant, Attrs: attrs}
	ev.Targets = []auditlog.Target{{Type: "tenant", ID: tenant}}
	if subject != "" {
		ev.Targets = []auditlog.Target{{Type: "subject", ID: subject}}
	}
	if o != auditlog.Success {
		ev.Reason = "crypto.shredding"
	}
	return k.record(ctx, ev)
}

func canaryBinding(tenant, subject string) Binding {
	return Binding{Tenant: tenant, Subject: subject, Purpose: "destruction canary"}
}

// canary seals a value under the subject's key, if there is one that still
// works; a key is not made for it.
func (k *Keeper) canary(ctx context.Context, tenant, subject string) []byte {
	if _, err := k.store.Latest(ctx, Scope{Tenant: tenant, Subject: subject}); err != nil {
		return nil
	}
	sealed, err := k.Seal(ctx, nil, []byte("canary"), canaryBinding(tenant, subject))
	if err != nil {
		return nil // the KEK may be gone: no reason not to destroy
	}
	return sealed
}

// finish clears what else there is, waits until no instance can use the keys,
// tries the canary, and signs. The wait ends early with the context, without
// a receipt.
func (k *Keeper) finish(ctx context.Context, r *Receipt, canary []byte) error {
	if k.o.Clear != nil {
		if err := k.o.Clear(ctx, r.Tenant, r.Subject); err != nil {
			return fmt.Errorf("crypto: the keys are destroyed; no receipt, because indexes were not cleared: %w", err)
		}
		r.Cleared = true
	}
	select {
	case <-time.After(time.Until(r.At.Add(k.o.Cache.RevokeCheck))):
	case <-ctx.Done():
		return fmt.Errorf("crypto: the keys are destroyed; no receipt before all instances know: %w", context.Cause(ctx))
	}
	r.EffectiveAt = time.Now().UTC().Truncate(time.Microsecond)
	if k.o.BackupHorizon > 0 {
		r.BackupsUntil = r.EffectiveAt.Add(k.o.BackupHorizon)
	}
	if canary != nil {
		_, err := k.Open(ctx, nil, canary, canaryBinding(r.Tenant, r.Subject))
		if err == nil {
			return errors.New("crypto: a value sealed under a destroyed key still opens")
		}
		if !errors.Is(err, ErrShredded) {
			return fmt.Errorf("crypto: opening a value sealed under a destroyed key: want ErrShredded, got: %w", err)
		}
		r.OpenFailed = true
	}
	if err := k.receiptEvent(ctx, r); err != nil {
		return err
	}
	if len(k.o.Signer) != 0 {
		r.Signature = ed25519.Sign(k.o.Signer, r.signed())
	}
	return nil
}

// receiptEvent records that a destruction has taken effect everywhere. The
// event of the request came before the keys went.
func (k *Keeper) receiptEvent(ctx context.Context, r *Receipt) error {
	ev := auditlog.Event{
		Action: "crypto.key.destroyed", Outcome: auditlog.Success, Tenant: r.Tenant,
		Targets: []auditlog.Target{{Type: "tenant", ID: r.Tenant}},
		Attrs: []auditlog.Attr{
			auditlog.String("request", r.Reason), auditlog.Int("keys", r.Keys), auditlog.String("keys_sha256", r.KeysHash),
			auditlog.Time("at", r.At), auditlog.Time("effective_at", r.EffectiveAt),
			auditlog.Bool("open_failed", r.OpenFailed), auditlog.Bool("cleared", r.Cleared),
		},
	}
	if r.Subject != "" {
		ev.Targets = []auditlog.Target{{Type: "subject", ID: r.Subject}}
	}
	return k.record(ctx, ev)
}

func hashOf(list []Destroyed) string {
	h := sha256.New()
	for _, d := range list {
		h.Write(d.ID[:])
		h.Write(d.WrappedHash[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Allow lets new keys be made for a subject, or with an empty subject for a
// tenant, whose keys were destroyed: the person has come back. What was
// erased stays erased.
func (k *Keeper) Allow(ctx context.Context, tenant, subject, reason string) error {
	if tenant == "" || reason == "" {
		return errors.New("crypto: Allow: want a tenant and a reason")
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	targets := []auditlog.Target{{Type: "tenant", ID: tenant}}
	if subject != "" {
		targets = []auditlog.Target{{Type: "subject", ID: subject}}
	}
	err := k.record(ctx, auditlog.Event{
		Action: "crypto.key.allow", Outcome: auditlog.Success, Tenant: tenant, Targets: targets,
		Attrs: []auditlog.Attr{auditlog.String("request", reason), auditlog.Time("at", at)},
	})
	if err != nil {
		return err
	}
	if err := k.store.Allow(ctx, tenant, subject, at); err != nil {
		return unavailable(err)
	}
	return nil
}

// Replay applies an entry of the audit log to a restored store: destructions
// and allowances, in the log's order; other entries are passed over. After
// every restore, replay the log from before the backup was taken, before the
// service starts; otherwise the backup has brought erased people back.
func (k *Keeper) Replay(ctx context.Context, e *auditlog.Entry) error {
	destroy := e.Action == "crypto.key.destroy"
	if !destroy && e.Action != "crypto.key.allow" || e.Outcome != auditlog.Success {
		return nil
	}
	ts := Tombstone{Tenant: e.Tenant}
	for _, t := range e.Targets {
		if t.Type == "subject" {
			ts.Subject = t.ID
		}
	}
	for _, a := range e.Attrs {
		if a.Key == "at" {
			at, err := time.Parse(time.RFC3339Nano, a.Text())
			if err != nil {
				return fmt.Errorf("crypto: entry %v: attribute at: %w", e.ID, err)
			}
			ts.At = at
		}
	}
	if ts.At.IsZero() || ts.Tenant == "" || len(e.Targets) != 1 {
		return fmt.Errorf("crypto: entry %v is no destruction of this package", e.ID)
	}
	if !destroy {
		return k.store.Allow(ctx, ts.Tenant, ts.Subject, ts.At)
	}
	gone, err := k.store.Replay(ctx, ts)
	for _, d := range gone {
		k.cache.forget(ts.Tenant, d.ID)
	}
	if err == nil && len(gone) > 0 && k.o.Clear != nil { // the backup brought indexes back too
		err = k.o.Clear(ctx, ts.Tenant, ts.Subject)
	}
	return err
}
