package password

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// A phc is a parsed hash. The fields that count depend on the algorithm.
type phc struct {
	alg    string // argon2id, argon2i, scrypt, pbkdf2-sha256, pbkdf2-sha512
	memory uint32 // argon2: KiB; scrypt: log2 N
	time   uint32 // argon2: passes; pbkdf2: iterations; scrypt: r
	lanes  uint32 // argon2: p; scrypt: p
	keyID  string // of the pepper, or empty
	salt   []byte
	hash   []byte
}

// Caps on what a stored hash may ask for. Whoever can write the database
// could otherwise make every login of an account a denial of service.
const (
	maxEncoded    = 512
	maxMemoryKiB  = 1 << 20 // 1 GiB
	maxPasses     = 64
	maxLanes      = 64
	maxArgonWork  = 4 << 20 // KiB × passes
	maxIterations = 10_000_000
	maxScryptLogN = 20
	maxScryptR    = 32
	maxScryptP    = 16
	maxScryptMem  = 1 << 30 // 128·N·r bytes
	maxBcryptCost = 16
)

var b64 = base64.RawStdEncoding.Strict()

// parsePHC reads $id[$v=19]$params$salt$hash. There is one spelling of each
// hash: unknown, repeated, reordered or zero-padded parameters are refused.
func parsePHC(s string) (phc, error) {
	var p phc
	if len(s) > maxEncoded || !strings.HasPrefix(s, "$") {
		return p, fmt.Errorf("%w: want $algorithm$…, at most %d bytes", ErrEncoding, maxEncoded)
	}
	parts := strings.Split(s[1:], "$")
	p.alg = parts[0]
	var names []string
	switch p.alg {
	case "argon2id", "argon2i":
		if len(parts) < 2 || parts[1] != "v=19" {
			return p, fmt.Errorf("%w: argon2: want version 19 (0x13)", ErrEncoding)
		}
		parts = append(parts[:1], parts[2:]...)
		names = []string{"m", "t", "p"}
	case "scrypt":
		names = []string{"ln", "r", "p"}
	case "pbkdf2-sha256", "pbkdf2-sha512":
		names = []string{"i"}
	default:
		return p, fmt.Errorf("%w: unknown algorithm", ErrEncoding)
	}
	if len(parts) != 4 {
		return p, fmt.Errorf("%w: %s: want parameters, salt and hash", ErrEncoding, p.alg)
	}
	if err := p.params(parts[1], names); err != nil {
		return p, err
	}
	var err error
	if p.salt, err = b64.DecodeString(parts[2]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return p, fmt.Errorf("%w: %s: salt: want 8 to 64 bytes of unpadded base64", ErrEncoding, p.alg)
	}
	if p.hash, err = b64.DecodeString(parts[3]); err != nil || len(p.hash) < 16 || len(p.hash) > 64 {
		return p, fmt.Errorf("%w: %s: hash: want 16 to 64 bytes of unpadded base64", ErrEncoding, p.alg)
	}
	return p, p.caps()
}

func (p *phc) params(s string, names []string) error {
	fields := strings.Split(s, ",")
	if n := len(fields); n == len(names)+1 && strings.HasPrefix(fields[n-1], "keyid=") {
		id, err := b64.DecodeString(fields[n-1][len("keyid="):])
		if err != nil || len(id) == 0 || len(id) > 32 {
			return fmt.Errorf("%w: %s: keyid: want 1 to 32 bytes of unpadded base64", ErrEncoding, p.alg)
		}
		p.keyID, fields = string(id), fields[:n-1]
	}
	if len(fields) != len(names) {
		return fmt.Errorf("%w: %s: want parameters %s", ErrEncoding, p.alg, strings.Join(names, ","))
	}
	var values [3]uint32
	for i, name := range names {
		text, ok := strings.CutPrefix(fields[i], name+"=")
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || strconv.FormatUint(n, 10) != text {
			return fmt.Errorf("%w: %s: parameter %s: want a decimal number", ErrEncoding, p.alg, name)
		}
		values[i] = uint32(n)
	}
	switch len(names) {
	case 3:
		p.memory, p.time, p.lanes = values[0], values[1], values[2]
	case 1:
		p.time = values[0]
	}
	return nil
}

func (p *phc) caps() error {
	in := func(v uint32, low, high uint64) bool { return uint64(v) >= low && uint64(v) <= high }
	var ok bool
	switch p.alg {
	case "argon2id", "argon2i":
		ok = in(p.lanes, 1, maxLanes) && in(p.memory, 8*uint64(p.lanes), maxMemoryKiB) && in(p.time, 1, maxPasses) &&
			uint64(p.memory)*uint64(p.time) <= maxArgonWork
	case "scrypt":
		ok = in(p.memory, 1, maxScryptLogN) && in(p.time, 1, maxScryptR) && in(p.lanes, 1, maxScryptP) &&
			uint64(128)<<p.memory*uint64(p.time) <= maxScryptMem
	default:
		ok = in(p.time, 1, maxIterations)
	}
	if !ok {
		return fmt.Errorf("%w: %s: parameters outside the limits", ErrEncoding, p.alg)
	}
	return nil
}

// String writes the hash in its one form.
func (p *phc) String() string {
	var b strings.Builder
	b.WriteString("$" + p.alg)
	switch p.alg {
	case "argon2id", "argon2i":
		fmt.Fprintf(&b, "$v=19$m=%d,t=%d,p=%d", p.memory, p.time, p.lanes)
	case "scrypt":
		fmt.Fprintf(&b, "$ln=%d,r=%d,p=%d", p.memory, p.time, p.lanes)
	default:
		fmt.Fprintf(&b, "$i=%d", p.time)
	}
	if p.keyID != "" {
		b.WriteString(",keyid=" + b64.EncodeToString([]byte(p.keyID)))
	}
	b.WriteString("$" + b64.EncodeToString(p.salt) + "$" + b64.EncodeToString(p.hash))
	return b.String()
}
