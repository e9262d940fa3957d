package kms_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
	"github.com/surety-go/surety/crypto/kms"
)

var place = crypto.Binding{Tenant: "acme", Purpose: "p"}

func mustNew(t *testing.T, o kms.Options, replicas ...kms.Driver) *kms.KEK {
	t.Helper()
	k, err := kms.New("test", replicas, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNewRefuses(t *testing.T) {
	d := cryptotest.NewKEK("k")
	for name, o := range map[string]kms.Options{
		"tries": {Tries: 11}, "budget": {Budget: -1}, "version": {Version: -1}, "backoff": {Backoff: time.Minute}, "timeout": {Timeout: time.Hour},
	} {
		if _, err := kms.New("test", []kms.Driver{d}, o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	for name, replicas := range map[string][]kms.Driver{"none": nil, "nil": {nil}} {
		if _, err := kms.New("test", replicas, kms.Options{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := kms.New("", []kms.Driver{d}, kms.Options{}); err == nil {
		t.Error("no id")
	}
	if id := mustNew(t, kms.Options{Version: 4}, d).ID(); id != "test:4" {
		t.Error(id)
	}
}

func TestConforms(t *testing.T) {
	cryptotest.TestKEK(t, mustNew(t, kms.Options{}, cryptotest.NewKEK("k")))
}

// Pauses double and are at least half of what they double to.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cryptotest.NewKEK("k")
		d.Throttle(3)
		start := time.Now()
		if _, err := mustNew(t, kms.Options{Backoff: 100 * time.Millisecond}, d).Wrap(t.Context(), make([]byte, 32), place); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 350*time.Millisecond || took > 710*time.Millisecond {
			t.Errorf("three pauses took %v", took)
		}
	})
}

func TestCallerGoesDuringPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cryptotest.NewKEK("k")
		d.FailWith(errors.New("down"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := mustNew(t, kms.Options{Backoff: time.Second}, d).Wrap(ctx, make([]byte, 32), place); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		if wraps, _ := d.Calls(); wraps != 1 {
			t.Errorf("%d calls", wraps)
		}
	})
}

type empty struct{}

func (empty) Wrap(context.Context, []byte, crypto.Binding) ([]byte, error)   { return nil, nil }
func (empty) Unwrap(context.Context, []byte, crypto.Binding) ([]byte, error) { return nil, nil }

// An empty answer is no key: sealing under it would be sealing under nothing.
func TestEmptyAnswer(t *testing.T) {
	k := mustNew(t, kms.Options{Tries: 1}, empty{})
	if _, err := k.Unwrap(t.Context(), []byte("w"), place); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func tenants(t *testing.T, list map[string][]crypto.KEK) *kms.Tenants {
	t.Helper()
	k, err := kms.NewTenants("byok-1", func(_ context.Context, tenant string) ([]crypto.KEK, error) {
		if l, ok := list[tenant]; ok {
			return l, nil
		}
		return nil, errors.New("unknown tenant")
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTenants(t *testing.T) {
	acme, umbrella := cryptotest.NewKEK("acme-key"), cryptotest.NewKEK("umbrella-key")
	list := map[string][]crypto.KEK{"acme": {acme}, "umbrella": {umbrella}, "none": {}, "nil": {nil}}
	k := tenants(t, list)
	cryptotest.TestKEK(t, k)
	wrapped, err := k.Wrap(t.Context(), make([]byte, 32), place)
	if err != nil {
		t.Fatal(err)
	}
	if _, n := umbrella.Calls(); n != 0 {
		t.Error("another tenant's key was used")
	}
	moved := place
	moved.Tenant = "umbrella"
	if _, err := k.Unwrap(t.Context(), wrapped, moved); !errors.Is(err, kms.ErrRefused) {
		t.Errorf("another tenant: %v", err)
	}
	for _, tenant := range []string{"none", "nil", "stranger"} {
		moved.Tenant = tenant
		if _, err := k.Wrap(t.Context(), make([]byte, 32), moved); err == nil {
			t.Errorf("%s: wrapped", tenant)
		}
	}
	// The tenant rotates: old keys unwrap, new ones are wrapped by the new.
	list["acme"] = []crypto.KEK{cryptotest.NewKEK("acme-key-2"), acme}
	if _, err := k.Unwrap(t.Context(), wrapped, place); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	if again, err := k.Wrap(t.Context(), make([]byte, 32), place); err != nil || string(again[1:11]) != "acme-key-2" {
		t.Errorf("%q, %v", again, err)
	}
	list["acme"] = list["acme"][:1]
	if _, err := k.Unwrap(t.Context(), wrapped, place); !errors.Is(err, kms.ErrRefused) {
		t.Errorf("after the old key is gone: %v", err)
	}
	if _, err := kms.NewTenants("", nil); err == nil {
		t.Error("no id")
	}
}

// A tenant takes its key away: others go on, and what it had cached is gone
// after the cache's age.
func TestTenantRevokes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme, umbrella := cryptotest.NewKEK("acme-key"), cryptotest.NewKEK("umbrella-key")
		k := tenants(t, map[string][]crypto.KEK{"acme": {acme}, "umbrella": {umbrella}})
		discard := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
		keeper, err := crypto.NewKeeper(k, crypto.NewMemoryStore(), discard, crypto.Options{Cache: crypto.CachePolicy{MaxAge: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		defer keeper.Close()
		sealed := map[string][]byte{}
		for _, tenant := range []string{"acme", "umbrella"} {
			if sealed[tenant], err = keeper.Seal(t.Context(), nil, []byte("v"), crypto.Binding{Tenant: tenant, Purpose: "p"}); err != nil {
				t.Fatal(err)
			}
		}
		acme.Revoke()
		time.Sleep(time.Minute + time.Second)
		if _, err := keeper.Open(t.Context(), nil, sealed["acme"], place); !errors.Is(err, crypto.ErrKeyUnavailable) {
			t.Errorf("%v", err)
		}
		if _, err := keeper.Open(t.Context(), nil, sealed["umbrella"], crypto.Binding{Tenant: "umbrella", Purpose: "p"}); err != nil {
			t.Error(err)
		}
	})
}

func FuzzTenants(f *testing.F) {
	k, err := kms.NewTenants("byok-1", func(context.Context, string) ([]crypto.KEK, error) {
		return []crypto.KEK{cryptotest.NewKEK("k")}, nil
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add([]byte{1, 'k'})
	f.Add([]byte{1, 'k', 0})
	f.Add([]byte{255})
	f.Fuzz(func(t *testing.T, in []byte) {
		if out, err := k.Unwrap(t.Context(), in, place); err == nil {
			t.Errorf("%x", out)
		}
	})
}

func Example() {
	ctx := context.Background()
	eu, us := cryptotest.NewKEK("a replica"), cryptotest.NewKEK("a replica") // as awskms.New and its like make
	kek, err := kms.New("example", []kms.Driver{eu, us}, kms.Options{Timeout: time.Second, Tries: 3})
	if err != nil {
		log.Fatal(err)
	}
	b := crypto.Binding{Tenant: "acme", Purpose: "example"}
	wrapped, err := kek.Wrap(ctx, make([]byte, 32), b)
	if err != nil {
		log.Fatal(err)
	}
	key, err := kek.Unwrap(ctx, wrapped, b)
	fmt.Println(kek.ID(), len(key), err)
	// Output: example:1 32 <nil>
}
