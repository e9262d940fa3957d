package crypto_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/crypto"
)

func TestDestroy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub, priv, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, crypto.Options{Signer: priv, BackupHorizon: 30 * 24 * time.Hour})
		old := mustSeal(t, f.Keeper, "v", place)
		if err := f.Rotate(t.Context(), scope); err != nil {
			t.Fatal(err)
		}
		sealed := mustSeal(t, f.Keeper, "v", place)
		bob := place
		bob.Subject = "u-2"
		theirs := mustSeal(t, f.Keeper, "w", bob)

		r, err := f.Destroy(t.Context(), "acme", "u-1", "request 17")
		if err != nil {
			t.Fatal(err)
		}
		if r.Keys != 2 || !r.OpenFailed || r.EffectiveAt.Sub(r.At) < time.Second || r.BackupsUntil.Sub(r.EffectiveAt) != 30*24*time.Hour || !r.Verify(pub) {
			t.Errorf("receipt %+v", r)
		}
		forged := r
		forged.Keys = 3
		if forged.Verify(pub) || r.Verify(nil) {
			t.Error("a changed receipt verifies")
		}
		for _, s := range [][]byte{old, sealed} {
			got, err := f.Open(t.Context(), nil, s, place)
			wantErr(t, err, crypto.ErrShredded)
			if got != nil {
				t.Error("bytes were returned")
			}
		}
		_, err = f.Seal(t.Context(), nil, nil, place)
		wantErr(t, err, crypto.ErrShredded)
		wantPlain(t, f.Keeper, theirs, bob, "w")
		e := f.rec.Want(t, "crypto.key.destroy", auditlog.Success)
		if e.Tenant != "acme" || e.Targets[0].ID != "u-1" {
			t.Errorf("event %+v", e)
		}
		e = f.rec.Want(t, "crypto.key.destroyed", auditlog.Success)
		if hash, _ := auditlogtest.Attr(e, "keys_sha256"); hash != r.KeysHash || e.Targets[0].ID != "u-1" {
			t.Errorf("event %+v", e)
		}
		if err := f.DestroySubject(t.Context(), "acme", "u-1", "request 17"); err != nil {
			t.Errorf("again: %v", err)
		}

		if err := f.Allow(t.Context(), "acme", "u-1", "came back"); err != nil {
			t.Fatal(err)
		}
		back := mustSeal(t, f.Keeper, "new", place)
		wantPlain(t, f.Keeper, back, place, "new")
		_, err = f.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrShredded)
	})
}

func TestDestroyReachesOtherInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		other := f.instance(t, crypto.Options{})
		sealed := mustSeal(t, f.Keeper, "v", place)
		done := make(chan struct{})
		go func() { // a busy instance, whose cached key is never idle
			defer close(done)
			for range 300 {
				_, err := other.Open(t.Context(), nil, sealed, place)
				if err != nil && !errors.Is(err, crypto.ErrShredded) {
					t.Errorf("%v", err)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		time.Sleep(505 * time.Millisecond)
		if _, err := f.Destroy(t.Context(), "acme", "u-1", "r"); err != nil {
			t.Fatal(err)
		}
		// The receipt is there: nobody may open any more.
		_, err := other.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrShredded)
		<-done
	})
}

func TestNoReceiptBeforeAllInstancesKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		sealed := mustSeal(t, f.Keeper, "v", place)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		r, err := f.Destroy(ctx, "acme", "u-1", "r")
		wantErr(t, err, context.DeadlineExceeded)
		if !r.EffectiveAt.IsZero() || r.OpenFailed {
			t.Errorf("receipt %+v", r)
		}
		_, err = f.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrShredded)
	})
}

type holds struct {
	held bool
	err  error
}

func (h holds) Held(context.Context, string, string) (string, bool, error) {
	return "litigation 9", h.held, h.err
}

func TestHolds(t *testing.T) {
	for name, h := range map[string]holds{"held": {held: true}, "unknown": {err: errors.New("connection refused")}} {
		f := newFixture(t, crypto.Options{Holds: h})
		sealed := mustSeal(t, f.Keeper, "v", place)
		_, err := f.Destroy(t.Context(), "acme", "u-1", "r")
		if !errors.Is(err, crypto.ErrHeld) {
			t.Errorf("%s: %v", name, err)
		}
		wantPlain(t, f.Keeper, sealed, place, "v")
		f.rec.Want(t, "crypto.key.destroy", auditlog.Denied)
	}
}

// registry is a register of holds in which one can be placed at any moment.
type registry struct {
	mu     chan struct{} // held while locked
	placed bool
	err    error
	t      *testing.T
}

func (r *registry) LockHolds(context.Context, string, string) (func(), error) {
	if r.err != nil {
		return nil, r.err
	}
	r.mu <- struct{}{}
	return func() { <-r.mu }, nil
}

// Held is asked under the lock: a hold that comes now has to wait.
func (r *registry) Held(context.Context, string, string) (string, bool, error) {
	select {
	case r.mu <- struct{}{}:
		r.t.Error("a hold could be placed between the question and the destruction")
		<-r.mu
	default:
	}
	return "late", r.placed, nil
}

func TestHoldsAreLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &registry{mu: make(chan struct{}, 1), t: t}
		f := newFixture(t, crypto.Options{Holds: r})
		sealed := mustSeal(t, f.Keeper, "v", place)
		r.err = errors.New("connection refused")
		_, err := f.Destroy(t.Context(), "acme", "u-1", "r")
		wantErr(t, err, crypto.ErrHeld)
		r.err, r.placed = nil, true
		_, err = f.Destroy(t.Context(), "acme", "u-1", "r")
		wantErr(t, err, crypto.ErrHeld)
		wantPlain(t, f.Keeper, sealed, place, "v")
		r.placed = false
		_, err = f.Destroy(t.Context(), "acme", "u-1", "r")
		wantErr(t, err, nil)
		if len(r.mu) != 0 {
			t.Error("holds stay locked")
		}
	})
}

// Blind indexes go with the keys, and without that there is no receipt.
func TestReceiptNeedsClearedIndexes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub, priv, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		fault := errors.New("connection lost")
		var cleared []string
		f := newFixture(t, crypto.Options{Signer: priv, Clear: func(_ context.Context, tenant, subject string) error {
			cleared = append(cleared, tenant+"/"+subject)
			return fault
		}})
		sealed := mustSeal(t, f.Keeper, "v", place)
		h, err := crypto.Inspect(sealed)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := f.store.Get(t.Context(), "acme", h.Key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Destroy(t.Context(), "acme", "u-1", "r")
		if !errors.Is(err, fault) || r.Verify(pub) {
			t.Errorf("%+v, %v", r, err)
		}
		hash := sha256.Sum256(stored.Wrapped)
		if len(r.Destroyed) != 1 || r.Destroyed[0] != (crypto.DestroyedKey{ID: h.Key.String(), WrappedSHA256: hex.EncodeToString(hash[:])}) {
			t.Errorf("%+v", r.Destroyed)
		}
		fault = nil
		r, err = f.Destroy(t.Context(), "acme", "u-1", "r")
		if err != nil || !r.Cleared || !r.Verify(pub) || len(cleared) != 2 || cleared[1] != "acme/u-1" {
			t.Errorf("%+v, %q, %v", r, cleared, err)
		}
	})
}

type approver struct {
	actor auditlog.Actor
	err   error
}

func (a approver) Approved(context.Context, string, string) (auditlog.Actor, error) {
	return a.actor, a.err
}

func TestTenantNeedsASecondPerson(t *testing.T) {
	user := func(id string) auditlog.Actor { return auditlog.Actor{ID: id, Kind: auditlog.User} }
	support := user("a-3")
	support.For = "a-2"
	for name, tc := range map[string]struct {
		first auditlog.Actor
		o     crypto.Options
	}{
		"no approver":   {user("a-1"), crypto.Options{}},
		"refused":       {user("a-1"), crypto.Options{Approver: approver{user("a-2"), errors.New("no")}}},
		"same person":   {user("a-1"), crypto.Options{Approver: approver{actor: user("a-1")}}},
		"nobody asks":   {auditlog.Actor{}, crypto.Options{Approver: approver{actor: user("a-2")}}},
		"nobody agrees": {user("a-1"), crypto.Options{Approver: approver{}}},
		"a program":     {user("a-1"), crypto.Options{Approver: approver{actor: auditlog.Actor{ID: "bot", Kind: auditlog.Service}}}},
		"oneself as":    {support, crypto.Options{Approver: approver{actor: user("a-2")}}},
		"somebody as":   {user("a-1"), crypto.Options{Approver: approver{actor: support}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, tc.o)
			sealed := mustSeal(t, f.Keeper, "v", place)
			_, err := f.Destroy(auditlog.WithActor(t.Context(), tc.first), "acme", "", "contract ended")
			wantErr(t, err, crypto.ErrApproval)
			wantPlain(t, f.Keeper, sealed, place, "v")
			f.rec.Want(t, "crypto.key.destroy", auditlog.Denied)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{Approver: approver{actor: user("a-2")}})
		sealed := mustSeal(t, f.Keeper, "v", place)
		r, err := f.Destroy(auditlog.WithActor(t.Context(), user("a-1")), "acme", "", "contract ended")
		if err != nil || r.Keys != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		_, err = f.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrShredded)
		_, err = f.Seal(t.Context(), nil, nil, crypto.Binding{Tenant: "acme", Subject: "new", Purpose: "p"})
		wantErr(t, err, crypto.ErrShredded)
	})
}

func TestDestroyArguments(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	for _, a := range [][3]string{{"", "u", "r"}, {"t", "u", ""}, {"t", "u", string(make([]byte, 300))}} {
		if _, err := f.Destroy(t.Context(), a[0], a[1], a[2]); err == nil {
			t.Errorf("%q was accepted", a)
		}
	}
	if err := f.DestroySubject(t.Context(), "acme", "", "r"); err == nil {
		t.Error("an empty subject destroys a tenant")
	}
	if err := f.Allow(t.Context(), "acme", "u", ""); err == nil {
		t.Error("an allowance without a reason")
	}
}

func TestUnrecordedDestructionDoesNotHappen(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	sealed := mustSeal(t, f.Keeper, "v", place)
	f.rec.FailWith(errors.New("disk full"))
	if _, err := f.Destroy(t.Context(), "acme", "u-1", "r"); err == nil {
		t.Error("no error")
	}
	f.rec.FailWith(nil)
	wantPlain(t, f.Keeper, sealed, place, "v")
}

// An old backup brings an erased person back, unless the log is replayed.
func TestReplayAfterRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		sealed := mustSeal(t, f.Keeper, "v", place)
		bob := place
		bob.Subject = "u-2"
		theirs := mustSeal(t, f.Keeper, "w", bob)
		list, err := f.store.List(t.Context(), "acme", crypto.KeyID{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Destroy(t.Context(), "acme", "u-1", "r"); err != nil {
			t.Fatal(err)
		}

		f.store = crypto.NewMemoryStore() // the backup
		for _, r := range list {
			if err := f.store.Insert(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		k := f.instance(t, crypto.Options{})
		wantPlain(t, k, sealed, place, "v") // back from the dead
		entries := f.rec.Entries()
		for range 2 { // replaying twice does no harm
			for i := range entries {
				if err := k.Replay(t.Context(), &entries[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err = k.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrShredded)
		_, err = k.Seal(t.Context(), nil, nil, place)
		wantErr(t, err, crypto.ErrShredded)
		wantPlain(t, k, theirs, bob, "w")

		bad := auditlog.Entry{Event: auditlog.Event{Action: "crypto.key.destroy", Outcome: auditlog.Success, Tenant: "acme"}}
		if err := k.Replay(t.Context(), &bad); err == nil {
			t.Error("an entry without a target was replayed")
		}
	})
}

func TestPersonalAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		sealing, err := auditlog.Sealing(f.rec, f.Keeper)
		if err != nil {
			t.Fatal(err)
		}
		err = sealing.Record(t.Context(), auditlog.Event{
			Action: "people.email.change", Outcome: auditlog.Success, Tenant: "acme",
			Attrs: []auditlog.Attr{auditlog.Personal("u-1", "email", "ada@example.org")},
		})
		if err != nil {
			t.Fatal(err)
		}
		f.rec.WantWithout(t, "ada@example.org")
		e := f.rec.Want(t, "people.email.change", auditlog.Success)
		if got, err := auditlog.OpenAttr(t.Context(), f.Keeper, &e, e.Attrs[0]); err != nil || got != "ada@example.org" {
			t.Errorf("%q, %v", got, err)
		}
		if err := f.DestroySubject(t.Context(), "acme", "u-1", "r"); err != nil {
			t.Fatal(err)
		}
		_, err = auditlog.OpenAttr(t.Context(), f.Keeper, &e, e.Attrs[0])
		wantErr(t, err, auditlog.ErrErased)
		if _, err := f.SealPersonal(t.Context(), "acme", "", "email", nil); !errors.Is(err, crypto.ErrBinding) {
			t.Errorf("without a subject: %v", err)
		}
	})
}
