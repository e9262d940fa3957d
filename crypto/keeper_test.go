package crypto_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
)

// fixture is a keeper with everything around it in memory.
type fixture struct {
	*crypto.Keeper
	kek   *cryptotest.KEK
	store *crypto.MemoryStore
	rec   *auditlogtest.Recorder
}

func newFixture(t testing.TB, o crypto.Options) *fixture {
	t.Helper()
	f := &fixture{kek: cryptotest.NewKEK("kek-1"), store: crypto.NewMemoryStore(), rec: &auditlogtest.Recorder{}}
	f.Keeper = f.instance(t, o)
	return f
}

// instance is another keeper on the same store, as in another process.
func (f *fixture) instance(t testing.TB, o crypto.Options) *crypto.Keeper {
	t.Helper()
	k, err := crypto.NewKeeper(f.kek, f.store, f.rec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

var place = crypto.Binding{Tenant: "acme", Subject: "u-1", Table: "people", Column: "email", Row: "17", Purpose: "contact"}

func mustSeal(t testing.TB, k *crypto.Keeper, plain string, b crypto.Binding) []byte {
	t.Helper()
	sealed, err := k.Seal(context.Background(), nil, []byte(plain), b)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func wantPlain(t testing.TB, k *crypto.Keeper, sealed []byte, b crypto.Binding, want string) {
	t.Helper()
	got, err := k.Open(context.Background(), nil, sealed, b)
	if err != nil || string(got) != want {
		t.Errorf("Open = %q, %v; want %q", got, err, want)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestNewKeeperRefuses(t *testing.T) {
	kek, store, rec := cryptotest.NewKEK("k"), crypto.NewMemoryStore(), &auditlogtest.Recorder{}
	for name, make := range map[string]func() (*crypto.Keeper, error){
		"no KEK":      func() (*crypto.Keeper, error) { return crypto.NewKeeper(nil, store, rec, crypto.Options{}) },
		"no store":    func() (*crypto.Keeper, error) { return crypto.NewKeeper(kek, nil, rec, crypto.Options{}) },
		"no recorder": func() (*crypto.Keeper, error) { return crypto.NewKeeper(kek, store, nil, crypto.Options{}) },
		"KEK without ID": func() (*crypto.Keeper, error) {
			return crypto.NewKeeper(cryptotest.NewKEK(""), store, rec, crypto.Options{})
		},
	} {
		if k, err := make(); k != nil || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]crypto.Options{
		"SIV for values":   {Algorithm: crypto.AES256SIV},
		"rotation":         {RotateAfter: time.Second},
		"MaxAge":           {Cache: crypto.CachePolicy{MaxAge: 25 * time.Hour}},
		"negative MaxUses": {Cache: crypto.CachePolicy{MaxUses: -1}},
		"MaxBytes":         {Cache: crypto.CachePolicy{MaxBytes: 10}},
		"RevokeCheck":      {Cache: crypto.CachePolicy{RevokeCheck: time.Hour}},
		"horizon":          {BackupHorizon: -1},
		"signer":           {Signer: make([]byte, 3)},
		"nil previous":     {Previous: []crypto.KEK{nil}},
		"same KEK twice":   {Previous: []crypto.KEK{cryptotest.NewKEK("k")}},
	} {
		if k, err := crypto.NewKeeper(kek, store, rec, o); k != nil || err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func eachAlgorithm(t *testing.T, f func(*testing.T, crypto.Options)) {
	for _, a := range []crypto.Algorithm{crypto.AES256GCM, crypto.AES256GCMDerived} {
		t.Run(a.String(), func(t *testing.T) { f(t, crypto.Options{Algorithm: a}) })
	}
}

func TestSealOpen(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, o crypto.Options) {
		f := newFixture(t, o)
		for _, n := range []int{0, 1, 15, 16, 17, 64, 1000, 1 << 17} {
			plain := strings.Repeat("x", n)
			sealed := mustSeal(t, f.Keeper, plain, place)
			if len(sealed) > n+crypto.Overhead {
				t.Errorf("%d bytes grew to %d", n, len(sealed))
			}
			wantPlain(t, f.Keeper, sealed, place, plain)
			if again := mustSeal(t, f.Keeper, plain, place); bytes.Equal(again, sealed) {
				t.Errorf("two ciphertexts of the same %d bytes are equal", n)
			}
		}
		// dst is extended, not replaced.
		out, err := f.Seal(t.Context(), []byte("pre"), []byte("v"), place)
		if err != nil || !bytes.HasPrefix(out, []byte("pre")) {
			t.Fatalf("%q, %v", out, err)
		}
		got, err := f.Open(t.Context(), []byte("pre"), out[3:], place)
		if err != nil || string(got) != "prev" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// Asherah, Confluent's CSFLE and Rails pass no associated data: whoever writes
// the database moves a ciphertext to another row and has it read as that
// row's value.
func TestMovedValues(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, o crypto.Options) {
		f := newFixture(t, o)
		sealed := mustSeal(t, f.Keeper, "secret", place)
		for name, change := range map[string]func(*crypto.Binding){
			"tenant":  func(b *crypto.Binding) { b.Tenant = "evil" },
			"subject": func(b *crypto.Binding) { b.Subject = "u-2" },
			"nobody":  func(b *crypto.Binding) { b.Subject = "" },
			"table":   func(b *crypto.Binding) { b.Table = "notes" },
			"column":  func(b *crypto.Binding) { b.Column = "title" },
			"row":     func(b *crypto.Binding) { b.Row = "18" },
			"purpose": func(b *crypto.Binding) { b.Purpose = "marketing" },
			"shift":   func(b *crypto.Binding) { b.Column, b.Row = "email1", "7" },
		} {
			t.Run(name, func(t *testing.T) {
				f.rec.Reset()
				moved := place
				change(&moved)
				got, err := f.Open(t.Context(), nil, sealed, moved)
				wantErr(t, err, crypto.ErrTampered)
				if got != nil {
					t.Error("bytes were returned")
				}
				f.rec.Want(t, "crypto.open", auditlog.Denied)
				f.rec.WantWithout(t, "secret")
			})
		}
	})
}

func TestEveryBitIsAuthenticated(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, o crypto.Options) {
		f := newFixture(t, o)
		sealed := mustSeal(t, f.Keeper, "secret", place)
		for i := range len(sealed) * 8 {
			bad := bytes.Clone(sealed)
			bad[i/8] ^= 1 << (i % 8)
			if got, err := f.Open(t.Context(), nil, bad, place); !errors.Is(err, crypto.ErrTampered) || got != nil {
				t.Fatalf("bit %d: %q, %v", i, got, err)
			}
		}
		for n := range len(sealed) {
			if _, err := f.Open(t.Context(), nil, sealed[:n], place); !errors.Is(err, crypto.ErrTampered) {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
		if _, err := f.Open(t.Context(), nil, append(bytes.Clone(sealed), 0), place); !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("with a byte more: %v", err)
		}
	})
}

// A peer that passes through what does not look encrypted lets an attacker
// store plaintext; one that passes through what looks encrypted lets an
// attacker's own ciphertext in.
func TestNothingIsGuessed(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	for _, s := range []string{"", "plain text", "ada@example.org", string([]byte{0xA5, 0x53, 1, 1}), string(make([]byte, 200))} {
		_, err := f.Open(t.Context(), nil, []byte(s), place)
		wantErr(t, err, crypto.ErrTampered)
		_, _, err = f.Reseal(t.Context(), nil, []byte(s), place)
		wantErr(t, err, crypto.ErrTampered)
	}
	sealed := mustSeal(t, f.Keeper, "v", place)
	twice := mustSeal(t, f.Keeper, string(sealed), place)
	wantPlain(t, f.Keeper, twice, place, string(sealed))
}

func TestBindingIsRequired(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	for name, b := range map[string]crypto.Binding{
		"zero":            {},
		"tenant":          {Table: "t", Column: "c"},
		"place":           {Tenant: "acme"},
		"table":           {Tenant: "acme", Column: "c", Purpose: "p"},
		"long Tenant":     {Tenant: strings.Repeat("t", crypto.MaxScopeField+1), Table: "t"},
		"long Subject":    {Tenant: "t", Subject: strings.Repeat("t", crypto.MaxScopeField+1), Table: "t"},
		"long Row secret": {Tenant: "t", Table: "t", Row: "secret" + strings.Repeat("t", crypto.MaxBindingField)},
	} {
		_, err := f.Seal(t.Context(), nil, nil, b)
		wantErr(t, err, crypto.ErrBinding)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the value: %v", name, err)
		}
		_, err = f.Open(t.Context(), nil, nil, b)
		wantErr(t, err, crypto.ErrBinding)
	}
	_, err := f.Seal(t.Context(), nil, make([]byte, crypto.MaxPlain+1), place)
	wantErr(t, err, crypto.ErrTooLarge)
}

func TestOpaque(t *testing.T) {
	if crypto.Opaque(nil) != nil {
		t.Error("no error became one")
	}
	for _, err := range []error{crypto.ErrTampered, crypto.ErrShredded, fmt.Errorf("x: %w", crypto.ErrKeyUnavailable)} {
		if got := crypto.Opaque(err); !errors.Is(got, crypto.ErrOpen) || errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestInspect(t *testing.T) {
	f := newFixture(t, crypto.Options{Algorithm: crypto.AES256GCMDerived})
	h, err := crypto.Inspect(mustSeal(t, f.Keeper, "v", place))
	if err != nil || h.Version != 1 || h.Algorithm != crypto.AES256GCMDerived || h.Key == (crypto.KeyID{}) {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestDeterministic(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	col := crypto.Binding{Tenant: "acme", Table: "people", Column: "country"}
	if fips140.Enforced() { // AES-SIV is no approved mode
		_, err := f.SealDeterministic(t.Context(), nil, nil, col)
		wantErr(t, err, crypto.ErrFIPS)
		return
	}
	seal := func(v string, b crypto.Binding) []byte {
		t.Helper()
		s, err := f.SealDeterministic(t.Context(), nil, []byte(v), b)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := seal("DK", col)
	if !bytes.Equal(a, seal("DK", col)) || bytes.Equal(a, seal("SE", col)) {
		t.Error("equal values are not equal, or others are")
	}
	other := col
	other.Column = "born_in"
	if bytes.Equal(a, seal("DK", other)) {
		t.Error("columns can be joined")
	}
	wantPlain(t, f.Keeper, a, col, "DK")
	_, err := f.Open(t.Context(), nil, a, other)
	wantErr(t, err, crypto.ErrTampered)
	for _, b := range []crypto.Binding{{Tenant: "acme", Table: "t", Column: "c", Row: "1"}, {Tenant: "acme", Subject: "u", Table: "t", Column: "c"}, {Tenant: "acme", Table: "t"}} {
		_, err := f.SealDeterministic(t.Context(), nil, nil, b)
		wantErr(t, err, crypto.ErrBinding)
	}
	if err := f.Rotate(t.Context(), crypto.Scope{Tenant: "acme", Use: "siv people country"}); err != nil {
		t.Fatal(err)
	}
	b, changed, err := f.Reseal(t.Context(), nil, a, col)
	if err != nil || !changed || !bytes.Equal(b, seal("DK", col)) {
		t.Errorf("resealing: %t, %v", changed, err)
	}
	wantPlain(t, f.Keeper, b, col, "DK")
}

func TestWarmKeysNeedNoKEK(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	sealed := mustSeal(t, f.Keeper, "v", place)
	wraps, unwraps := f.kek.Calls()
	for range 1000 {
		mustSeal(t, f.Keeper, "v", place)
		wantPlain(t, f.Keeper, sealed, place, "v")
	}
	if w, u := f.kek.Calls(); w != wraps || u != unwraps || w != 1 || u != 1 {
		t.Errorf("%d wraps, %d unwraps", w, u)
	}
}

func TestColdKeyIsFetchedOnce(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	sealed := mustSeal(t, f.Keeper, "v", place)
	other := f.instance(t, crypto.Options{})
	f.kek.Delay(20 * time.Millisecond)
	_, before := f.kek.Calls()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { wantPlain(t, other, sealed, place, "v") })
	}
	wg.Wait()
	if _, after := f.kek.Calls(); after != before+1 {
		t.Errorf("%d callers caused %d unwraps", 50, after-before)
	}
}

// A caller who gives up must not take those who wait for the same key along.
func TestCancelledFetchIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		sealed := mustSeal(t, f.Keeper, "v", place)
		other := f.instance(t, crypto.Options{})
		f.kek.Delay(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := other.Open(ctx, nil, sealed, place)
			wantErr(t, err, context.Canceled)
		})
		synctest.Wait()
		wg.Go(func() { wantPlain(t, other, sealed, place, "v") })
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestKEKOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{MaxAge: time.Minute}})
		sealed := mustSeal(t, f.Keeper, "v", place)
		f.kek.FailWith(errors.New("connection refused"))
		for range 50 {
			time.Sleep(time.Second)
			wantPlain(t, f.Keeper, sealed, place, "v")
			mustSeal(t, f.Keeper, "v", place)
		}
		time.Sleep(11 * time.Second)
		_, err := f.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrKeyUnavailable)
		_, err = f.Seal(t.Context(), nil, nil, place)
		wantErr(t, err, crypto.ErrKeyUnavailable)
		f.kek.FailWith(nil)
		wantPlain(t, f.Keeper, sealed, place, "v")
	})
}

// failingStore stops answering when told to.
type failingStore struct {
	*crypto.MemoryStore
	mu  sync.Mutex
	err error
}

func (s *failingStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *failingStore) now() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *failingStore) Get(ctx context.Context, tenant string, id crypto.KeyID) (crypto.Record, error) {
	if err := s.now(); err != nil {
		return crypto.Record{}, err
	}
	return s.MemoryStore.Get(ctx, tenant, id)
}

func (s *failingStore) Latest(ctx context.Context, sc crypto.Scope) (crypto.Record, error) {
	if err := s.now(); err != nil {
		return crypto.Record{}, err
	}
	return s.MemoryStore.Latest(ctx, sc)
}

// Whether a key still stands can't be known without the store.
func TestStoreOutageFailsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{MemoryStore: crypto.NewMemoryStore()}
		k, err := crypto.NewKeeper(cryptotest.NewKEK("k"), store, &auditlogtest.Recorder{}, crypto.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		sealed := mustSeal(t, k, "v", place)
		store.fail(errors.New("connection refused"))
		wantPlain(t, k, sealed, place, "v")
		time.Sleep(1001 * time.Millisecond)
		_, err = k.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrKeyUnavailable)
		_, err = k.Seal(t.Context(), nil, nil, place)
		wantErr(t, err, crypto.ErrKeyUnavailable)
		store.fail(nil)
		wantPlain(t, k, sealed, place, "v")
	})
}

func TestUnrecordedKeyIsNotUsed(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	f.rec.FailWith(errors.New("disk full"))
	_, err := f.Seal(t.Context(), nil, nil, place)
	wantErr(t, err, crypto.ErrKeyUnavailable)
	if list, err := f.store.List(t.Context(), "acme", crypto.KeyID{}, 1); err != nil || len(list) != 0 {
		t.Errorf("a key that the log does not know was stored: %v", err)
	}
	f.rec.FailWith(nil)
	sealed := mustSeal(t, f.Keeper, "v", place)
	other := f.instance(t, crypto.Options{})
	f.rec.FailWith(errors.New("disk full"))
	_, err = other.Open(t.Context(), nil, sealed, place)
	wantErr(t, err, crypto.ErrKeyUnavailable)
	if err := f.Rotate(t.Context(), crypto.Scope{Tenant: "acme", Subject: "u-1"}); !errors.Is(err, crypto.ErrKeyUnavailable) {
		t.Errorf("an unrecorded rotation: %v", err)
	}
}

// A writer of the store files one person's wrapped key under another's id, or
// hands out another key: the binding and the commitment both say no.
func TestStoreIsNotTrusted(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	evil := crypto.Binding{Tenant: "acme", Subject: "mallory", Table: "people", Column: "email", Row: "1"}
	mustSeal(t, f.Keeper, "v", evil)
	sealed := mustSeal(t, f.Keeper, "v", place)
	theirs, err := f.store.Latest(t.Context(), crypto.Scope{Tenant: "acme", Subject: "mallory"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := crypto.Inspect(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(crypto.Record) crypto.Record{
		"other wrapped key": func(r crypto.Record) crypto.Record { r.Wrapped = theirs.Wrapped; return r },
		"other record":      func(crypto.Record) crypto.Record { return theirs },
		"older":             func(r crypto.Record) crypto.Record { r.Created = r.Created.Add(-time.Hour); return r },
		"other algorithm":   func(r crypto.Record) crypto.Record { r.Algorithm = crypto.AES256GCMDerived; return r },
		"other subject":     func(r crypto.Record) crypto.Record { r.Subject = "mallory"; return r },
		"other version":     func(r crypto.Record) crypto.Record { r.Version = 9; return r },
		"other KEK":         func(r crypto.Record) crypto.Record { r.KEK = "kek-9"; return r },
		"no key":            func(r crypto.Record) crypto.Record { r.Wrapped = nil; return r },
	} {
		k, err := crypto.NewKeeper(f.kek, lyingStore{f.store, h.Key, lie}, f.rec, crypto.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Open(t.Context(), nil, sealed, place)
		if got != nil || !errors.Is(err, crypto.ErrTampered) && !errors.Is(err, crypto.ErrKeyUnavailable) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		k.Close()
	}
}

type lyingStore struct {
	*crypto.MemoryStore
	about crypto.KeyID
	lie   func(crypto.Record) crypto.Record
}

func (s lyingStore) Get(ctx context.Context, tenant string, id crypto.KeyID) (crypto.Record, error) {
	r, err := s.MemoryStore.Get(ctx, tenant, id)
	return s.lie(r), err
}

func TestCachePolicy(t *testing.T) {
	t.Run("MaxUses", func(t *testing.T) {
		f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{MaxUses: 10}})
		sealed := mustSeal(t, f.Keeper, "v", place)
		_, before := f.kek.Calls()
		for range 35 {
			wantPlain(t, f.Keeper, sealed, place, "v")
		}
		if _, after := f.kek.Calls(); after-before != 3 {
			t.Errorf("35 uses of a key for 10 unwrapped it %d more times", after-before)
		}
	})
	t.Run("MaxBytes", func(t *testing.T) {
		f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{MaxBytes: int64(crypto.MaxPlain + crypto.Overhead)}})
		big := make([]byte, crypto.MaxPlain)
		for range 2 {
			if _, err := f.Seal(t.Context(), nil, big, place); err != nil {
				t.Fatal(err)
			}
		}
		if _, unwraps := f.kek.Calls(); unwraps != 2 {
			t.Errorf("twice the bytes of MaxBytes unwrapped the key %d times", unwraps)
		}
	})
	t.Run("MaxEntries", func(t *testing.T) {
		f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{MaxEntries: 20}})
		for i := range 200 {
			b := place
			b.Subject = fmt.Sprint("u-", i)
			wantPlain(t, f.Keeper, mustSeal(t, f.Keeper, "v", b), b, "v")
		}
		if n := f.CacheLen(); n != 20 {
			t.Errorf("%d keys in memory, limit 20", n)
		}
	})
	t.Run("MaxAge", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, crypto.Options{})
			mustSeal(t, f.Keeper, "v", place)
			if f.CacheLen() != 1 {
				t.Error("no key in memory")
			}
			time.Sleep(5*time.Minute + time.Second)
			synctest.Wait()
			if f.CacheLen() != 0 {
				t.Error("a key stays in memory past MaxAge")
			}
		})
	})
	t.Run("Close", func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		sealed := mustSeal(t, f.Keeper, "v", place)
		f.Close()
		if f.CacheLen() != 0 {
			t.Error("keys remain after Close")
		}
		_, err := f.Open(t.Context(), nil, sealed, place)
		wantErr(t, err, crypto.ErrClosed)
		_, err = f.Seal(t.Context(), nil, nil, place)
		wantErr(t, err, crypto.ErrClosed)
	})
}

func TestConcurrentUse(t *testing.T) {
	f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{MaxUses: 7, MaxEntries: 3}})
	other := f.instance(t, crypto.Options{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			b := place
			b.Subject = fmt.Sprint("u-", g%5)
			for i := range 50 {
				plain := fmt.Sprint(g, i)
				sealed, err := f.Seal(t.Context(), nil, []byte(plain), b)
				if err != nil {
					t.Errorf("seal: %v", err)
					return
				}
				wantPlain(t, other, sealed, b, plain)
				if i == 25 {
					if err := other.Rotate(t.Context(), crypto.Scope{Tenant: b.Tenant, Subject: b.Subject}); err != nil {
						t.Errorf("rotate: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestSealAndOpenDoNotAllocate(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	plain, buf, out := make([]byte, 64), make([]byte, 0, 256), make([]byte, 0, 256)
	sealed := mustSeal(t, f.Keeper, string(plain), place)
	ctx := t.Context()
	for name, op := range map[string]func() error{
		"Seal": func() error { _, err := f.Seal(ctx, buf, plain, place); return err },
		"Open": func() error { _, err := f.Open(ctx, out, sealed, place); return err },
	} {
		if n := allocations(t, op); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// allocations is the smallest of several measurements: the runtime counts what
// every goroutine allocates, also those that earlier tests are still ending.
func allocations(t *testing.T, op func() error) float64 {
	least := math.Inf(1)
	for range 10 {
		least = min(least, testing.AllocsPerRun(200, func() {
			if err := op(); err != nil {
				t.Fatal(err)
			}
		}))
	}
	return least
}

func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		for _, c := range f.Controls() {
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if r := c.Run(t.Context()); r.State != controls.Pass {
				t.Errorf("%s: %v: %s", c.ID, r.State, r.Observed)
			}
		}
		for _, e := range f.rec.Entries() {
			if e.Actor.Kind != auditlog.Probe {
				t.Errorf("%s is by %v", e.Action, e.Actor.Kind)
			}
		}
		f.kek.Revoke()
		time.Sleep(10 * time.Minute)
		for _, c := range f.Controls() {
			if r := c.Run(t.Context()); r.State != controls.Error {
				t.Errorf("with a revoked KEK %s: %v: %s", c.ID, r.State, r.Observed)
			}
		}
	})
}
