package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

type shop struct {
	*apikey.Manager
	store *apikey.Memory
	rec   *auditlogtest.Recorder
	at    time.Time
}

func newShop(t testing.TB, o apikey.Options) *shop {
	t.Helper()
	s := &shop{store: &apikey.Memory{}, rec: &auditlogtest.Recorder{}, at: time.Now()}
	var err error
	if s.Manager, err = apikey.New(s.store, bytes.Repeat([]byte{1}, 32), s.rec, o); err != nil {
		t.Fatal(err)
	}
	apikey.SetNow(s.Manager, func() time.Time { return s.at })
	return s
}

func (s *shop) make(t testing.TB) (string, apikey.Key) {
	t.Helper()
	secret, k, err := s.Create(t.Context(), apikey.Key{Tenant: "acme_1", Owner: "u-1", Name: "export", Scopes: []string{"records.read"}, Groups: []string{"bots"}})
	if err != nil {
		t.Fatal(err)
	}
	return secret, k
}

func (s *shop) ask(t testing.TB, header, value string) (authn.Principal, error) {
	t.Helper()
	return s.Authenticate(t.Context(), guard.Synthetic("t", "t.read", http.Header{header: {value}}))
}

func TestKeyIsItsOwnersService(t *testing.T) {
	s := newShop(t, apikey.Options{Prefix: "acme"})
	secret, k := s.make(t)
	for header, value := range map[string]string{"Authorization": "Bearer " + secret, "X-Api-Key": secret} {
		p, err := s.ask(t, header, value)
		if err != nil || p.ID != k.ID || p.For != "u-1" || p.Tenant != "acme_1" || p.Kind != auditlog.Service || p.AAL != authn.AAL1 ||
			len(p.Scopes) != 1 || len(p.Groups) != 1 {
			t.Errorf("%s: %+v, %v", header, p, err)
		}
	}
	list, err := s.List(t.Context(), "acme_1", "u-1")
	if err != nil || len(list) != 1 || list[0].LastUsed.IsZero() || list[0].Name != "export" {
		t.Errorf("%+v, %v", list, err)
	}
	s.rec.Want(t, "authn.apikey.create", auditlog.Success)
	s.rec.WantWithout(t, secret)
}

func TestOnlyAHashIsStored(t *testing.T) {
	s := newShop(t, apikey.Options{})
	secret, k := s.make(t)
	r, err := s.store.Get(t.Context(), k.Tenant, k.ID)
	if err != nil || bytes.Contains(r.Data, []byte(secret)) || bytes.Contains(r.Data, []byte(secret[len(secret)-39:])) {
		t.Errorf("the secret is stored: %v", err)
	}
	if !apikey.Looks("sk", secret) || apikey.Looks("sk", secret[:len(secret)-1]+"x") || apikey.Looks("pk", secret) {
		t.Error("a scanner can't tell keys from words")
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := newShop(t, apikey.Options{})
	secret, _ := s.make(t)
	other, _ := s.make(t)
	for what, token := range map[string]string{
		"cut": secret[:len(secret)-1], "a wrong checksum": secret[:len(secret)-1] + "7", "only a prefix": "sk_",
		"long": secret + strings.Repeat("a", 1000), "upper case": strings.Replace(secret, "acme", "ACME", 1),
	} {
		if _, err := s.ask(t, "Authorization", "Bearer "+token); !errors.Is(err, apikey.ErrKey) || !errors.Is(err, authn.ErrCredential) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, value := range []string{"Basic xyz", "Bearer eyJ.a.b", "Bearer acme.xyz", ""} {
		if _, err := s.ask(t, "Authorization", value); !errors.Is(err, authn.ErrNoCredential) {
			t.Errorf("%q: %v", value, err)
		}
	}
	if _, err := s.ask(t, "Authorization", "Bearer "+other); err != nil {
		t.Error(err)
	}
}

func TestKeysEnd(t *testing.T) {
	s := newShop(t, apikey.Options{})
	secret, k := s.make(t)
	p, err := s.ask(t, "X-Api-Key", secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Revalidate(t.Context(), p); err != nil {
		t.Error(err)
	}
	s.at = s.at.Add(90*24*time.Hour + time.Second)
	if _, err := s.ask(t, "X-Api-Key", secret); !errors.Is(err, apikey.ErrKey) {
		t.Errorf("after its end: %v", err)
	}
	s.at = k.Created
	if ok, err := s.Revoke(t.Context(), k.Tenant, k.ID, "admin"); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if _, err := s.ask(t, "X-Api-Key", secret); !errors.Is(err, apikey.ErrKey) {
		t.Errorf("a revoked key: %v", err)
	}
	if err := s.Revalidate(t.Context(), p); !errors.Is(err, apikey.ErrKey) {
		t.Errorf("a stream of a revoked key: %v", err)
	}
	if err := s.Revalidate(t.Context(), authn.Principal{Actor: auditlog.Actor{ID: "u-1", Kind: auditlog.User}}); err != nil {
		t.Errorf("a person: %v", err)
	}
	if ok, err := s.Revoke(t.Context(), k.Tenant, k.ID, "admin"); ok || err != nil {
		t.Errorf("again: %t, %v", ok, err)
	}
}

func TestRotationOverlaps(t *testing.T) {
	s := newShop(t, apikey.Options{})
	old, k := s.make(t)
	next, made, err := s.Rotate(t.Context(), k.Tenant, k.ID, time.Hour)
	if err != nil || made.ID == k.ID || made.Owner != "u-1" || made.Scopes[0] != "records.read" {
		t.Fatalf("%+v, %v", made, err)
	}
	works := func(token string) bool { _, err := s.ask(t, "X-Api-Key", token); return err == nil }
	if !works(old) || !works(next) {
		t.Error("one of them does not work during the overlap")
	}
	s.at = s.at.Add(time.Hour + time.Second)
	if works(old) || !works(next) {
		t.Error("after the overlap")
	}
	if _, _, err := s.Rotate(t.Context(), k.Tenant, k.ID, time.Hour); !errors.Is(err, apikey.ErrKey) {
		t.Errorf("an ended key was rotated: %v", err)
	}
	if _, _, err := s.Rotate(t.Context(), made.Tenant, made.ID, 32*24*time.Hour); err == nil {
		t.Error("an overlap of 32 days")
	}
}

func TestOwnersWhoLeave(t *testing.T) {
	gone := false
	s := newShop(t, apikey.Options{Owner: func(context.Context, string, string) (bool, error) { return !gone, nil }})
	secret, _ := s.make(t)
	s.make(t)
	if _, err := s.ask(t, "X-Api-Key", secret); err != nil {
		t.Fatal(err)
	}
	gone = true
	if _, err := s.ask(t, "X-Api-Key", secret); !errors.Is(err, apikey.ErrKey) {
		t.Errorf("the key of somebody who left: %v", err)
	}
	if n, err := s.RevokeAll(t.Context(), "acme_1", "u-1", "leaver"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// Whoever writes the table can't widen, prolong or move a key.
func TestForgedRowsAreRefused(t *testing.T) {
	for what, forge := range map[string]func(*apikey.Row){
		"scopes":  func(r *apikey.Row) { r.Data = bytes.Replace(r.Data, []byte("records.read"), []byte("records.rite"), 1) },
		"owner":   func(r *apikey.Row) { r.Owner = "u-2" },
		"no data": func(r *apikey.Row) { r.Data = nil },
	} {
		s := newShop(t, apikey.Options{})
		secret, k := s.make(t)
		r, err := s.store.Get(t.Context(), k.Tenant, k.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.Delete(t.Context(), k.Tenant, k.ID); err != nil {
			t.Fatal(err)
		}
		forge(&r)
		if err := s.store.Insert(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ask(t, "X-Api-Key", secret); !errors.Is(err, apikey.ErrKey) {
			t.Errorf("%s: %v", what, err)
		}
		s.rec.Want(t, "authn.apikey.verify", auditlog.Denied)
		if list, err := s.List(t.Context(), k.Tenant, ""); err != nil || len(list) != 0 {
			t.Errorf("%s: listed: %+v, %v", what, list, err)
		}
	}
}

func TestScopes(t *testing.T) {
	g := apikey.RequireScope("a", "b")
	if r := g.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	someone := auditlog.Actor{ID: "x", Tenant: "acme", Kind: auditlog.Service}
	for what, c := range map[string]struct {
		p  authn.Principal
		ok bool
	}{
		"nobody":   {authn.Principal{}, false},
		"one":      {authn.Principal{Actor: someone, AAL: 1, Scopes: []string{"a"}}, false},
		"none":     {authn.Principal{Actor: someone, AAL: 1}, false},
		"both":     {authn.Principal{Actor: someone, AAL: 1, Scopes: []string{"b", "a", "c"}}, true},
		"a person": {authn.Principal{Actor: someone, AAL: 1, SessionID: "s"}, true},
	} {
		if _, err := g.Admit(authn.NewContext(t.Context(), c.p), guard.Synthetic("t", "t.read", nil)); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []*apikey.ScopeGuard{apikey.RequireScope(), apikey.RequireScope("a b"), apikey.RequireScope("")} {
		if _, err := guard.New(bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

type down struct{ apikey.Memory }

func (*down) Get(context.Context, string, string) (apikey.Row, error) {
	return apikey.Row{}, errors.New("down")
}

func TestFaultsDeny(t *testing.T) {
	s := newShop(t, apikey.Options{Owner: func(context.Context, string, string) (bool, error) { return true, errors.New("down") }})
	secret, _ := s.make(t)
	if _, err := s.ask(t, "X-Api-Key", secret); err == nil || errors.Is(err, apikey.ErrKey) {
		t.Errorf("%v", err)
	}
	s.rec.FailWith(errors.New("disk full"))
	if got, _, err := s.Create(t.Context(), apikey.Key{Tenant: "acme", Owner: "u", Name: "n"}); err == nil || got != "" {
		t.Error("an unrecorded key was made")
	}
	broken, err := apikey.New(&down{}, make([]byte, 32), s.rec, apikey.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Authenticate(t.Context(), guard.Synthetic("t", "t.read", http.Header{"X-Api-Key": {secret}})); err == nil || errors.Is(err, authn.ErrCredential) {
		t.Errorf("%v", err)
	}
	if r := broken.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("%+v", r)
	}
	if r := newShop(t, apikey.Options{}).Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
}

func TestBadArguments(t *testing.T) {
	rec, key := &auditlogtest.Recorder{}, make([]byte, 32)
	for i, o := range []apikey.Options{{Prefix: "a"}, {Prefix: "A_"}, {MaxAge: time.Minute}, {MaxAge: 400 * 24 * time.Hour}, {OldKeys: [][]byte{{1}}}} {
		if _, err := apikey.New(&apikey.Memory{}, key, rec, o); err == nil {
			t.Errorf("options %d were accepted", i)
		}
	}
	if _, err := apikey.New(nil, key, rec, apikey.Options{}); err == nil {
		t.Error("no store")
	}
	s := newShop(t, apikey.Options{})
	good := apikey.Key{Tenant: "acme", Owner: "u", Name: "n"}
	for what, change := range map[string]func(*apikey.Key){
		"tenant": func(k *apikey.Key) { k.Tenant = "a b" }, "owner": func(k *apikey.Key) { k.Owner = "" }, "name": func(k *apikey.Key) { k.Name = "" },
		"past": func(k *apikey.Key) { k.Expires = s.at }, "far": func(k *apikey.Key) { k.Expires = s.at.Add(91 * 24 * time.Hour) }, "scope": func(k *apikey.Key) { k.Scopes = []string{"a b"} },
	} {
		k := good
		change(&k)
		if _, _, err := s.Create(t.Context(), k); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
}

func FuzzLooks(f *testing.F) {
	s := newShop(f, apikey.Options{})
	secret, _ := s.make(f)
	f.Add(secret)
	f.Add("sk__")
	f.Fuzz(func(t *testing.T, text string) {
		if apikey.Looks("sk", text) && (len(text) < 60 || len(text) > 160) {
			t.Errorf("%q", text)
		}
	})
}

func Example() {
	ctx := context.Background()
	keys, err := apikey.New(&apikey.Memory{}, make([]byte, 32), &auditlogtest.Recorder{}, apikey.Options{Prefix: "acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	secret, _, err := keys.Create(ctx, apikey.Key{Tenant: "t1", Owner: "u-1", Name: "export", Scopes: []string{"records.read"}})
	fmt.Println(secret[:8], err)
	p, err := keys.Authenticate(ctx, guard.Synthetic("docs", "docs.read", http.Header{"Authorization": {"Bearer " + secret}}))
	fmt.Println(p.For, p.Scopes, err)
	// Output:
	// acme_t1_ <nil>
	// u-1 [records.read] <nil>
}
