package blindindex_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/blindindex"
	"github.com/surety-go/surety/crypto/cryptotest"
)

func newKeeper(t *testing.T, o crypto.Options) *crypto.Keeper {
	t.Helper()
	k, err := crypto.NewKeeper(cryptotest.NewKEK("k"), crypto.NewMemoryStore(), &auditlogtest.Recorder{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func index(t *testing.T, k *crypto.Keeper, column string, o blindindex.Options) *blindindex.Index {
	t.Helper()
	x, err := blindindex.New(k, "people", column, 1_000_000, o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func value(t *testing.T, x *blindindex.Index, tenant, v string) []byte {
	t.Helper()
	b, err := x.Value(t.Context(), tenant, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEqualValuesMatch(t *testing.T) {
	k := newKeeper(t, crypto.Options{})
	x := index(t, k, "email", blindindex.Options{Normalise: "lower"})
	a := value(t, x, "acme", "Ada@Example.org ")
	if len(a) != 8 || !bytes.Equal(a, value(t, x, "acme", "ada@example.org")) {
		t.Errorf("%x", a)
	}
	for name, b := range map[string][]byte{
		"other value":  value(t, x, "acme", "bob@example.org"),
		"other tenant": value(t, x, "evil", "ada@example.org"),
		"other column": value(t, index(t, k, "second_email", blindindex.Options{Normalise: "lower"}), "acme", "ada@example.org"),
	} {
		if bytes.Equal(a, b) {
			t.Errorf("%s has the same index value", name)
		}
	}
	if long := value(t, index(t, k, "email", blindindex.Options{Bits: 256, Normalise: "lower"}), "acme", "ada@example.org"); len(long) != 32 || !bytes.HasPrefix(long, a) {
		t.Errorf("256 bits: %x", long)
	}
}

func TestSearchFindsAllKeyVersions(t *testing.T) {
	k := newKeeper(t, crypto.Options{})
	x := index(t, k, "email", blindindex.Options{})
	if list, err := x.Search(t.Context(), "acme", "a"); err != nil || len(list) != 1 {
		t.Errorf("before the first write: %d, %v", len(list), err)
	}
	old := value(t, x, "acme", "a")
	if err := k.Rotate(t.Context(), x.Scope("acme")); err != nil {
		t.Fatal(err)
	}
	fresh := value(t, x, "acme", "a")
	if bytes.Equal(old, fresh) {
		t.Error("a rotation changed nothing")
	}
	list, err := x.Search(t.Context(), "acme", "a")
	if err != nil || len(list) != 2 || !bytes.Equal(list[0], fresh) || !bytes.Equal(list[1], old) {
		t.Errorf("%x, %v", list, err)
	}
	if other, err := x.Search(t.Context(), "acme", "b"); err != nil || slices.ContainsFunc(other, func(b []byte) bool { return bytes.Equal(b, old) }) {
		t.Errorf("another value: %x, %v", other, err)
	}
}

type approver struct{}

func (approver) Approved(context.Context, string, string) (auditlog.Actor, error) {
	return auditlog.Actor{ID: "a-2", Kind: auditlog.User}, nil
}

func TestIndexGoesWithTheTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t, crypto.Options{Approver: approver{}})
		x := index(t, k, "email", blindindex.Options{})
		value(t, x, "acme", "a")
		ctx := auditlog.WithActor(t.Context(), auditlog.Actor{ID: "a-1", Kind: auditlog.User})
		if _, err := k.Destroy(ctx, "acme", "", "contract ended"); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Value(t.Context(), "acme", "a"); !errors.Is(err, crypto.ErrShredded) {
			t.Errorf("Value: %v", err)
		}
		if _, err := x.Search(t.Context(), "acme", "a"); !errors.Is(err, crypto.ErrShredded) {
			t.Errorf("Search: %v", err)
		}
	})
}

func TestNormalisers(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"", " A ", " A "},
		{"exact", " A ", " A "},
		{"lower", " ÄPFEL\t", "äpfel"},
		{"lower", "Jose\u0301", "jos\u00e9"}, // written with a combining accent, and without
		{"digits", "+45 12-34 (56)", "45123456"},
	} {
		n, err := blindindex.Normaliser(tc.name)
		if err != nil || n(tc.in) != tc.want {
			t.Errorf("%s(%q), want %q, %v", tc.name, tc.in, tc.want, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	k := newKeeper(t, crypto.Options{})
	for name, make := range map[string]func() (*blindindex.Index, error){
		"few values": func() (*blindindex.Index, error) {
			return blindindex.New(k, "people", "gender", 3, blindindex.Options{})
		},
		"no keeper": func() (*blindindex.Index, error) { return blindindex.New(nil, "t", "c", 5000, blindindex.Options{}) },
		"no column": func() (*blindindex.Index, error) { return blindindex.New(k, "t", "", 5000, blindindex.Options{}) },
		"bits": func() (*blindindex.Index, error) {
			return blindindex.New(k, "t", "c", 5000, blindindex.Options{Bits: 12})
		},
		"normaliser": func() (*blindindex.Index, error) {
			return blindindex.New(k, "t", "c", 5000, blindindex.Options{Normalise: "x"})
		},
	} {
		if x, err := make(); x != nil || err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	x := index(t, k, "email", blindindex.Options{})
	if _, err := x.Value(t.Context(), "", "a"); !errors.Is(err, crypto.ErrBinding) {
		t.Errorf("without a tenant: %v", err)
	}
}

func Example() {
	ctx := context.Background()
	logged := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }) // the audit log
	keeper, err := crypto.NewKeeper(cryptotest.NewKEK("example"), crypto.NewMemoryStore(), logged, crypto.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer keeper.Close()
	emails, err := blindindex.New(keeper, "people", "email", 1_000_000, blindindex.Options{Normalise: "lower"})
	if err != nil {
		log.Fatal(err)
	}
	stored, err := emails.Value(ctx, "acme", "Ada@Example.org")
	if err != nil {
		log.Fatal(err)
	}
	found, err := emails.Search(ctx, "acme", "ada@example.org")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bytes.Equal(stored, found[0]))
	// Output: true
}
