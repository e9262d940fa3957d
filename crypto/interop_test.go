package crypto_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/daead"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
)

var token insecuresecretdataaccess.Token

// aadOf is the associated data as the package documents it.
func aadOf(a crypto.Algorithm, b crypto.Binding) []byte {
	return b.AppendAAD([]byte{1, byte(a)})
}

func TestTinkOpensAndSealsTheBody(t *testing.T) {
	if fips140.Enforced() {
		t.Log("Tink's own AES-GCM is outside the FIPS boundary: ours is tested, interoperation isn't")
		return
	}
	f := newFixture(t, crypto.Options{})
	sealed := mustSeal(t, f.Keeper, "value", place)
	h, err := crypto.Inspect(sealed)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := f.ExportKeyset(t.Context(), "acme", h.Key, token)
	if err != nil {
		t.Fatal(err)
	}
	f.rec.Want(t, "crypto.key.export", auditlog.Success)
	tink, err := aead.New(handle)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tink.Decrypt(sealed[crypto.HeaderSize:], aadOf(crypto.AES256GCM, place))
	if err != nil || string(got) != "value" {
		t.Errorf("Tink opens ours: %q, %v", got, err)
	}
	body, err := tink.Encrypt([]byte("theirs"), aadOf(crypto.AES256GCM, place))
	if err != nil {
		t.Fatal(err)
	}
	wantPlain(t, f.Keeper, append(bytes.Clone(sealed[:crypto.HeaderSize]), body...), place, "theirs")
}

func TestTinkOpensDeterministicValues(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	col := crypto.Binding{Tenant: "acme", Table: "people", Column: "country"}
	sealed, err := f.SealDeterministic(t.Context(), nil, []byte("DK"), col)
	if fips140.Enforced() {
		wantErr(t, err, crypto.ErrFIPS)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := crypto.Inspect(sealed)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := f.ExportKeyset(t.Context(), "acme", h.Key, token)
	if err != nil {
		t.Fatal(err)
	}
	tink, err := daead.New(handle)
	if err != nil {
		t.Fatal(err)
	}
	body, err := tink.EncryptDeterministically([]byte("DK"), aadOf(crypto.AES256SIV, col))
	if err != nil || !bytes.Equal(body, sealed[crypto.HeaderSize:]) {
		t.Errorf("Tink's ciphertext differs, %v", err)
	}
}

func TestImportKeyset(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	source := newFixture(t, crypto.Options{})
	sealed := mustSeal(t, source.Keeper, "v", place)
	h, err := crypto.Inspect(sealed)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := source.ExportKeyset(t.Context(), "acme", h.Key, token)
	if err != nil {
		t.Fatal(err)
	}
	mustSeal(t, f.Keeper, "before", place)
	id, err := f.ImportKeyset(t.Context(), scope, handle, token)
	if err != nil || id != h.Key {
		t.Fatalf("%v, %v", id, err)
	}
	f.rec.Want(t, "crypto.key.import", auditlog.Success)
	wantPlain(t, f.Keeper, sealed, place, "v")
	now, err := crypto.Inspect(mustSeal(t, f.Keeper, "v", place))
	if err != nil || now.Key != id {
		t.Errorf("the imported key does not seal, %v", err)
	}
	if _, err := f.ImportKeyset(t.Context(), scope, handle, token); !errors.Is(err, crypto.ErrExists) {
		t.Errorf("imported twice: %v", err)
	}
	prefixed, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]*keyset.Handle{"with a prefix": prefixed, "nil": nil} {
		if _, err := f.ImportKeyset(t.Context(), scope, h, token); err == nil {
			t.Errorf("a keyset %s was imported", name)
		}
	}
	if _, err := f.ExportKeyset(t.Context(), "evil", id, token); !errors.Is(err, crypto.ErrNotFound) {
		t.Errorf("another tenant exports it: %v", err)
	}
}
