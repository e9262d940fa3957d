package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
)

// A Device says from where a session was opened, for the list that people
// see. It comes from the caller and proves nothing.
type Device struct {
	// Name is a short description, such as "Firefox on Linux"; longer than
	// 128 bytes is cut.
	Name string
	// Network is the caller's network, such as "203.0.113.0/24".
	Network string
}

// A record is what a session is. It is immutable.
type record struct {
	Kind     auditlog.Kind    `json:"kind"`
	For      string           `json:"for,omitempty"`
	Groups   []string         `json:"groups,omitempty"`
	Methods  []string         `json:"methods"`
	AAL      authn.AAL        `json:"aal"`
	Authn    int64            `json:"authn"` // Unix seconds
	Factors  map[string]int64 `json:"factors,omitempty"`
	Created  int64            `json:"created"`
	Used     int64            `json:"used"`
	Absolute int64            `json:"absolute"` // end; 0 for none
	Device   Device           `json:"device"`
}

const macSize = sha256.Size

// mac binds the data to the place it stands in: a row that is copied to
// another key, account or tenant, or whose expiry is moved, does not verify.
func mac(key []byte, r *Row, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	var n [8]byte
	write := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	write([]byte("surety session v1"))
	write([]byte(r.Tenant))
	write([]byte(r.Account))
	write([]byte(r.ID))
	write(r.Key[:])
	binary.BigEndian.PutUint64(n[:], uint64(r.Rev)) //nolint:gosec // the bits are what is bound
	h.Write(n[:])
	write(data)
	return h.Sum(nil)
}

// seal writes the record into the row.
func (m *Manager) seal(r *Row, rec *record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("session: encode: %w", err)
	}
	r.rec, r.Data = rec, append(data, mac(m.keys[0], r, data)...)
	return nil
}

var errForged = errors.New("the stored session does not carry our MAC")

// open reads and verifies a row. It takes a copy, so that the row of the fast
// path stays on the stack.
func (m *Manager) open(row Row) (*record, error) {
	if row.rec != nil {
		return row.rec, nil
	}
	return m.verify(row)
}

func (m *Manager) verify(row Row) (*record, error) {
	r := &row
	cut := len(r.Data) - macSize
	if cut <= 0 {
		return nil, errForged
	}
	data, sum := r.Data[:cut], r.Data[cut:]
	if !slices.ContainsFunc(m.keys, func(k []byte) bool { return hmac.Equal(sum, mac(k, r, data)) }) {
		return nil, errForged
	}
	rec := new(record)
	if err := json.Unmarshal(data, rec); err != nil {
		return nil, fmt.Errorf("session: decode: %w", err)
	}
	return rec, nil
}

// principal is who the session is.
func (r *Row) principal(rec *record) authn.Principal {
	return authn.Principal{
		Actor:           auditlog.Actor{ID: r.Account, Tenant: r.Tenant, Kind: rec.Kind, For: rec.For},
		Groups:          slices.Clip(rec.Groups),
		Methods:         slices.Clip(rec.Methods),
		AAL:             rec.AAL,
		AuthenticatedAt: time.Unix(rec.Authn, 0).UTC(),
		SessionID:       r.ID,
	}
}

const (
	secretSize  = 32
	secretChars = 43 // of base64url without padding
	maxTenant   = 64
)

var encoding = base64.RawURLEncoding.Strict()

// ValidTenant reports whether a tenant can stand in a token: 1 to 64 letters,
// digits, "-" and "_".
func ValidTenant(s string) bool {
	if s == "" || len(s) > maxTenant {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// parseToken returns the tenant and the key of a token. Only a well-formed
// token has any.
func parseToken(token string) (tenant string, key Key, ok bool) {
	tenant, secret, found := strings.Cut(token, ".")
	if !found || len(secret) != secretChars || !ValidTenant(tenant) {
		return "", Key{}, false
	}
	var raw [secretSize]byte
	var text [secretChars]byte
	copy(text[:], secret)
	if n, err := encoding.Decode(raw[:], text[:]); err != nil || n != secretSize {
		return "", Key{}, false
	}
	return tenant, keyOf(tenant, &raw), true
}

// keyOf hashes a token with its tenant. The secret has 256 random bits: a
// fast hash is enough.
func keyOf(tenant string, secret *[secretSize]byte) Key {
	var buf [maxTenant + secretSize]byte
	n := copy(buf[:], secret[:])
	n += copy(buf[n:], tenant)
	return sha256.Sum256(buf[:n])
}
