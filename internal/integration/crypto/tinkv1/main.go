// Command tinkv1 seals and opens with github.com/google/tink/go v1.7.0, which
// can't be in one process with its successor. It answers one request, JSON on
// standard input, with JSON on standard output.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"os"

	"github.com/google/tink/go/aead"
	"github.com/google/tink/go/daead"
	"github.com/google/tink/go/insecurecleartextkeyset"
	"github.com/google/tink/go/keyset"
	tinkpb "github.com/google/tink/go/proto/tink_go_proto"
)

// A Message is a request, and its answer with the missing parts filled in.
type Message struct {
	Op         string // "seal" or "open"
	Template   string // for "seal" without a Keyset
	Keyset     []byte // binary, in the clear
	AAD        []byte
	Plain      []byte
	Ciphertext []byte
}

func main() {
	var m Message
	if err := json.NewDecoder(os.Stdin).Decode(&m); err != nil {
		log.Fatal(err)
	}
	if err := answer(&m); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(m); err != nil {
		log.Fatal(err)
	}
}

var templates = map[string]func() *tinkpb.KeyTemplate{
	"AES256_GCM":      aead.AES256GCMKeyTemplate,
	"AES256_GCM_RAW":  aead.AES256GCMNoPrefixKeyTemplate,
	"XCHACHA20":       aead.XChaCha20Poly1305KeyTemplate,
	"AES256_CTR_HMAC": aead.AES256CTRHMACSHA256KeyTemplate,
	"AES256_SIV":      daead.AESSIVKeyTemplate,
}

func answer(m *Message) error {
	handle, err := handleOf(m)
	if err != nil {
		return err
	}
	if d, err := daead.New(handle); err == nil {
		if m.Op == "seal" {
			m.Ciphertext, err = d.EncryptDeterministically(m.Plain, m.AAD)
		} else {
			m.Plain, err = d.DecryptDeterministically(m.Ciphertext, m.AAD)
		}
		return err
	}
	a, err := aead.New(handle)
	if err != nil {
		return err
	}
	if m.Op == "seal" {
		m.Ciphertext, err = a.Encrypt(m.Plain, m.AAD)
	} else {
		m.Plain, err = a.Decrypt(m.Ciphertext, m.AAD)
	}
	return err
}

// handleOf reads the request's keyset, or makes one.
func handleOf(m *Message) (*keyset.Handle, error) {
	if m.Keyset != nil {
		return insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(m.Keyset)))
	}
	template, ok := templates[m.Template]
	if !ok {
		return nil, errors.New("unknown template")
	}
	handle, err := keyset.NewHandle(template())
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	err = insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&buf))
	m.Keyset = buf.Bytes()
	return handle, err
}
