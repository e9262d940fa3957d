package crypto_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
)

var scope = crypto.Scope{Tenant: "acme", Subject: "u-1"}

func TestRotate(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	old := mustSeal(t, f.Keeper, "v", place)
	if due, err := f.NeedsRotation(t.Context(), old, place); due || err != nil {
		t.Errorf("before: %t, %v", due, err)
	}
	if err := f.Rotate(t.Context(), scope); err != nil {
		t.Fatal(err)
	}
	f.rec.Want(t, "crypto.key.rotate", auditlog.Success)
	wantPlain(t, f.Keeper, old, place, "v")
	if due, err := f.NeedsRotation(t.Context(), old, place); !due || err != nil {
		t.Errorf("after: %t, %v", due, err)
	}
	fresh, changed, err := f.Reseal(t.Context(), []byte("pre"), old, place)
	if err != nil || !changed || string(fresh[:3]) != "pre" {
		t.Fatalf("%t, %v", changed, err)
	}
	wantPlain(t, f.Keeper, fresh[3:], place, "v")
	same, changed, err := f.Reseal(t.Context(), nil, fresh[3:], place)
	if err != nil || changed || string(same) != string(fresh[3:]) {
		t.Errorf("resealing twice: %t, %v", changed, err)
	}
	moved := place
	moved.Row = "18"
	_, _, err = f.Reseal(t.Context(), nil, old, moved)
	wantErr(t, err, crypto.ErrTampered)
}

func TestRotationReachesOtherInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		other := f.instance(t, crypto.Options{})
		old := mustSeal(t, other, "v", place)
		if err := f.Rotate(t.Context(), scope); err != nil {
			t.Fatal(err)
		}
		// Opening old values must not keep the instance from asking.
		for range 11 {
			time.Sleep(100 * time.Millisecond)
			wantPlain(t, other, old, place, "v")
		}
		a, _ := crypto.Inspect(mustSeal(t, other, "v", place))
		b, _ := crypto.Inspect(old)
		if a.Key == b.Key {
			t.Error("another instance still seals with the old key after RevokeCheck")
		}
	})
}

func TestKeysRotateByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{RotateAfter: time.Hour})
		old := mustSeal(t, f.Keeper, "v", place)
		time.Sleep(time.Hour)
		if due, err := f.NeedsRotation(t.Context(), old, place); due || err != nil {
			t.Errorf("at the age: %t, %v", due, err)
		}
		time.Sleep(2 * time.Second)
		mustSeal(t, f.Keeper, "v", place)
		if due, err := f.NeedsRotation(t.Context(), old, place); !due || err != nil {
			t.Errorf("after the age: %t, %v", due, err)
		}
		wantPlain(t, f.Keeper, old, place, "v")
	})
}

// NIST SP 800-38D: no more than 2^32 values under one key with random nonces,
// counted over instances and restarts.
func TestKeysRotateBeforeTheirLimit(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, o crypto.Options) {
		f := newFixture(t, o)
		perKey := map[crypto.KeyID]int{}
		for restart := range 4 {
			k := f.instance(t, o)
			k.SetLimit(o.Algorithm, 3*crypto.ReserveBatch)
			for range crypto.ReserveBatch + 10 {
				h, err := crypto.Inspect(mustSeal(t, k, "", place))
				if err != nil {
					t.Fatal(err)
				}
				perKey[h.Key]++
			}
			_ = restart
		}
		if len(perKey) != 3 { // each instance takes two of a key's three batches
			t.Errorf("%d keys", len(perKey))
		}
		for _, n := range perKey {
			if n > 3*crypto.ReserveBatch {
				t.Errorf("a key sealed %d values, limit %d", n, 3*crypto.ReserveBatch)
			}
		}
	})
}

func TestRewrap(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	sealed := map[string][]byte{}
	for i := range 25 {
		b := place
		b.Subject = fmt.Sprint("u-", i)
		sealed[b.Subject] = mustSeal(t, f.Keeper, b.Subject, b)
	}
	fresh := cryptotest.NewKEK("kek-2")
	k, err := crypto.NewKeeper(fresh, f.store, f.rec, crypto.Options{Previous: []crypto.KEK{f.kek}})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	stop := errors.New("stop")
	rep, err := k.Rewrap(t.Context(), "acme", crypto.RewrapOptions{Batch: 10, Progress: func(crypto.RewrapReport) error { return stop }})
	if !errors.Is(err, stop) || rep.Rewrapped != 10 {
		t.Fatalf("stopped: %+v, %v", rep, err)
	}
	f.kek.Throttle(1)
	rep, err = k.Rewrap(t.Context(), "acme", crypto.RewrapOptions{After: rep.Last})
	if !errors.Is(err, cryptotest.ErrThrottled) || rep.Rewrapped != 0 {
		t.Fatalf("throttled: %+v, %v", rep, err)
	}
	rep, err = k.Rewrap(t.Context(), "acme", crypto.RewrapOptions{After: rep.Last})
	if err != nil || rep.Rewrapped != 15 {
		t.Fatalf("resumed: %+v, %v", rep, err)
	}
	if rep, err := k.Rewrap(t.Context(), "acme", crypto.RewrapOptions{Batch: 25}); err != nil || rep.Rewrapped != 0 || rep.Seen != 25 {
		t.Errorf("again: %+v, %v", rep, err)
	}
	if n := len(f.rec.Find("crypto.key.rewrap")); n != 25 {
		t.Errorf("%d events for 25 keys", n)
	}
	alone, err := crypto.NewKeeper(fresh, f.store, f.rec, crypto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	for subject, s := range sealed {
		b := place
		b.Subject = subject
		wantPlain(t, alone, s, b, subject)
	}
}

func TestUnknownKEK(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	sealed := mustSeal(t, f.Keeper, "v", place)
	k, err := crypto.NewKeeper(cryptotest.NewKEK("kek-2"), f.store, f.rec, crypto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	_, err = k.Open(t.Context(), nil, sealed, place)
	wantErr(t, err, crypto.ErrKeyUnavailable)
	_, err = k.Rewrap(t.Context(), "acme", crypto.RewrapOptions{})
	wantErr(t, err, crypto.ErrKeyUnavailable)
	if _, err := k.Rewrap(t.Context(), "acme", crypto.RewrapOptions{Batch: -1}); err == nil {
		t.Error("a negative batch was accepted")
	}
}
