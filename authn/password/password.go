package password

import (
	"context"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
	"golang.org/x/text/unicode/norm"
)

// MaxLength is how long a password may be, in bytes of UTF-8. It bounds what
// an attacker can make a server hash.
const MaxLength = 1024

// Errors of the package, for errors.Is.
var (
	// ErrMismatch says that the password is not the account's, or that there
	// is no such account.
	ErrMismatch = errors.New("password: wrong password")
	// ErrEncoding says that a stored hash can't be read or asks for more
	// memory or time than it may.
	ErrEncoding = errors.New("password: stored hash is not valid")
	// ErrPepper says that a stored hash needs a pepper this program was not
	// given.
	ErrPepper = errors.New("password: unknown pepper")
	// ErrBusy says that too many passwords are being hashed.
	ErrBusy = errors.New("password: too many at once")
	// ErrInput says that a password is empty, too long or not UTF-8.
	ErrInput = errors.New("password: want 1 to 1024 bytes of UTF-8")
)

// A Pepper is a secret that is kept outside the database: without it a stolen
// table of hashes can't be attacked at all.
type Pepper struct {
	ID  string // 1 to 32 bytes; stands in each hash
	Key []byte // at least 32 bytes
}

// Options are the options of a [Hasher].
type Options struct {
	// Memory is argon2id's memory in KiB; 0 is 65536 (64 MiB). At least 7168.
	Memory uint32
	// Passes is argon2id's number of passes; 0 is 3.
	Passes uint32
	// Lanes is argon2id's parallelism; 0 is 1, so that logins at the same
	// time use the cores side by side.
	Lanes uint32
	// Iterations is PBKDF2's count in FIPS mode; 0 is 220000. At least 210000.
	Iterations uint32
	// Peppers are mixed into passwords. The first one is for new hashes, the
	// others for hashes made before a rotation. None is no pepper.
	Peppers []Pepper
	// Concurrency is how many passwords are hashed at once; 0 is the number
	// of CPUs. Memory times Concurrency is what logins can take.
	Concurrency int
}

// minWork is the least memory × passes for argon2id, in KiB: the smallest of
// the settings in OWASP's Password Storage Cheat Sheet (m=7168, t=5).
const (
	minWork     = 7168 * 5
	minMemory   = 7168
	minPBKDF2   = 210_000
	saltLength  = 16
	hashLength  = 32
	minPepper   = 32
	maxPepperID = 32
)

// A Hasher hashes and verifies passwords. It is safe for concurrent use.
type Hasher struct {
	o       Options
	fips    bool
	slots   chan struct{}
	peppers map[string][]byte
}

// New makes a Hasher. Parameters that are too weak or beyond what Verify
// accepts are an error.
func New(o Options) (*Hasher, error) {
	o.Memory = defaulted(o.Memory, 64<<10)
	o.Passes = defaulted(o.Passes, 3)
	o.Lanes = defaulted(o.Lanes, 1)
	o.Iterations = defaulted(o.Iterations, 220_000)
	o.Concurrency = defaulted(o.Concurrency, runtime.NumCPU())
	p := phc{alg: "argon2id", memory: o.Memory, time: o.Passes, lanes: o.Lanes}
	if err := p.caps(); err != nil {
		return nil, fmt.Errorf("password: Options: %w", err)
	}
	switch {
	case o.Memory < minMemory || uint64(o.Memory)*uint64(o.Passes) < minWork:
		return nil, fmt.Errorf("password: Options: memory %d KiB with %d passes is too weak: want at least %d KiB, and %d for one pass times passes",
			o.Memory, o.Passes, minMemory, minWork)
	case o.Iterations < minPBKDF2 || o.Iterations > maxIterations:
		return nil, fmt.Errorf("password: Options: Iterations: want %d to %d", minPBKDF2, maxIterations)
	case o.Concurrency < 1 || o.Concurrency > 1024:
		return nil, errors.New("password: Options: Concurrency: want 1 to 1024")
	}
	h := &Hasher{o: o, fips: fips140.Enabled(), slots: make(chan struct{}, o.Concurrency), peppers: map[string][]byte{}}
	for i, pepper := range o.Peppers {
		if pepper.ID == "" || len(pepper.ID) > maxPepperID || len(pepper.Key) < minPepper || h.peppers[pepper.ID] != nil {
			return nil, fmt.Errorf("password: Options: Peppers[%d]: want an unrepeated ID of 1 to %d bytes and a Key of at least %d", i, maxPepperID, minPepper)
		}
		h.peppers[pepper.ID] = append([]byte(nil), pepper.Key...)
	}
	return h, nil
}

func defaulted[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Hash returns the encoded hash of a new password. It does not judge the
// password; [Policy.Check] does.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	text, err := normalise(password)
	if err != nil {
		return "", err
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return h.hash(text)
}

func (h *Hasher) hash(text string) (string, error) {
	p := h.current()
	p.salt = make([]byte, saltLength)
	rand.Read(p.salt) //nolint:errcheck // crypto/rand.Read never fails
	var err error
	if p.hash, err = h.derive(&p, text, hashLength); err != nil {
		return "", err
	}
	return p.String(), nil
}

// current are the parameters of new hashes.
func (h *Hasher) current() phc {
	p := phc{alg: "argon2id", memory: h.o.Memory, time: h.o.Passes, lanes: h.o.Lanes}
	if h.fips {
		p = phc{alg: "pbkdf2-sha512", time: h.o.Iterations}
	}
	if len(h.o.Peppers) > 0 {
		p.keyID = h.o.Peppers[0].ID
	}
	return p
}

// Verify compares a password with a stored hash. Without an error the
// password is right; upgraded is then a hash to store in place of encoded, or
// empty when encoded is as good as a new one.
//
// An empty encoded stands for an account that does not exist or has no
// password: Verify does the work of a new hash and returns ErrMismatch, so
// that the time of an answer does not tell which accounts exist. The caller
// still has to make the rest of its answer the same.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (upgraded string, err error) {
	text, err := normalise(password)
	if err != nil {
		return "", ErrMismatch // such a password was never accepted
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	if encoded == "" {
		if _, err := h.hash(text); err != nil {
			return "", err
		}
		return "", ErrMismatch
	}
	if isBcrypt(encoded) {
		err = verifyBcrypt(encoded, password)
	} else {
		err = h.verifyPHC(encoded, text)
	}
	if err != nil || !h.outdated(encoded) {
		return "", err
	}
	return h.hash(text)
}

func (h *Hasher) verifyPHC(encoded, text string) error {
	p, err := parsePHC(encoded)
	if err != nil {
		return err
	}
	got, err := h.derive(&p, text, len(p.hash))
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, p.hash) != 1 {
		return ErrMismatch
	}
	return nil
}

// Outdated reports whether a stored hash is of another kind, weaker, or under
// another pepper than new ones. Inventories of accounts use it.
func (h *Hasher) Outdated(encoded string) bool { return h.outdated(encoded) }

func (h *Hasher) outdated(encoded string) bool {
	p, err := parsePHC(encoded)
	if err != nil {
		return true
	}
	c := h.current()
	return p.alg != c.alg || p.keyID != c.keyID || p.memory < c.memory || p.time < c.time || p.lanes < c.lanes ||
		len(p.salt) < saltLength || len(p.hash) < hashLength
}

// derive computes a hash of n bytes.
func (h *Hasher) derive(p *phc, text string, n int) ([]byte, error) {
	secret, err := h.pepper(p.keyID, text)
	if err != nil {
		return nil, err
	}
	switch p.alg {
	case "argon2id":
		return argon2.IDKey(secret, p.salt, p.time, p.memory, uint8(p.lanes), uint32(n)), nil //nolint:gosec // capped by parsePHC and New
	case "argon2i":
		return argon2.Key(secret, p.salt, p.time, p.memory, uint8(p.lanes), uint32(n)), nil //nolint:gosec // likewise
	case "scrypt":
		key, err := scrypt.Key(secret, p.salt, 1<<p.memory, int(p.time), int(p.lanes), n)
		if err != nil {
			return nil, fmt.Errorf("%w: scrypt: %w", ErrEncoding, err)
		}
		return key, nil
	case "pbkdf2-sha256":
		return pbkdf2.Key(sha256.New, string(secret), p.salt, int(p.time), n) //nolint:wrapcheck // only in FIPS-only mode, and says so
	default:
		return pbkdf2.Key(sha512.New, string(secret), p.salt, int(p.time), n) //nolint:wrapcheck // likewise
	}
}

// pepper mixes the secret of a key into the password.
func (h *Hasher) pepper(id, text string) ([]byte, error) {
	if id == "" {
		return []byte(text), nil
	}
	key, ok := h.peppers[id]
	if !ok {
		return nil, fmt.Errorf("%w: %d bytes of id", ErrPepper, len(id))
	}
	mac := hmac.New(sha512.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil), nil
}

// enter waits for one of the slots: hashing is what an attacker can make the
// server spend most on.
func (h *Hasher) enter(ctx context.Context) error {
	if ctx.Err() != nil { // nobody waits for the answer any more
		return fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
}

func (h *Hasher) leave() { <-h.slots }

// normalise brings a password into NFC (SP 800-63B-4, 3.1.1.2), so that it
// is the same from every keyboard.
func normalise(password string) (string, error) {
	if password == "" || len(password) > MaxLength || !utf8.ValidString(password) {
		return "", ErrInput
	}
	return norm.NFC.String(password), nil
}

func isBcrypt(s string) bool {
	return strings.HasPrefix(s, "$2a$") || strings.HasPrefix(s, "$2b$") || strings.HasPrefix(s, "$2y$")
}

// verifyBcrypt compares as the program that made the hash did: with the bytes
// as typed, of which bcrypt uses the first 72.
func verifyBcrypt(encoded, password string) error {
	cost, err := bcrypt.Cost([]byte(encoded))
	if err != nil || len(encoded) != 60 || cost > maxBcryptCost {
		return fmt.Errorf("%w: bcrypt: want 60 bytes and a cost of at most %d", ErrEncoding, maxBcryptCost)
	}
	typed := []byte(password)
	if len(typed) > 72 {
		typed = typed[:72]
	}
	switch err := bcrypt.CompareHashAndPassword([]byte(encoded), typed); {
	case err == nil:
		return nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return ErrMismatch
	default:
		return fmt.Errorf("%w: bcrypt: %w", ErrEncoding, err)
	}
}
