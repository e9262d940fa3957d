package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
	sivsubtle "github.com/tink-crypto/tink-go/v2/daead/subtle"
)

// blob is hexadecimal in JSON.
type blob []byte

func (b *blob) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// A vector is a test of any of Wycheproof's groups used here.
type vector struct {
	ID      int    `json:"tcId"`
	Comment string `json:"comment"`
	Result  string `json:"result"` // valid, invalid or acceptable

	Key, IV, AAD, Msg, Ct, Tag blob
	Ikm, Salt, Info, Okm       blob
	Seed, EK, C, K             blob
	Public, Private, Shared    blob
	Size                       int
}

type group struct {
	KeySize int      `json:"keySize"` // bits
	IVSize  int      `json:"ivSize"`
	TagSize int      `json:"tagSize"`
	Tests   []vector `json:"tests"`
}

// eachVector runs f on the vectors of the groups that fit, of which there must
// be at least some. f returns what the vector says comes out, and what did.
func eachVector(t *testing.T, file string, fits func(group) bool, f func(v vector) (want, got []byte, err error)) {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []group `json:"testGroups"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range doc.Groups {
		if !fits(g) {
			continue
		}
		for _, v := range g.Tests {
			n++
			want, got, err := f(v)
			right := err == nil && bytes.Equal(want, got)
			if v.Result == "valid" && !right || v.Result == "invalid" && right {
				t.Errorf("%s, vector %d (%s), which is %s: %v", file, v.ID, v.Comment, v.Result, err)
			}
		}
	}
	if n < 20 {
		t.Errorf("%s: only %d vectors fit", file, n)
	}
	t.Logf("%s: %d vectors", file, n)
}

func always(group) bool { return true }

// Wycheproof's vectors for every primitive that sealed values and bundles are
// made of, in the one configuration that is used of each. Key wrapping (KWP)
// and XChaCha20-Poly1305 are not used.
func TestWycheproof(t *testing.T) {
	t.Run("AES-256-GCM", func(t *testing.T) {
		ours := func(g group) bool { return g.KeySize == 256 && g.IVSize == 96 && g.TagSize == 128 }
		eachVector(t, "aes_gcm_test.json", ours, openGCM)
	})
	t.Run("AES-256-SIV", func(t *testing.T) {
		if fips140.Enforced() {
			t.Log("not approved, and refused by the keeper")
			return
		}
		eachVector(t, "aes_siv_cmac_test.json", func(g group) bool { return g.KeySize == 512 }, openSIV)
	})
	t.Run("HMAC-SHA-256", func(t *testing.T) {
		ours := func(g group) bool { return g.KeySize == 256 && g.TagSize == 256 }
		eachVector(t, "hmac_sha256_test.json", ours, func(v vector) (want, got []byte, err error) {
			m := hmac.New(sha256.New, v.Key)
			m.Write(v.Msg)
			if got = m.Sum(nil); !hmac.Equal(got, v.Tag) {
				err = errors.New("another tag")
			}
			return v.Tag, got, err
		})
	})
	t.Run("HKDF-SHA-256", func(t *testing.T) {
		eachVector(t, "hkdf_sha256_test.json", always, func(v vector) (want, got []byte, err error) {
			got, err = hkdf.Key(sha256.New, v.Ikm, v.Salt, string(v.Info), v.Size)
			if fips140.Enforced() && len(v.Ikm) < 14 { // refused, rightly
				return v.Okm, v.Okm, nil
			}
			return v.Okm, got, err
		})
	})
	t.Run("ML-KEM-768", func(t *testing.T) {
		eachVector(t, "mlkem_768_test.json", always, decapsulate)
	})
	t.Run("X25519", func(t *testing.T) {
		if fips140.Enforced() {
			t.Log("only together with ML-KEM")
			return
		}
		eachVector(t, "x25519_test.json", always, exchange)
	})
}

// openGCM opens with the cipher that sealed values are made with: nonce in
// front, tag behind.
func openGCM(v vector) (want, got []byte, err error) {
	block, err := aes.NewCipher(v.Key)
	if err != nil {
		return v.Msg, nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return v.Msg, nil, err
	}
	got, err = gcm.Open(nil, nil, bytes.Join([][]byte{v.IV, v.Ct, v.Tag}, nil), v.AAD)
	return v.Msg, got, err
}

func openSIV(v vector) (want, got []byte, err error) {
	siv, err := sivsubtle.NewAESSIV(v.Key)
	if err != nil {
		return v.Msg, nil, err
	}
	if got, err = siv.DecryptDeterministically(v.Ct, v.AAD); err != nil {
		return v.Msg, nil, err
	}
	sealed, err := siv.EncryptDeterministically(got, v.AAD)
	if err == nil && !bytes.Equal(sealed, v.Ct) {
		err = errors.New("sealing gives another ciphertext")
	}
	return v.Msg, got, err
}

func decapsulate(v vector) (want, got []byte, err error) {
	key, err := mlkem.NewDecapsulationKey768(v.Seed)
	if err != nil {
		return v.K, nil, err
	}
	if !bytes.Equal(key.EncapsulationKey().Bytes(), v.EK) {
		return v.K, nil, errors.New("another encapsulation key")
	}
	got, err = key.Decapsulate(v.C)
	return v.K, got, err
}

func exchange(v vector) (want, got []byte, err error) {
	private, err := ecdh.X25519().NewPrivateKey(v.Private)
	if err != nil {
		return v.Shared, nil, err
	}
	public, err := ecdh.X25519().NewPublicKey(v.Public)
	if err != nil {
		return v.Shared, nil, err
	}
	got, err = private.ECDH(public)
	return v.Shared, got, err
}
