package passkey

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// version is that of a record. A record of another one is not read: a change
// of the form comes with its conversion.
const version = 1

// A record is a passkey as stored, in our own form: what the verifying library
// stores may change, this does not.
type record struct {
	Version    int      `json:"v"`
	PublicKey  []byte   `json:"key"` // COSE
	Counter    uint32   `json:"counter"`
	Backup     bool     `json:"backup"` // was eligible at least once
	BackedUp   bool     `json:"backed_up"`
	AAGUID     []byte   `json:"aaguid"`
	Format     string   `json:"format"`
	Hardware   bool     `json:"hardware"`
	Transports []string `json:"transports,omitempty"`
	Name       string   `json:"name"`
	Created    int64    `json:"created"`
	Used       int64    `json:"used,omitempty"`
}

var b64 = base64.RawURLEncoding.Strict()

// A stored passkey, verified.
type stored struct {
	row Row
	rec record
}

func mac(key []byte, r Row, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "surety passkey v1\x00%q %q %q %d ", r.Tenant, r.Account, r.ID, r.Rev)
	h.Write(data)
	return h.Sum(nil)
}

func (m *Manager) seal(r *Row, rec *record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("passkey: encode: %w", err)
	}
	r.Data = append(data, mac(m.keys[0], *r, data)...)
	return nil
}

var errForged = errors.New("passkey: the stored passkey does not carry our MAC")

func (m *Manager) open(r Row) (stored, error) {
	cut := len(r.Data) - sha256.Size
	if cut <= 0 || !slices.ContainsFunc(m.keys, func(k []byte) bool { return hmac.Equal(r.Data[cut:], mac(k, r, r.Data[:cut])) }) {
		return stored{}, errForged
	}
	s := stored{row: r}
	if err := json.Unmarshal(r.Data[:cut], &s.rec); err != nil || s.rec.Version != version || len(s.rec.AAGUID) != 16 {
		return stored{}, fmt.Errorf("passkey: a record of version %d, %d bytes: %w", s.rec.Version, cut, errForged)
	}
	return s, nil
}

func (m *Manager) load(ctx context.Context, tenant, account string) ([]stored, error) {
	rows, err := m.store.List(ctx, tenant, account)
	if err != nil {
		return nil, fmt.Errorf("passkey: store: %w", err)
	}
	var list []stored
	for _, r := range rows {
		if r.Tenant != tenant || r.Account != account {
			return nil, errors.New("passkey: the store returned a row of another account")
		}
		if s, err := m.open(r); err == nil {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b stored) int { return int(a.rec.Created - b.rec.Created) })
	return list, nil
}

func (m *Manager) find(ctx context.Context, tenant, account, id string) (stored, bool, error) {
	list, err := m.load(ctx, tenant, account)
	for _, s := range list {
		if s.row.ID == id {
			return s, true, err
		}
	}
	return stored{}, false, err
}

// update writes a passkey that was read, if nobody else did meanwhile.
func (m *Manager) update(ctx context.Context, s stored) (bool, error) {
	s.row.Rev++
	if err := m.seal(&s.row, &s.rec); err != nil {
		return false, err
	}
	ok, err := m.store.Update(ctx, s.row)
	if err != nil {
		return false, fmt.Errorf("passkey: store: %w", err)
	}
	return ok, nil
}

func (s *stored) passkey() Passkey {
	p := Passkey{
		ID: s.row.ID, Account: s.row.Account, Name: s.rec.Name, Created: time.Unix(s.rec.Created, 0).UTC(),
		AAGUID: [16]byte(s.rec.AAGUID), Backup: s.rec.Backup, Hardware: s.rec.Hardware && !s.rec.Backup,
	}
	if s.rec.Used != 0 {
		p.LastUsed = time.Unix(s.rec.Used, 0).UTC()
	}
	return p
}

// credential is the passkey as the library wants it. The library compares its
// backup-eligible flag with the answer's and fails the login; we decide.
func (s *stored) credential(eligible bool) webauthn.Credential {
	id, err := b64.DecodeString(s.row.ID)
	if err != nil {
		return webauthn.Credential{}
	}
	c := webauthn.Credential{
		ID: id, PublicKey: s.rec.PublicKey, AttestationFormat: s.rec.Format,
		Flags:         webauthn.CredentialFlags{BackupEligible: eligible},
		Authenticator: webauthn.Authenticator{AAGUID: s.rec.AAGUID, SignCount: s.rec.Counter},
	}
	for _, t := range s.rec.Transports {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return c
}

// A user is an account as the library wants it.
type user struct {
	account, name string
	list          []stored
	eligible      bool
}

func (u *user) WebAuthnID() []byte          { return []byte(u.account) }
func (u *user) WebAuthnName() string        { return u.name }
func (u *user) WebAuthnDisplayName() string { return u.name }

func (u *user) WebAuthnCredentials() []webauthn.Credential {
	list := make([]webauthn.Credential, len(u.list))
	for i := range u.list {
		list[i] = u.list[i].credential(u.eligible)
	}
	return list
}
