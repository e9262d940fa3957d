package witness

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/surety-go/surety/auditlog/internal/cosign"
)

// An Algorithm is a kind of cosignature (C2SP tlog-cosignature).
type Algorithm = cosign.Algorithm

// The algorithms. Cosignatures of ML-DSA-44 (FIPS 204) hold against quantum
// computers and have 2.4 kB; checkpoints with extension lines get none.
const (
	Ed25519 = cosign.Ed25519
	MLDSA44 = cosign.MLDSA44
)

// A Key is the signing key of a witness.
type Key struct{ signer *cosign.Signer }

// NewKey makes a key and keeps it in a new file. The name is a host and path
// that identify the witness, such as "witness.example/w1".
func NewKey(path, name string, alg Algorithm) (*Key, error) {
	seed := make([]byte, 32)
	rand.Read(seed)
	s, err := cosign.NewSignerOf(alg, name, seed)
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("witness: make the key: %w", err)
	}
	_, err = f.WriteString(name + " " + base64.StdEncoding.EncodeToString(append([]byte{byte(alg)}, seed...)) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("witness: make the key: %w", err)
	}
	return &Key{s}, nil
}

// LoadKey reads a key that only its owner can read.
func LoadKey(path string) (*Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("witness: there is no key %s: make one with NewKey: %w", path, err)
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("witness: key %s is open to others (mode %04o): chmod it to 0600", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name, text, _ := strings.Cut(strings.TrimSuffix(string(b), "\n"), " ")
	seed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(seed) == 0 {
		return nil, fmt.Errorf("witness: %s holds no key", path)
	}
	s, err := cosign.NewSignerOf(Algorithm(seed[0]), name, seed[1:])
	if err != nil {
		return nil, fmt.Errorf("witness: %s holds no key", path)
	}
	return &Key{s}, nil
}

// Public returns the public key, for operators and auditors.
func (k *Key) Public() string { return k.signer.String() }
