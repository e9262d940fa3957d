package cryptotest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/crypto"
)

// TestKEK checks that a KEK keeps the rules. Each failure names the rule.
func TestKEK(t *testing.T, kek crypto.KEK) {
	b := crypto.Binding{Tenant: "acme", Subject: "u-1", Table: "surety_keys", Column: "", Row: "17", Purpose: "key v1"}
	for _, size := range []int{1, 32, 64, 1024} {
		key := make([]byte, size)
		rand.Read(key) // never fails
		kept := bytes.Clone(key)
		wrapped, err := kek.Wrap(t.Context(), key, b)
		if err != nil {
			t.Fatalf("a key of %d bytes is wrapped: %v", size, err)
		}
		if !bytes.Equal(key, kept) {
			t.Error("Wrap leaves its argument alone")
		}
		if size >= 32 && bytes.Contains(wrapped, key) {
			t.Error("a wrapped key does not show the key")
		}
		again, err := kek.Wrap(t.Context(), key, b)
		if err != nil || bytes.Equal(again, wrapped) {
			t.Errorf("wrapping is randomised: %v", err)
		}
		if got, err := kek.Unwrap(t.Context(), wrapped, b); err != nil || !bytes.Equal(got, key) {
			t.Errorf("an unwrapped key of %d bytes is the wrapped one: %v", size, err)
		}
		if size == 32 {
			refuses(t, kek, wrapped, b)
		}
	}
	if id := kek.ID(); id == "" || len(id) > 256 || id != kek.ID() {
		t.Errorf("ID is 1 to 256 bytes and stays: %q", id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := kek.Wrap(ctx, make([]byte, 32), b); err == nil {
		t.Error("an ended context is an error")
	}
}

// refuses checks that nothing but the same blob at the same place unwraps.
func refuses(t *testing.T, kek crypto.KEK, wrapped []byte, b crypto.Binding) {
	t.Helper()
	for name, change := range map[string]func(*crypto.Binding){
		"Tenant":  func(b *crypto.Binding) { b.Tenant = "evil" },
		"Subject": func(b *crypto.Binding) { b.Subject = "u-2" },
		"Row":     func(b *crypto.Binding) { b.Row = "18" },
		"Purpose": func(b *crypto.Binding) { b.Purpose = "key v2" },
		"Column":  func(b *crypto.Binding) { b.Column = "x" },
	} {
		moved := b
		change(&moved)
		if _, err := kek.Unwrap(t.Context(), wrapped, moved); err == nil {
			t.Errorf("a key wrapped for another %s does not unwrap", name)
		}
	}
	for _, bad := range [][]byte{nil, {0}, wrapped[:len(wrapped)-1], append(bytes.Clone(wrapped), 0)} {
		if _, err := kek.Unwrap(t.Context(), bad, b); err == nil {
			t.Errorf("a wrapped key cut to %d bytes does not unwrap", len(bad))
		}
	}
	for _, i := range []int{len(wrapped) / 2, len(wrapped) - 1} {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 0x10
		if _, err := kek.Unwrap(t.Context(), bad, b); err == nil {
			t.Errorf("a wrapped key changed in byte %d does not unwrap", i)
		}
	}
}

// now is the time in the resolution of stores.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// record returns a key that no store has seen.
func record(s crypto.Scope, version int) crypto.Record {
	r := crypto.Record{Scope: s, Version: version, Algorithm: crypto.AES256GCM, KEK: "kek-1", Wrapped: []byte(rand.Text()), Created: now()}
	rand.Read(r.ID[:]) // never fails
	return r
}

func same(a, b crypto.Record) bool {
	return a.Scope == b.Scope && a.Version == b.Version && a.ID == b.ID && a.Algorithm == b.Algorithm && a.KEK == b.KEK &&
		bytes.Equal(a.Wrapped, b.Wrapped) && a.Created.Equal(b.Created) && a.Reserved == b.Reserved && a.Destroyed.Equal(b.Destroyed)
}

// TestKeyStore checks that a store keeps the rules every keeper relies on.
// Each failure names the rule. open is called once per rule and returns an
// empty store.
func TestKeyStore(t *testing.T, open func(*testing.T) crypto.KeyStore) {
	for _, rule := range []struct {
		name string
		test func(*testing.T, crypto.KeyStore)
	}{
		{"Insert", testInsert},
		{"Latest", testLatest},
		{"List", testList},
		{"Reserve", testReserve},
		{"Rewrap", testRewrap},
		{"Destroy", testDestroy},
		{"DestroyTenant", testDestroyTenant},
		{"Replay", testReplay},
		{"Tenants", testTenants},
		{"ConcurrentInsert", testConcurrentInsert},
		{"InsertWhileDestroying", testInsertWhileDestroying},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, open(t)) })
	}
}

var ada = crypto.Scope{Tenant: "acme", Subject: "ada"}

func insert(t *testing.T, s crypto.KeyStore, r crypto.Record) crypto.Record {
	t.Helper()
	if err := s.Insert(t.Context(), r); err != nil {
		t.Fatalf("a new key is inserted: %v", err)
	}
	return r
}

func testInsert(t *testing.T, s crypto.KeyStore) {
	r := insert(t, s, record(ada, 1))
	got, err := s.Get(t.Context(), "acme", r.ID)
	if err != nil || !same(got, r) {
		t.Errorf("Get returns what was inserted: %+v, %v", got, err)
	}
	if err := s.Insert(t.Context(), record(ada, 1)); !errors.Is(err, crypto.ErrExists) {
		t.Errorf("a version exists once: %v", err)
	}
	dup := record(crypto.Scope{Tenant: "acme", Subject: "bob"}, 1)
	dup.ID = r.ID
	if err := s.Insert(t.Context(), dup); !errors.Is(err, crypto.ErrExists) {
		t.Errorf("an id exists once: %v", err)
	}
	if _, err := s.Get(t.Context(), "acme", crypto.KeyID{1}); !errors.Is(err, crypto.ErrNotFound) {
		t.Errorf("an unknown id is ErrNotFound: %v", err)
	}
	other := ada
	other.Use = "index people email"
	insert(t, s, record(other, 1)) // another use is another line
}

func testLatest(t *testing.T, s crypto.KeyStore) {
	if _, err := s.Latest(t.Context(), ada); !errors.Is(err, crypto.ErrNotFound) {
		t.Errorf("a scope without keys is ErrNotFound: %v", err)
	}
	insert(t, s, record(ada, 1))
	r10 := insert(t, s, record(ada, 10))
	r9 := insert(t, s, record(ada, 9))
	insert(t, s, record(crypto.Scope{Tenant: "acme"}, 11))
	if got, err := s.Latest(t.Context(), ada); err != nil || !same(got, r10) {
		t.Errorf("Latest is the highest version by number: %d, %v", got.Version, err)
	}
	list, err := s.Versions(t.Context(), ada)
	if err != nil || len(list) != 3 || !same(list[0], r10) || !same(list[1], r9) {
		t.Errorf("Versions lists the scope's keys, latest first: %d, %v", len(list), err)
	}
}

func testList(t *testing.T, s crypto.KeyStore) {
	var want []crypto.KeyID
	for i := range 7 {
		r := insert(t, s, record(crypto.Scope{Tenant: "acme", Subject: string(rune('a' + i))}, 1))
		want = append(want, r.ID)
	}
	insert(t, s, record(crypto.Scope{Tenant: "other"}, 1))
	slices.SortFunc(want, func(a, b crypto.KeyID) int { return bytes.Compare(a[:], b[:]) })
	var got []crypto.KeyID
	var after crypto.KeyID
	for {
		page, err := s.List(t.Context(), "acme", after, 3)
		if err != nil || len(page) > 3 {
			t.Fatalf("a page has at most limit keys: %d, %v", len(page), err)
		}
		for _, r := range page {
			got = append(got, r.ID)
			after = r.ID
		}
		if len(page) < 3 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages give each of the tenant's keys once, in the order of ids: %d of %d", len(got), len(want))
	}
}

func testReserve(t *testing.T, s crypto.KeyStore) {
	r := insert(t, s, record(ada, 1))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Reserve(t.Context(), "acme", r.ID, 5); err != nil {
				t.Errorf("uses are reserved: %v", err)
			}
		})
	}
	wg.Wait()
	if total, err := s.Reserve(t.Context(), "acme", r.ID, 1<<33); err != nil || total != 1<<33+40 {
		t.Errorf("no reservation is lost: %d, %v", total, err)
	}
	if _, err := s.Reserve(t.Context(), "acme", crypto.KeyID{1}, 1); !errors.Is(err, crypto.ErrNotFound) {
		t.Errorf("reserving with an unknown key is ErrNotFound: %v", err)
	}
}

func testRewrap(t *testing.T, s crypto.KeyStore) {
	r := insert(t, s, record(ada, 1))
	if err := s.Rewrap(t.Context(), "acme", r.ID, r.Wrapped, "kek-2", []byte("new")); err != nil {
		t.Fatalf("a key is wrapped anew: %v", err)
	}
	got, err := s.Get(t.Context(), "acme", r.ID)
	if err != nil || got.KEK != "kek-2" || string(got.Wrapped) != "new" {
		t.Errorf("Rewrap replaces KEK and Wrapped: %v", err)
	}
	if err := s.Rewrap(t.Context(), "acme", r.ID, r.Wrapped, "kek-3", []byte("late")); !errors.Is(err, crypto.ErrConflict) {
		t.Errorf("a key that was wrapped anew meanwhile is ErrConflict: %v", err)
	}
}

func testDestroy(t *testing.T, s crypto.KeyStore) {
	r1, r2 := insert(t, s, record(ada, 1)), insert(t, s, record(ada, 2))
	bob := insert(t, s, record(crypto.Scope{Tenant: "acme", Subject: "bob"}, 1))
	at := now()
	gone, err := s.Destroy(t.Context(), crypto.Tombstone{Tenant: "acme", Subject: "ada", At: at})
	if err != nil || len(gone) != 2 {
		t.Fatalf("Destroy names every key: %d, %v", len(gone), err)
	}
	for _, r := range []crypto.Record{r1, r2} {
		want := crypto.Destroyed{ID: r.ID, WrappedHash: sha256.Sum256(r.Wrapped)}
		if !slices.Contains(gone, want) {
			t.Error("a destroyed key is named with the hash of its wrapped form")
		}
		got, err := s.Get(t.Context(), "acme", r.ID)
		if err != nil || len(got.Wrapped) != 0 || !got.Destroyed.Equal(at) {
			t.Errorf("a destroyed key keeps its id and loses its wrapped form: %v", err)
		}
		if err := s.Rewrap(t.Context(), "acme", r.ID, nil, "kek-2", []byte("x")); !errors.Is(err, crypto.ErrConflict) {
			t.Errorf("a destroyed key can't be wrapped anew: %v", err)
		}
		if _, err := s.Reserve(t.Context(), "acme", r.ID, 1); !errors.Is(err, crypto.ErrShredded) {
			t.Errorf("a destroyed key has no uses: %v", err)
		}
	}
	if got, err := s.Get(t.Context(), "acme", bob.ID); err != nil || !same(got, bob) {
		t.Errorf("other subjects' keys stand: %v", err)
	}
	if _, err := s.Latest(t.Context(), ada); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("Latest of an erased subject is ErrShredded: %v", err)
	}
	if list, err := s.Versions(t.Context(), ada); err != nil || len(list) != 0 {
		t.Errorf("Versions leaves out destroyed keys: %d, %v", len(list), err)
	}
	if list, err := s.List(t.Context(), "acme", crypto.KeyID{}, 10); err != nil || len(list) != 1 {
		t.Errorf("List leaves out destroyed keys: %d, %v", len(list), err)
	}
	if err := s.Insert(t.Context(), record(ada, 3)); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("an erased subject gets no new key: %v", err)
	}
	if gone, err := s.Destroy(t.Context(), crypto.Tombstone{Tenant: "acme", Subject: "ada", At: now()}); err != nil || len(gone) != 0 {
		t.Errorf("destroying again succeeds and finds nothing: %d, %v", len(gone), err)
	}
	testAllow(t, s)
}

func testAllow(t *testing.T, s crypto.KeyStore) {
	t.Helper()
	// Instances' clocks differ: an allowance in the future must not outlive
	// the next destruction.
	if err := s.Allow(t.Context(), "acme", "ada", now().Add(time.Minute)); err != nil {
		t.Fatalf("an allowance is stored: %v", err)
	}
	r, err := s.Latest(t.Context(), ada)
	if !errors.Is(err, crypto.ErrNotFound) || r.Version != 2 {
		t.Errorf("after an allowance Latest is ErrNotFound with the highest version ever: %d, %v", r.Version, err)
	}
	insert(t, s, record(ada, 3))
	if _, err := s.Destroy(t.Context(), crypto.Tombstone{Tenant: "acme", Subject: "ada", At: now()}); err != nil {
		t.Fatalf("a subject is destroyed again: %v", err)
	}
	if err := s.Insert(t.Context(), record(ada, 4)); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("a destruction ends an allowance, whatever the clocks say: %v", err)
	}
}

func testDestroyTenant(t *testing.T, s crypto.KeyStore) {
	insert(t, s, record(crypto.Scope{Tenant: "acme"}, 1))
	insert(t, s, record(ada, 1))
	other := insert(t, s, record(crypto.Scope{Tenant: "other", Subject: "ada"}, 1))
	gone, err := s.Destroy(t.Context(), crypto.Tombstone{Tenant: "acme", At: now()})
	if err != nil || len(gone) != 2 {
		t.Errorf("an empty subject destroys all of the tenant's keys: %d, %v", len(gone), err)
	}
	if err := s.Insert(t.Context(), record(crypto.Scope{Tenant: "acme", Subject: "new"}, 1)); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("an erased tenant gets no new key, for anyone: %v", err)
	}
	if _, err := s.Latest(t.Context(), crypto.Scope{Tenant: "acme", Subject: "new"}); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("Latest of an erased tenant's subject is ErrShredded: %v", err)
	}
	if got, err := s.Get(t.Context(), "other", other.ID); err != nil || !same(got, other) {
		t.Errorf("other tenants' keys stand: %v", err)
	}
}

func testReplay(t *testing.T, s crypto.KeyStore) {
	at := now()
	old, young := record(ada, 1), record(ada, 2)
	old.Created, young.Created = at.Add(-time.Hour), at.Add(2*time.Hour)
	insert(t, s, old)
	insert(t, s, young)
	ts := crypto.Tombstone{Tenant: "acme", Subject: "ada", At: at}
	gone, err := s.Replay(t.Context(), ts)
	if err != nil || len(gone) != 1 || gone[0].ID != old.ID {
		t.Errorf("Replay destroys keys made before the tombstone only: %d, %v", len(gone), err)
	}
	if _, err := s.Latest(t.Context(), ada); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("a replayed tombstone stands: %v", err)
	}
	if err := s.Allow(t.Context(), "acme", "ada", at.Add(time.Hour)); err != nil {
		t.Fatalf("an allowance is stored: %v", err)
	}
	if _, err := s.Replay(t.Context(), ts); err != nil {
		t.Fatalf("replaying again succeeds: %v", err)
	}
	if got, err := s.Latest(t.Context(), ada); err != nil || !same(got, young) {
		t.Errorf("an older tombstone does not undo a later allowance: %v", err)
	}
}

func testTenants(t *testing.T, s crypto.KeyStore) {
	r := insert(t, s, record(ada, 1))
	if _, err := s.Get(t.Context(), "evil", r.ID); !errors.Is(err, crypto.ErrNotFound) {
		t.Errorf("another tenant does not find the key: %v", err)
	}
	if _, err := s.Latest(t.Context(), crypto.Scope{Tenant: "evil", Subject: "ada"}); !errors.Is(err, crypto.ErrNotFound) {
		t.Errorf("another tenant's subject of the same name has no keys: %v", err)
	}
	if list, err := s.List(t.Context(), "evil", crypto.KeyID{}, 10); err != nil || len(list) != 0 {
		t.Errorf("another tenant lists nothing: %d, %v", len(list), err)
	}
	if _, err := s.Reserve(t.Context(), "evil", r.ID, 1); !errors.Is(err, crypto.ErrNotFound) {
		t.Errorf("another tenant reserves nothing: %v", err)
	}
	if err := s.Rewrap(t.Context(), "evil", r.ID, r.Wrapped, "x", []byte("x")); !errors.Is(err, crypto.ErrConflict) {
		t.Errorf("another tenant wraps nothing anew: %v", err)
	}
	if gone, err := s.Destroy(t.Context(), crypto.Tombstone{Tenant: "evil", Subject: "ada", At: now()}); err != nil || len(gone) != 0 {
		t.Errorf("another tenant destroys nothing: %d, %v", len(gone), err)
	}
	if got, err := s.Get(t.Context(), "acme", r.ID); err != nil || !same(got, r) {
		t.Errorf("after all that the key is unchanged: %v", err)
	}
	testNoTenant(t, s, r)
}

func testNoTenant(t *testing.T, s crypto.KeyStore, r crypto.Record) {
	t.Helper()
	ctx := t.Context()
	r.Tenant = ""
	_, get := s.Get(ctx, "", r.ID)
	_, latest := s.Latest(ctx, crypto.Scope{})
	_, versions := s.Versions(ctx, crypto.Scope{})
	_, list := s.List(ctx, "", crypto.KeyID{}, 1)
	_, reserve := s.Reserve(ctx, "", r.ID, 1)
	_, destroy := s.Destroy(ctx, crypto.Tombstone{At: now()})
	_, replay := s.Replay(ctx, crypto.Tombstone{At: now()})
	for name, err := range map[string]error{
		"Insert": s.Insert(ctx, r), "Get": get, "Latest": latest, "Versions": versions, "List": list, "Reserve": reserve,
		"Rewrap": s.Rewrap(ctx, "", r.ID, nil, "x", nil), "Destroy": destroy, "Replay": replay, "Allow": s.Allow(ctx, "", "x", now()),
	} {
		if err == nil || errors.Is(err, crypto.ErrNotFound) {
			t.Errorf("%s without a tenant is an error: %v", name, err)
		}
	}
}

func testConcurrentInsert(t *testing.T, s crypto.KeyStore) {
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := s.Insert(t.Context(), record(ada, 1))
			if err != nil && !errors.Is(err, crypto.ErrExists) {
				t.Errorf("a lost race is ErrExists: %v", err)
			}
			if err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("one of the racing inserts of a version wins: %d", won)
	}
}

// testInsertWhileDestroying looks for the key that slips in between a
// tombstone and the destruction it stands for.
func testInsertWhileDestroying(t *testing.T, s crypto.KeyStore) {
	for i := range 10 {
		scope := crypto.Scope{Tenant: "acme", Subject: "s" + string(rune('0'+i))}
		var wg sync.WaitGroup
		for v := range 3 {
			wg.Go(func() {
				if err := s.Insert(t.Context(), record(scope, v+1)); err != nil && !errors.Is(err, crypto.ErrShredded) {
					t.Errorf("an insert while destroying succeeds or is ErrShredded: %v", err)
				}
			})
		}
		wg.Go(func() {
			if _, err := s.Destroy(t.Context(), crypto.Tombstone{Tenant: "acme", Subject: scope.Subject, At: now()}); err != nil {
				t.Errorf("destroying while others insert succeeds: %v", err)
			}
		})
		wg.Wait()
		if list, err := s.Versions(t.Context(), scope); err != nil || len(list) != 0 {
			t.Fatalf("no key survives the destruction of its subject: %d, %v", len(list), err)
		}
	}
}
