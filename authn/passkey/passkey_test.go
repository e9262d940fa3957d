package passkey_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/passkey"
	"github.com/surety-go/surety/authn/passkey/passkeytest"
	"github.com/surety-go/surety/controls"
)

const origin = "https://login.example.org"

var party = passkey.RelyingParty{ID: "example.org", Name: "Example", Origins: []string{origin}}

type desk struct {
	*passkey.Manager
	store *passkey.Memory
	rec   *auditlogtest.Recorder
	at    time.Time
}

func newDesk(t *testing.T, o passkey.Options) *desk {
	t.Helper()
	d := &desk{store: &passkey.Memory{}, rec: &auditlogtest.Recorder{}, at: time.Now()}
	var err error
	if d.Manager, err = passkey.New(d.store, bytes.Repeat([]byte{1}, 32), d.rec, party, o); err != nil {
		t.Fatal(err)
	}
	passkey.SetNow(d.Manager, func() time.Time { return d.at })
	return d
}

// enrol registers a new authenticator of u-1.
func (d *desk) enrol(t *testing.T, change func(*passkeytest.Authenticator)) *passkeytest.Authenticator {
	t.Helper()
	a := passkeytest.New(t, "example.org", origin)
	if change != nil {
		change(a)
	}
	options, handle, err := d.BeginRegistration(t.Context(), "acme", "u-1", "ada", "s-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.FinishRegistration(t.Context(), "acme", handle, "s-1", "laptop", a.Create(t, options)); err != nil {
		t.Fatal(err)
	}
	return a
}

func (d *desk) login(t *testing.T, a *passkeytest.Authenticator) (passkey.Proof, error) {
	t.Helper()
	options, handle, err := d.BeginLogin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return d.FinishLogin(t.Context(), "acme", handle, a.Get(t, options))
}

func (d *desk) second(t *testing.T, a *passkeytest.Authenticator) (passkey.Proof, error) {
	t.Helper()
	options, handle, err := d.BeginSecond(t.Context(), "acme", "u-1", "ticket")
	if err != nil {
		t.Fatal(err)
	}
	return d.FinishSecond(t.Context(), "acme", handle, "ticket", a.Get(t, options))
}

func TestUserVerificationDecidesAssurance(t *testing.T) {
	d := newDesk(t, passkey.Options{})
	a := d.enrol(t, nil)
	p, err := d.login(t, a)
	if err != nil || p.Account != "u-1" || !slices.Equal(p.Methods, []string{"swk", "mfa"}) || p.AAL() != authn.AAL2 || p.Passkey.LastUsed.IsZero() {
		t.Errorf("%+v, %v", p, err)
	}
	a.Verify = false
	if p, err := d.login(t, a); !errors.Is(err, passkey.ErrRefused) || p.Account != "" {
		t.Errorf("as the only factor, without verifying its user: %+v, %v", p, err)
	}
	if p, err := d.second(t, a); err != nil || !slices.Equal(p.Methods, []string{"swk"}) || p.AAL() != authn.AAL1 {
		t.Errorf("as a second factor: %+v, %v", p, err)
	}
}

func TestOnlyTrustedHardwareReachesAAL3(t *testing.T) {
	model := [16]byte{1, 2, 3}
	trust := func(_ context.Context, a passkey.Attestation) (bool, error) { return a.AAGUID == model, nil }
	for what, c := range map[string]struct {
		change func(*passkeytest.Authenticator)
		want   authn.AAL
	}{
		"a known model":         {func(a *passkeytest.Authenticator) { a.AAGUID = model }, authn.AAL3},
		"an unknown one":        {nil, authn.AAL2},
		"one that can be saved": {func(a *passkeytest.Authenticator) { a.AAGUID, a.Eligible = model, true }, authn.AAL2},
	} {
		d := newDesk(t, passkey.Options{Trust: trust})
		if p, err := d.login(t, d.enrol(t, c.change)); err != nil || p.AAL() != c.want {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	d := newDesk(t, passkey.Options{Trust: trust, TrustedOnly: true})
	options, handle, err := d.BeginRegistration(t.Context(), "acme", "u-1", "ada", "s-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.FinishRegistration(t.Context(), "acme", handle, "s-1", "", passkeytest.New(t, "example.org", origin).Create(t, options)); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("an unknown model was registered: %v", err)
	}
}

// The failure of peers: a passkey whose backup-eligible flag changes fails for
// ever.
func TestBackupFlagDoesNotLockOut(t *testing.T) {
	model := [16]byte{1}
	d := newDesk(t, passkey.Options{Trust: func(context.Context, passkey.Attestation) (bool, error) { return true, nil }})
	a := d.enrol(t, func(a *passkeytest.Authenticator) { a.AAGUID = model })
	if p, err := d.login(t, a); err != nil || p.AAL() != authn.AAL3 {
		t.Fatalf("%+v, %v", p, err)
	}
	a.Eligible = true
	if p, err := d.login(t, a); err != nil || p.AAL() != authn.AAL2 || !p.Passkey.Backup {
		t.Errorf("now eligible: %+v, %v", p, err)
	}
	if e := d.rec.Find("authn.passkey.alert"); len(e) != 1 || e[0].Reason != "authn.passkey.backup" {
		t.Errorf("%+v", e)
	}
	a.Eligible = false
	if p, err := d.login(t, a); err != nil || p.AAL() != authn.AAL2 {
		t.Errorf("what could be copied once is hardware again: %+v, %v", p, err)
	}
}

func TestCounterThatGoesBack(t *testing.T) {
	for accept, refused := range map[bool]bool{false: true, true: false} {
		d := newDesk(t, passkey.Options{AcceptCounter: accept})
		a := d.enrol(t, func(a *passkeytest.Authenticator) { a.Counter = 5 })
		if _, err := d.login(t, a); err != nil {
			t.Fatal(err)
		}
		a.Still = true
		for _, counter := range []uint32{6, 3} {
			a.Counter = counter
			if _, err := d.login(t, a); errors.Is(err, passkey.ErrRefused) != refused {
				t.Errorf("accept %t, counter %d: %v", accept, counter, err)
			}
		}
		if n := len(d.rec.Find("authn.passkey.alert")); n != 2 {
			t.Errorf("%d alerts", n)
		}
		a.Counter = 9
		if _, err := d.login(t, a); err != nil {
			t.Errorf("a counter that goes on: %v", err)
		}
	}
}

func TestASVS_6_7_2_CeremoniesAreSingleUseBoundAndShort(t *testing.T) {
	d := newDesk(t, passkey.Options{})
	a := d.enrol(t, nil)
	options, handle, err := d.BeginSecond(t.Context(), "acme", "u-1", "ticket")
	if err != nil {
		t.Fatal(err)
	}
	var in struct{ PublicKey struct{ Challenge string } }
	if err := json.Unmarshal(options, &in); err != nil || len(in.PublicKey.Challenge)*6 < 64 {
		t.Errorf("a challenge of %d bits: %v", len(in.PublicKey.Challenge)*6, err)
	}
	answer := a.Get(t, options)
	if _, err := d.FinishSecond(t.Context(), "acme", handle, "ticket", answer); err != nil {
		t.Fatal(err)
	}
	if _, err := d.FinishSecond(t.Context(), "acme", handle, "ticket", answer); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("the same answer again: %v", err)
	}
	for what, use := range map[string]func(handle string, answer []byte) error{
		"another login": func(h string, r []byte) error {
			_, err := d.FinishSecond(t.Context(), "acme", h, "another", r)
			return err
		},
		"another tenant": func(h string, r []byte) error {
			_, err := d.FinishSecond(t.Context(), "globex", h, "ticket", r)
			return err
		},
		"another kind": func(h string, r []byte) error { _, err := d.FinishLogin(t.Context(), "acme", h, r); return err },
		"too late": func(h string, r []byte) error {
			d.at = d.at.Add(5 * time.Minute)
			_, err := d.FinishSecond(t.Context(), "acme", h, "ticket", r)
			return err
		},
	} {
		options, handle, err := d.BeginSecond(t.Context(), "acme", "u-1", "ticket")
		if err != nil {
			t.Fatal(err)
		}
		if err := use(handle, a.Get(t, options)); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPhishingAndForgeryAreRefused(t *testing.T) {
	d := newDesk(t, passkey.Options{})
	a := d.enrol(t, nil)
	for what, change := range map[string]func(*passkeytest.Authenticator){
		"another origin":             func(a *passkeytest.Authenticator) { a.Origin = "https://login.example.org.evil.example" },
		"plain HTTP":                 func(a *passkeytest.Authenticator) { a.Origin = "http://login.example.org" },
		"a sibling host":             func(a *passkeytest.Authenticator) { a.Origin = "https://blog.example.org" },
		"another relying party":      func(a *passkeytest.Authenticator) { a.RPID = "evil.example" },
		"backed up but not eligible": func(a *passkeytest.Authenticator) { a.BackedUp = true },
	} {
		b := *a
		change(&b)
		if _, err := d.login(t, &b); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	other := newDesk(t, passkey.Options{})
	if _, err := d.login(t, other.enrol(t, nil)); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("an unknown passkey: %v", err)
	}
	for _, junk := range [][]byte{nil, []byte("{}"), bytes.Repeat([]byte("x"), 1<<17)} {
		_, handle, err := d.BeginLogin(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.FinishLogin(t.Context(), "acme", handle, junk); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("%d bytes of junk: %v", len(junk), err)
		}
	}
	if _, err := d.login(t, a); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// Whoever can write the table can't give an account his own passkey.
func TestASVS_6_7_1_ForgedRowsDontCount(t *testing.T) {
	d := newDesk(t, passkey.Options{})
	a := d.enrol(t, nil)
	mine, err := d.store.List(t.Context(), "acme", "u-1")
	if err != nil || len(mine) != 1 {
		t.Fatal(err)
	}
	for what, forge := range map[string]func(*passkey.Row){
		"moved to another account": func(r *passkey.Row) { r.Account, r.ID = "u-2", "x" },
		"moved to another tenant":  func(r *passkey.Row) { r.Tenant = "globex" },
		"changed":                  func(r *passkey.Row) { r.ID, r.Data = "y", append([]byte(" "), r.Data...) },
		"empty":                    func(r *passkey.Row) { r.ID, r.Data = "z", nil },
	} {
		r := mine[0]
		forge(&r)
		if ok, err := d.store.Insert(t.Context(), r); !ok || err != nil {
			t.Fatalf("%s: %t, %v", what, ok, err)
		}
		want := 0
		if r.Account == "u-1" && r.Tenant == "acme" {
			want = 1
		}
		if list, err := d.List(t.Context(), r.Tenant, r.Account); err != nil || len(list) != want {
			t.Errorf("%s: %+v, %v", what, list, err)
		}
	}
	if _, err := d.login(t, a); err != nil {
		t.Error(err)
	}
}

func TestSeveralPasskeys(t *testing.T) {
	d := newDesk(t, passkey.Options{Max: 2})
	a, b := d.enrol(t, nil), d.enrol(t, nil)
	if _, _, err := d.BeginRegistration(t.Context(), "acme", "u-1", "ada", "s-1"); !errors.Is(err, passkey.ErrLimit) {
		t.Errorf("a third: %v", err)
	}
	list, err := d.List(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 2 || list[0].Name != "laptop" || !list[0].LastUsed.IsZero() {
		t.Fatalf("%+v, %v", list, err)
	}
	p, err := d.login(t, a)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := d.Rename(t.Context(), "acme", "u-1", p.Passkey.ID, " phone "); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if _, err := d.Rename(t.Context(), "acme", "u-1", p.Passkey.ID, strings.Repeat("x", 65)); err == nil {
		t.Error("a long name")
	}
	if ok, err := d.Revoke(t.Context(), "acme", "u-2", p.Passkey.ID, "user"); ok || err != nil {
		t.Errorf("another account's: %t, %v", ok, err)
	}
	if ok, err := d.Revoke(t.Context(), "acme", "u-1", p.Passkey.ID, "user"); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if _, err := d.login(t, a); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("a revoked passkey: %v", err)
	}
	if _, err := d.login(t, b); err != nil {
		t.Errorf("the other: %v", err)
	}
	if n, err := d.RevokeAll(t.Context(), "acme", "u-1", "leaver"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if yes, err := d.Enrolled(t.Context(), "acme", "u-1"); yes || err != nil {
		t.Errorf("%t, %v", yes, err)
	}
}

// W3C Web Authentication Level 3, section 16, test vectors.
func TestSection16Vectors(t *testing.T) {
	type part struct {
		Challenge         string `json:"challenge"`
		ClientData        string `json:"client_data"`
		AttestationObject string `json:"attestation_object"`
		AuthenticatorData string `json:"authenticator_data"`
		Signature         string `json:"signature"`
	}
	var file struct {
		Vectors []struct {
			Section      string `json:"section"`
			Format       string `json:"format"`
			CredentialID string `json:"credential_id"`
			Register     part   `json:"register"`
			Login        part   `json:"login"`
		} `json:"vectors"`
	}
	data, err := os.ReadFile("testdata/webauthn3-section16.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) != 14 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	raw := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString(raw(s)) }
	// Embedded in other sites' pages (16.4, 16.5), which we refuse; and the
	// synthetic manufacturer of a TPM (16.13), Android certificate (16.14) and
	// Apple root (16.15), which are none.
	refused := []string{"16.4", "16.5", "16.13", "16.14", "16.15"}
	for _, v := range file.Vectors {
		rec := &auditlogtest.Recorder{}
		m, err := passkey.New(&passkey.Memory{}, make([]byte, 32), rec,
			passkey.RelyingParty{ID: "example.org", Name: "vectors", Origins: []string{"https://example.org"}}, passkey.Options{})
		if err != nil {
			t.Fatal(err)
		}
		answer := func(response map[string]any) []byte {
			out, err := json.Marshal(map[string]any{
				"id": b64(v.CredentialID), "rawId": b64(v.CredentialID), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response,
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		handle := passkey.BeginWith(t, m, "register", "acme", "u-1", "s-1", raw(v.Register.Challenge))
		_, err = m.FinishRegistration(t.Context(), "acme", handle, "s-1", "", answer(map[string]any{
			"clientDataJSON": b64(v.Register.ClientData), "attestationObject": b64(v.Register.AttestationObject),
		}))
		if slices.Contains(refused, v.Section) {
			if !errors.Is(err, passkey.ErrRefused) {
				t.Errorf("section %s: %v", v.Section, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("section %s (%s): registration: %v", v.Section, v.Format, err)
			continue
		}
		handle = passkey.BeginWith(t, m, "second", "acme", "u-1", "t-1", raw(v.Login.Challenge))
		p, err := m.FinishSecond(t.Context(), "acme", handle, "t-1", answer(map[string]any{
			"clientDataJSON": b64(v.Login.ClientData), "authenticatorData": b64(v.Login.AuthenticatorData), "signature": b64(v.Login.Signature),
		}))
		if err != nil || p.Account != "u-1" {
			t.Errorf("section %s (%s): login: %+v, %v", v.Section, v.Format, p, err)
		}
		forged := raw(v.Login.AuthenticatorData)
		forged[33] ^= 1
		handle = passkey.BeginWith(t, m, "second", "acme", "u-1", "t-1", raw(v.Login.Challenge))
		if _, err := m.FinishSecond(t.Context(), "acme", handle, "t-1", answer(map[string]any{
			"clientDataJSON": b64(v.Login.ClientData), "authenticatorData": base64.RawURLEncoding.EncodeToString(forged), "signature": b64(v.Login.Signature),
		})); !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("section %s: another counter under the same signature: %v", v.Section, err)
		}
	}
}

func TestMemoryConforms(t *testing.T) {
	passkeytest.TestStore(t, func(*testing.T) passkey.Store { return &passkey.Memory{} })
}

type down struct{ passkey.Memory }

func (*down) List(context.Context, string, string) ([]passkey.Row, error) {
	return nil, errors.New("down")
}

func TestFaultsDeny(t *testing.T) {
	d := newDesk(t, passkey.Options{})
	a := d.enrol(t, nil)
	d.rec.FailWith(errors.New("disk full"))
	if p, err := d.login(t, a); err == nil || p.Account != "" {
		t.Errorf("an unrecorded login: %+v", p)
	}
	options, handle, err := d.BeginRegistration(t.Context(), "acme", "u-1", "ada", "s-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.FinishRegistration(t.Context(), "acme", handle, "s-1", "", passkeytest.New(t, "example.org", origin).Create(t, options)); err == nil {
		t.Error("an unrecorded passkey")
	}
	d.rec.FailWith(nil)
	if list, err := d.List(t.Context(), "acme", "u-1"); err != nil || len(list) != 1 {
		t.Errorf("%d passkeys, %v", len(list), err)
	}
	broken, err := passkey.New(&down{}, make([]byte, 32), &auditlogtest.Recorder{}, party, passkey.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if yes, err := broken.Enrolled(t.Context(), "acme", "u-1"); yes || err == nil {
		t.Errorf("%t, %v", yes, err)
	}
	if r := broken.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("%+v", r)
	}
	if r := newDesk(t, passkey.Options{}).Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	d.rec.Reset()
	_, _ = d.login(t, a)
	d.rec.Want(t, "authn.passkey.verify", auditlog.Success)
}

func TestBadArguments(t *testing.T) {
	rec, key := &auditlogtest.Recorder{}, make([]byte, 32)
	for what, rp := range map[string]passkey.RelyingParty{
		"no name": {ID: "example.org", Origins: []string{origin}}, "no origin": {ID: "example.org", Name: "x"}, "plain HTTP": {ID: "example.org", Name: "x", Origins: []string{"http://example.org"}},
		"another host": {ID: "example.org", Name: "x", Origins: []string{"https://example.com"}}, "a suffix": {ID: "example.org", Name: "x", Origins: []string{"https://badexample.org"}},
		"a path": {ID: "example.org", Name: "x", Origins: []string{"https://example.org/login"}},
	} {
		if _, err := passkey.New(&passkey.Memory{}, key, rec, rp, passkey.Options{}); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	for _, o := range []passkey.Options{{Max: 101}, {Max: -1}, {TrustedOnly: true}, {OldKeys: [][]byte{{1}}}} {
		if _, err := passkey.New(&passkey.Memory{}, key, rec, party, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := passkey.New(&passkey.Memory{}, key[:31], rec, party, passkey.Options{}); err == nil {
		t.Error("a short key")
	}
	d := newDesk(t, passkey.Options{})
	if _, _, err := d.BeginRegistration(t.Context(), "acme", "u-1", "ada", ""); err == nil {
		t.Error("a registration that is bound to nothing")
	}
	if _, _, err := d.BeginSecond(t.Context(), "acme", "u-9", "t"); !errors.Is(err, passkey.ErrRefused) {
		t.Errorf("an account without passkeys: %v", err)
	}
}

// A finger or a face unlocks the key; without the key it is nothing.
func TestASVS_6_5_7_BiometricsOnlyBesideTheKey(t *testing.T) {
	d := newDesk(t, passkey.Options{})
	a := d.enrol(t, nil)
	thief := newDesk(t, passkey.Options{}).enrol(t, nil) // verifies its own user
	options, handle, err := d.BeginSecond(t.Context(), "acme", "u-1", "ticket")
	if err != nil {
		t.Fatal(err)
	}
	var mine, theirs map[string]any
	if err := errors.Join(json.Unmarshal(a.Get(t, options), &mine), json.Unmarshal(thief.Get(t, options), &theirs)); err != nil {
		t.Fatal(err)
	}
	// The right passkey's name, and a signature by another key that says "user
	// verified".
	mine["response"] = theirs["response"]
	answer, err := json.Marshal(mine)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := d.FinishSecond(t.Context(), "acme", handle, "ticket", answer); !errors.Is(err, passkey.ErrRefused) || p.Account != "" {
		t.Errorf("%+v, %v", p, err)
	}
}
