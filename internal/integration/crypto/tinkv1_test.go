package crypto

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/daead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
)

// message is tinkv1's Message.
type message struct {
	Op, Template                   string
	Keyset, AAD, Plain, Ciphertext []byte
}

// tinkV1 builds the program with Tink v1.7.0 and returns what asks it.
func tinkV1(t *testing.T) func(message) message {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tinkv1")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./tinkv1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return func(m message) message {
		t.Helper()
		in, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, program)
		cmd.Stdin = bytes.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.Bytes())
		}
		var answer message
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func readKeyset(t *testing.T, b []byte) *keyset.Handle {
	t.Helper()
	h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func writeKeyset(t *testing.T, h *keyset.Handle) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&buf)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func memoryKeeper(t *testing.T) *crypto.Keeper {
	t.Helper()
	k, err := crypto.NewKeeper(cryptotest.NewKEK("k"), crypto.NewMemoryStore(), &auditlogtest.Recorder{}, crypto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// An application on the archived Tink moves here with its keys: what the old
// program sealed opens, and the old program opens what is sealed here.
func TestTinkV1(t *testing.T) {
	ask := tinkV1(t)
	var token insecuresecretdataaccess.Token
	k := memoryKeeper(t)
	b := crypto.Binding{Tenant: "acme", Subject: "ada", Table: "people", Column: "email", Row: "1"}
	aad := b.AppendAAD([]byte{1, byte(crypto.AES256GCM)})

	t.Run("theirs opens here", func(t *testing.T) {
		old := ask(message{Op: "seal", Template: "AES256_GCM_RAW", Plain: []byte("theirs"), AAD: aad})
		id, err := k.ImportKeyset(t.Context(), crypto.Scope{Tenant: "acme", Subject: "ada"}, readKeyset(t, old.Keyset), token)
		if err != nil {
			t.Fatal(err)
		}
		sealed := append([]byte{0xA5, 0x53, 1, byte(crypto.AES256GCM)}, id[:]...)
		got, err := k.Open(t.Context(), nil, append(sealed, old.Ciphertext...), b)
		if err != nil || string(got) != "theirs" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("ours opens there", func(t *testing.T) {
		sealed, err := k.Seal(t.Context(), nil, []byte("ours"), b)
		if err != nil {
			t.Fatal(err)
		}
		got := ask(message{Op: "open", Keyset: export(t, k, sealed, token), Ciphertext: sealed[crypto.HeaderSize:], AAD: aad})
		if string(got.Plain) != "ours" {
			t.Errorf("%q", got.Plain)
		}
	})
	t.Run("deterministic", func(t *testing.T) {
		col := crypto.Binding{Tenant: "acme", Table: "people", Column: "country"}
		sealed, err := k.SealDeterministic(t.Context(), nil, []byte("DK"), col)
		if err != nil {
			t.Fatal(err)
		}
		theirs := ask(message{Op: "seal", Keyset: export(t, k, sealed, token), Plain: []byte("DK"), AAD: col.AppendAAD([]byte{1, byte(crypto.AES256SIV)})})
		if !bytes.Equal(theirs.Ciphertext, sealed[crypto.HeaderSize:]) {
			t.Error("ciphertexts differ")
		}
	})
}

func export(t *testing.T, k *crypto.Keeper, sealed []byte, token insecuresecretdataaccess.Token) []byte {
	t.Helper()
	h, err := crypto.Inspect(sealed)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := k.ExportKeyset(t.Context(), "acme", h.Key, token)
	if err != nil {
		t.Fatal(err)
	}
	return writeKeyset(t, handle)
}

// Keysets of every kind are read by the successor that crypto is built on, in
// both directions, so that values in other Tink formats can be opened and
// sealed anew.
func TestTinkV1KeysetsAndTinkV2(t *testing.T) {
	ask := tinkV1(t)
	for _, template := range []string{"AES256_GCM", "AES256_GCM_RAW", "XCHACHA20", "AES256_CTR_HMAC", "AES256_SIV"} {
		t.Run(template, func(t *testing.T) {
			old := ask(message{Op: "seal", Template: template, Plain: []byte("theirs"), AAD: []byte("aad")})
			handle := readKeyset(t, old.Keyset)
			seal, open := primitive(t, template, handle)
			if got, err := open(old.Ciphertext, []byte("aad")); err != nil || string(got) != "theirs" {
				t.Errorf("%q, %v", got, err)
			}
			sealed, err := seal([]byte("ours"), []byte("aad"))
			if err != nil {
				t.Fatal(err)
			}
			back := ask(message{Op: "open", Keyset: writeKeyset(t, handle), Ciphertext: sealed, AAD: []byte("aad")})
			if string(back.Plain) != "ours" {
				t.Errorf("%q", back.Plain)
			}
		})
	}
}

type operation func(in, aad []byte) ([]byte, error)

func primitive(t *testing.T, template string, h *keyset.Handle) (seal, open operation) {
	t.Helper()
	if template == "AES256_SIV" {
		d, err := daead.New(h)
		if err != nil {
			t.Fatal(err)
		}
		return d.EncryptDeterministically, d.DecryptDeterministically
	}
	a, err := aead.New(h)
	if err != nil {
		t.Fatal(err)
	}
	return a.Encrypt, a.Decrypt
}
