// Package apikey lets programs in by keys that have an owner, scopes and an
// end.
//
//	keys, err := apikey.New(store, macKey, log, apikey.Options{Prefix: "acme"})
//	secret, key, err := keys.Create(ctx, apikey.Key{Tenant: t, Owner: account, Name: "nightly export", Scopes: []string{"records.read"}})
//	identify, err := authn.Identify(log, sessions, keys)   // Manager is an authn.Revalidator
//	route.Guards = []guard.Guard{apikey.RequireScope("records.read"), policy}
//
// A key reads "<prefix>_<tenant>_<id><secret><checksum>" in letters and
// digits: scanners find one that was committed by the prefix, and the CRC-32
// at the end tells it from a random word without asking the server. The
// secret has 160 random bits; the store has only its SHA-256.
//
// The principal is the key: a service, acting for its owner. It has no more
// than the key's scopes and groups, and AAL1.
//
// # Untrusted stores
//
// Rows carry an HMAC over everything but when the key was last used. Whoever
// can write the table can remove keys and bring back a row that was deleted
// until it ends; he can't make a key, widen or prolong one.
//
// # Errors
//
// [ErrKey] is a key that does not stand, for whatever reason; it wraps
// authn.ErrCredential.
package apikey

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/guard"
)

// ErrKey says that a key does not stand: unknown, expired, revoked, forged, or
// its owner is gone.
var ErrKey = fmt.Errorf("apikey: refused: %w", authn.ErrCredential)

// A Key is what is known of an API key, but its secret.
type Key struct {
	Tenant string
	ID     string // random; given by Create
	// Owner is the account that answers for the key.
	Owner string
	// Name says what the key is for, in at most 128 bytes.
	Name string
	// Scopes are what the key was issued for.
	Scopes []string
	// Groups go into the principal.
	Groups  []string
	Created time.Time // given by Create
	// Expires is the end; zero is Options.MaxAge from now.
	Expires  time.Time
	LastUsed time.Time // a minute or less behind; zero is never
}

// Options are the options of a [Manager].
type Options struct {
	// Prefix begins every key: 2 to 16 small letters and digits; empty is
	// "sk".
	Prefix string
	// MaxAge is the longest life of a key; 0 is 90 days, at most 366.
	MaxAge time.Duration
	// Owner reports whether an account may still own keys. It is asked at
	// each call; nil asks nobody, and keys must be revoked when people leave.
	Owner func(ctx context.Context, tenant, account string) (bool, error)
	// OldKeys are MAC keys that were in use before the present one.
	OldKeys [][]byte
}

const (
	keySize     = 32
	idBytes     = 10
	secretBytes = 20
	idChars     = 16
	secretChars = 32
	sumChars    = 7
	bodyChars   = idChars + secretChars + sumChars
	maxToken    = 160
	maxOverlap  = 31 * 24 * time.Hour
	touchEvery  = time.Minute
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A Manager makes, checks and ends keys. It is safe for concurrent use.
type Manager struct {
	store Store
	keys  [][]byte
	rec   auditlog.Recorder
	o     Options
	now   func() time.Time
}

var _ authn.Revalidator = (*Manager)(nil)

// New makes a Manager. The key of at least 32 random bytes authenticates the
// rows in the store and must not be kept in it.
func New(store Store, key []byte, rec auditlog.Recorder, o Options) (*Manager, error) {
	if store == nil || rec == nil {
		return nil, errors.New("apikey: New needs a store and a recorder")
	}
	m := &Manager{store: store, rec: rec, o: o, now: time.Now}
	for i, k := range append([][]byte{key}, o.OldKeys...) {
		if len(k) < keySize {
			return nil, fmt.Errorf("apikey: key %d: %d bytes: want at least %d", i, len(k), keySize)
		}
		m.keys = append(m.keys, slices.Clone(k))
	}
	if m.o.Prefix == "" {
		m.o.Prefix = "sk"
	}
	if len(m.o.Prefix) < 2 || len(m.o.Prefix) > 16 || strings.Trim(m.o.Prefix, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, errors.New("apikey: Options: Prefix: want 2 to 16 small letters and digits")
	}
	if m.o.MaxAge == 0 {
		m.o.MaxAge = 90 * 24 * time.Hour
	}
	if m.o.MaxAge < time.Hour || m.o.MaxAge > 366*24*time.Hour {
		return nil, errors.New("apikey: Options: MaxAge: want 1 h to 366 days")
	}
	return m, nil
}

// Create makes a key and returns its secret, which is shown once.
func (m *Manager) Create(ctx context.Context, k Key) (secret string, made Key, err error) {
	now := m.now()
	if k.Expires.IsZero() {
		k.Expires = now.Add(m.o.MaxAge)
	}
	k.Created, k.LastUsed, k.Expires = now.UTC().Truncate(time.Second), time.Time{}, k.Expires.UTC().Truncate(time.Second)
	if err := m.check(k, now); err != nil {
		return "", Key{}, err
	}
	raw := make([]byte, idBytes+secretBytes)
	rand.Read(raw) //nolint:errcheck // crypto/rand.Read never fails
	k.ID = encoding.EncodeToString(raw[:idBytes])
	token := m.o.Prefix + "_" + k.Tenant + "_" + k.ID + encoding.EncodeToString(raw[idBytes:])
	token += checksum(token)
	row, err := m.seal(k, sha256.Sum256([]byte(token)))
	if err != nil {
		return "", Key{}, err
	}
	if err := m.record(ctx, "authn.apikey.create", auditlog.Success, "", k, auditlog.Time("expires", k.Expires), auditlog.String("scopes", strings.Join(k.Scopes, " "))); err != nil {
		return "", Key{}, err
	}
	if err := m.store.Insert(ctx, row); err != nil {
		return "", Key{}, fmt.Errorf("apikey: store: %w", err)
	}
	return token, k, nil
}

func (m *Manager) check(k Key, now time.Time) error {
	switch {
	case !validTenant(k.Tenant):
		return errors.New("apikey: Create: Tenant: want 1 to 64 letters, digits, - and _")
	case k.Owner == "":
		return errors.New("apikey: Create: Owner: want an account")
	case k.Name == "" || len(k.Name) > 128:
		return errors.New("apikey: Create: Name: want 1 to 128 bytes")
	case !k.Expires.After(now) || k.Expires.Sub(now) > m.o.MaxAge:
		return fmt.Errorf("apikey: Create: Expires: want at most %v from now", m.o.MaxAge)
	case len(k.Scopes) > 64 || len(k.Groups) > 64:
		return errors.New("apikey: Create: Scopes, Groups: want at most 64")
	}
	for _, s := range k.Scopes {
		if !validScope(s) {
			return errors.New("apikey: Create: Scopes: want the characters of RFC 6749, section 3.3")
		}
	}
	return nil
}

func validTenant(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && len(s) <= 64 && strings.Trim(s, allowed) == "" && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(allowed, r) })
}

func validScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' })
}

// checksum is the CRC-32 of the text, in seven letters and digits.
func checksum(s string) string {
	return encoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// Looks reports whether a text has the form of a key with the prefix, its
// checksum included. Scanners of sources and logs use it.
func Looks(prefix, text string) bool {
	_, _, ok := parse(prefix, text)
	return ok
}

func parse(prefix, token string) (tenant, id string, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix+"_")
	cut := len(rest) - bodyChars - 1
	if !ok || len(token) > maxToken || cut < 1 || rest[cut] != '_' || !validTenant(rest[:cut]) {
		return "", "", false
	}
	if body := token[:len(token)-sumChars]; checksum(body) != token[len(token)-sumChars:] {
		return "", "", false
	}
	return rest[:cut], rest[cut+1 : cut+1+idChars], true
}

// record is a key as stored.
type record struct {
	Hash    []byte   `json:"hash"`
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Created int64    `json:"created"`
	Expires int64    `json:"expires"`
}

func (m *Manager) seal(k Key, hash [sha256.Size]byte) (Row, error) {
	r := Row{Tenant: k.Tenant, ID: k.ID, Owner: k.Owner, Expires: k.Expires}
	data, err := json.Marshal(record{hash[:], k.Name, k.Scopes, k.Groups, k.Created.Unix(), k.Expires.Unix()})
	if err != nil {
		return r, fmt.Errorf("apikey: encode: %w", err)
	}
	r.Data = append(data, mac(m.keys[0], r, data)...)
	return r, nil
}

// mac binds the data to the place it stands in.
func mac(key []byte, r Row, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "surety api key v1\x00%q %q %q ", r.Tenant, r.ID, r.Owner)
	h.Write(data)
	return h.Sum(nil)
}

var errForged = errors.New("apikey: the stored key does not carry our MAC")

func (m *Manager) open(r Row) (Key, []byte, error) {
	cut := len(r.Data) - sha256.Size
	if cut <= 0 || !slices.ContainsFunc(m.keys, func(k []byte) bool { return hmac.Equal(r.Data[cut:], mac(k, r, r.Data[:cut])) }) {
		return Key{}, nil, errForged
	}
	var rec record
	if err := json.Unmarshal(r.Data[:cut], &rec); err != nil {
		return Key{}, nil, fmt.Errorf("apikey: decode: %w", err)
	}
	return Key{
		Tenant: r.Tenant, ID: r.ID, Owner: r.Owner, Name: rec.Name, Scopes: rec.Scopes, Groups: rec.Groups,
		Created: time.Unix(rec.Created, 0).UTC(), Expires: time.Unix(rec.Expires, 0).UTC(), LastUsed: r.Used,
	}, rec.Hash, nil
}

// Authenticate finds the key of a call in "Authorization: Bearer" or
// "X-API-Key". It implements authn.Authenticator. Credentials without the
// prefix are left to other authenticators.
func (m *Manager) Authenticate(ctx context.Context, call *guard.Call) (authn.Principal, error) {
	token := m.token(call)
	if token == "" {
		return authn.Principal{}, authn.ErrNoCredential
	}
	tenant, id, ok := parse(m.o.Prefix, token)
	if !ok {
		return authn.Principal{}, refuse("malformed")
	}
	k, hash, err := m.find(ctx, tenant, id)
	if err != nil {
		return authn.Principal{}, err
	}
	if sum := sha256.Sum256([]byte(token)); !hmac.Equal(sum[:], hash) {
		return authn.Principal{}, refuse("secret")
	}
	if now := m.now(); now.Sub(k.LastUsed) >= touchEvery {
		if err := m.store.Use(ctx, tenant, id, now); err != nil {
			return authn.Principal{}, fmt.Errorf("apikey: store: %w", err)
		}
	}
	return authn.Principal{
		Actor: auditlog.Actor{ID: k.ID, Tenant: k.Tenant, Kind: auditlog.Service, For: k.Owner},
		AAL:   authn.AAL1, Scopes: slices.Clip(k.Scopes), Groups: slices.Clip(k.Groups), AuthenticatedAt: m.now(),
	}, nil
}

func (m *Manager) token(call *guard.Call) string {
	begins := m.o.Prefix + "_"
	if values := call.Header("Authorization"); len(values) == 1 {
		const scheme = "Bearer "
		if v := values[0]; len(v) > len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) && strings.HasPrefix(v[len(scheme):], begins) {
			return v[len(scheme):]
		}
	}
	if values := call.Header("X-API-Key"); len(values) == 1 && strings.HasPrefix(values[0], begins) {
		return values[0]
	}
	return ""
}

func refuse(cause string) error { return fmt.Errorf("%w: %s", ErrKey, cause) }

// find returns a key that stands now.
func (m *Manager) find(ctx context.Context, tenant, id string) (Key, []byte, error) {
	row, err := m.store.Get(ctx, tenant, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return Key{}, nil, refuse("unknown")
	case err != nil:
		return Key{}, nil, fmt.Errorf("apikey: store: %w", err)
	case row.Tenant != tenant || row.ID != id:
		return Key{}, nil, refuse("forged")
	}
	k, hash, err := m.open(row)
	if err != nil {
		// Somebody writes to our store: never aggregated.
		failed := m.record(ctx, "authn.apikey.verify", auditlog.Denied, "authn.apikey.forged", Key{Tenant: tenant, ID: id})
		return Key{}, nil, errors.Join(refuse("forged"), failed)
	}
	if !m.now().Before(k.Expires) {
		return Key{}, nil, refuse("expired")
	}
	if m.o.Owner != nil {
		switch stands, err := m.o.Owner(ctx, tenant, k.Owner); {
		case err != nil:
			return Key{}, nil, fmt.Errorf("apikey: owner: %w", err)
		case !stands:
			return Key{}, nil, refuse("owner")
		}
	}
	return k, hash, nil
}

// Revalidate reports whether the principal's key still stands. It implements
// authn.Revalidator. A principal that is no key passes.
func (m *Manager) Revalidate(ctx context.Context, p authn.Principal) error {
	if p.Kind != auditlog.Service || len(p.ID) != idChars || p.For == "" {
		return nil
	}
	_, _, err := m.find(ctx, p.Tenant, p.ID)
	return err
}
