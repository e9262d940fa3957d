package crypto_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/surety-go/surety/crypto"
)

// Mistakes that other field encryption makes. Each test fails on the peer that
// it names.

// Asherah's and Confluent's field encryption, and Rails' Active Record
// Encryption, seal without associated data: whoever writes the database copies
// the ciphertext of the director's salary over their own.
func TestMistakeSwappableRows(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	mine, theirs := place, place
	mine.Row, theirs.Row = "17", "1"
	stolen := mustSeal(t, f.Keeper, "director's", theirs)
	_, err := f.Open(t.Context(), nil, stolen, mine)
	wantErr(t, err, crypto.ErrTampered)

	// The same with the means of the peers: it opens.
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := aead.New(h)
	if fips140.Enforced() {
		return // Tink's own AES-GCM is outside the boundary
	}
	if err != nil {
		t.Fatal(err)
	}
	loot, err := peer.Encrypt([]byte("director's"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Decrypt(loot, nil); err != nil {
		t.Error("without associated data the row would have mattered")
	}
}

// Rails with support_unencrypted_data, and whatever else takes what does not
// look encrypted for plaintext: an attacker stores what they like. And what
// takes something that looks encrypted for sealed already: a user who enters
// such a text has it stored in the clear.
func TestMistakeLooksEncrypted(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	for _, planted := range [][]byte{[]byte("mallory@example.org"), {}, {0xA5}, []byte(`{"p":"bWFsbG9yeQ==","h":{}}`)} {
		got, err := f.Open(t.Context(), nil, planted, place)
		wantErr(t, err, crypto.ErrTampered)
		if got != nil {
			t.Errorf("%q came back", got)
		}
	}
	entered := mustSeal(t, f.Keeper, "x", place) // a user pastes a ciphertext
	sealed := mustSeal(t, f.Keeper, string(entered), place)
	if bytes.Contains(sealed, entered) {
		t.Error("what looks sealed was stored as it came")
	}
	wantPlain(t, f.Keeper, sealed, place, string(entered))
}

// Tink's KMSEnvelopeAEAD calls the KMS for each value, with empty associated
// data: a thousand rows are a thousand calls, and a wrapped key serves
// anywhere.
func TestMistakeKMSPerValue(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	for range 500 {
		wantPlain(t, f.Keeper, mustSeal(t, f.Keeper, "v", place), place, "v")
	}
	if wraps, unwraps := f.kek.Calls(); wraps != 1 || unwraps != 1 {
		t.Errorf("%d wraps and %d unwraps for 1000 operations", wraps, unwraps)
	}
	wrapped, err := f.kek.Wrap(t.Context(), make([]byte, 32), place)
	if err != nil {
		t.Fatal(err)
	}
	other := place
	other.Tenant = "evil"
	if _, err := f.kek.Unwrap(t.Context(), wrapped, other); err == nil {
		t.Error("a wrapped key serves another tenant")
	}
}

// A library that hands the caller whatever it decrypted before the tag was
// checked, or distinguishes errors to the outside, is an oracle.
func TestMistakeOracle(t *testing.T) {
	f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{RevokeCheck: 50 * time.Millisecond}})
	sealed := mustSeal(t, f.Keeper, "v", place)
	forged := bytes.Clone(sealed)
	forged[len(forged)-1] ^= 1
	_, forgery := f.Open(t.Context(), nil, forged, place)
	if err := f.DestroySubject(context.Background(), place.Tenant, place.Subject, "r"); err != nil {
		t.Fatal(err)
	}
	_, erased := f.Open(t.Context(), nil, sealed, place)
	if errors.Is(forgery, erased) || crypto.Opaque(forgery).Error() != crypto.Opaque(erased).Error() {
		t.Errorf("an attacker tells %v from %v", forgery, erased)
	}
}

// A key that is destroyed and made again by the next write is no erasure:
// what arrives late about an erased person is refused.
func TestMistakeResurrection(t *testing.T) {
	f := newFixture(t, crypto.Options{Cache: crypto.CachePolicy{RevokeCheck: 50 * time.Millisecond}})
	mustSeal(t, f.Keeper, "v", place)
	if err := f.DestroySubject(t.Context(), place.Tenant, place.Subject, "r"); err != nil {
		t.Fatal(err)
	}
	late, err := crypto.NewKeeper(f.kek, f.store, f.rec, crypto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	_, err = late.Seal(t.Context(), nil, []byte("a message from the queue"), place)
	wantErr(t, err, crypto.ErrShredded)
}
