package passkey

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/surety-go/surety/auditlog"
)

// Errors of the package, for errors.Is.
var (
	// ErrRefused says that a ceremony failed.
	ErrRefused = errors.New("passkey: refused")
	// ErrLimit says that an account has as many passkeys as it may.
	ErrLimit = errors.New("passkey: too many passkeys")
)

// A RelyingParty is the service as browsers know it.
type RelyingParty struct {
	ID      string   // a domain: the origins' host, or a parent of it
	Name    string   // for people
	Origins []string // "https://example.org"; plain HTTP on localhost only
}

// An Attestation is what an authenticator says of itself at registration. Its
// signature is verified, its chain is not: that takes roots.
type Attestation struct {
	AAGUID [16]byte // the model
	Format string   // "packed", "tpm" …; "none" says nothing
	Chain  []*x509.Certificate
}

// Options are the options of a [Manager].
type Options struct {
	// Trust reports whether an attestation, with its chain verified, is that
	// of a model which keeps keys in hardware. Nil asks browsers for no
	// attestation, and no passkey reaches AAL3.
	Trust func(ctx context.Context, a Attestation) (bool, error)
	// TrustedOnly refuses to register what Trust does not know.
	TrustedOnly bool
	// AcceptCounter accepts a signature counter that went back, which is the
	// sign of a copied key or of an authenticator with a fault. It is recorded
	// either way.
	AcceptCounter bool
	// Max is how many passkeys an account may have; 0 is 10, at most 100.
	Max int
	// OldKeys are MAC keys that were in use before the present one.
	OldKeys [][]byte
}

const (
	keySize     = 32
	ceremonyFor = 5 * time.Minute
	maxName     = 64
	maxBody     = 64 << 10
)

// A Manager registers and verifies passkeys. It is safe for concurrent use.
type Manager struct {
	store Store
	keys  [][]byte
	rec   auditlog.Recorder
	web   *webauthn.WebAuthn
	o     Options
	rp    RelyingParty
	now   func() time.Time
}

// New makes a Manager. The key of at least 32 random bytes authenticates the
// rows in the store and must not be kept in it.
func New(store Store, key []byte, rec auditlog.Recorder, rp RelyingParty, o Options) (*Manager, error) {
	if store == nil || rec == nil {
		return nil, errors.New("passkey: New needs a store and a recorder")
	}
	if o.Max == 0 {
		o.Max = 10
	}
	if o.Max < 1 || o.Max > 100 {
		return nil, errors.New("passkey: Options: Max: want 1 to 100")
	}
	if o.TrustedOnly && o.Trust == nil {
		return nil, errors.New("passkey: Options: TrustedOnly: want Trust")
	}
	m := &Manager{store: store, rec: rec, o: o, rp: rp, now: time.Now}
	for i, k := range append([][]byte{key}, o.OldKeys...) {
		if len(k) < keySize {
			return nil, fmt.Errorf("passkey: key %d: %d bytes: want at least %d", i, len(k), keySize)
		}
		m.keys = append(m.keys, slices.Clone(k))
	}
	if err := rp.validate(); err != nil {
		return nil, err
	}
	attestation := protocol.PreferNoAttestation
	if o.Trust != nil {
		attestation = protocol.PreferDirectAttestation
	}
	var err error
	m.web, err = webauthn.New(&webauthn.Config{
		RPID: rp.ID, RPDisplayName: rp.Name, RPOrigins: slices.Clone(rp.Origins), AttestationPreference: attestation,
		// Browsers may add outputs that nobody asked for; none is used here.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkey: New: %w", err)
	}
	return m, nil
}

func (rp RelyingParty) validate() error {
	if rp.ID == "" || rp.Name == "" || len(rp.Origins) == 0 {
		return errors.New("passkey: New: want the relying party's id, name and origins")
	}
	for i, o := range rp.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("passkey: New: origin %d: want a scheme and a host", i)
		}
		host := u.Hostname()
		if u.Scheme != "https" && (u.Scheme != "http" || host != "localhost") {
			return fmt.Errorf("passkey: New: origin %d: want https, or http on localhost", i)
		}
		if host != rp.ID && !strings.HasSuffix(host, "."+rp.ID) {
			return fmt.Errorf("passkey: New: origin %d: its host is not the id's, nor below it", i)
		}
	}
	return nil
}

// A Passkey is what people and administrators see of a passkey.
type Passkey struct {
	ID       string // base64url, as browsers write it
	Account  string
	Name     string
	Created  time.Time
	LastUsed time.Time // zero is never
	AAGUID   [16]byte  // the model, if it says
	// Backup says that the key can be copied to other devices.
	Backup bool
	// Hardware says that Options.Trust knew it.
	Hardware bool
}

// List returns the account's passkeys, the oldest first. Rows that do not
// verify are left out.
func (m *Manager) List(ctx context.Context, tenant, account string) ([]Passkey, error) {
	list, err := m.load(ctx, tenant, account)
	if err != nil {
		return nil, err
	}
	out := make([]Passkey, len(list))
	for i, c := range list {
		out[i] = c.passkey()
	}
	return out, nil
}

// Enrolled reports whether the account has a passkey. It makes the Manager a
// login.Factor.
func (m *Manager) Enrolled(ctx context.Context, tenant, account string) (bool, error) {
	list, err := m.load(ctx, tenant, account)
	return len(list) > 0, err
}

// Rename gives a passkey another name and reports whether it was there.
func (m *Manager) Rename(ctx context.Context, tenant, account, id, name string) (bool, error) {
	c, ok, err := m.find(ctx, tenant, account, id)
	if err != nil || !ok {
		return false, err
	}
	if c.rec.Name, err = checkName(name); err != nil {
		return false, err
	}
	if err := m.record(ctx, "authn.passkey.change", auditlog.Success, "", tenant, account, id); err != nil {
		return false, err
	}
	return m.update(ctx, c)
}

// Revoke removes a passkey and reports whether it was there. The reason is a
// code for the audit log.
func (m *Manager) Revoke(ctx context.Context, tenant, account, id, reason string) (bool, error) {
	_, ok, err := m.find(ctx, tenant, account, id)
	if err != nil || !ok {
		return false, err
	}
	if err := m.record(ctx, "authn.passkey.remove", auditlog.Success, reason, tenant, account, id); err != nil {
		return false, err
	}
	ok, err = m.store.Delete(ctx, tenant, account, id)
	if err != nil {
		return false, fmt.Errorf("passkey: store: %w", err)
	}
	return ok, nil
}

// RevokeAll removes all passkeys of an account, such as of one who leaves, and
// returns their number.
func (m *Manager) RevokeAll(ctx context.Context, tenant, account, reason string) (int, error) {
	rows, err := m.store.List(ctx, tenant, account)
	if err != nil {
		return 0, fmt.Errorf("passkey: store: %w", err)
	}
	n := 0
	for _, r := range rows {
		if err := m.record(ctx, "authn.passkey.remove", auditlog.Success, reason, tenant, account, r.ID); err != nil {
			return n, err
		}
		gone, err := m.store.Delete(ctx, tenant, account, r.ID)
		if err != nil {
			return n, fmt.Errorf("passkey: store: %w", err)
		}
		if gone {
			n++
		}
	}
	return n, nil
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(strings.ToValidUTF8(name, ""))
	if name == "" {
		name = "Passkey"
	}
	if len(name) > maxName {
		return "", fmt.Errorf("passkey: name: %d bytes: want at most %d", len(name), maxName)
	}
	return name, nil
}

func (m *Manager) record(ctx context.Context, action string, o auditlog.Outcome, reason, tenant, account, id string, attrs ...auditlog.Attr) error {
	ev := auditlog.Event{Action: action, Outcome: o, Reason: reason, Tenant: tenant, Attrs: attrs}
	if account != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "account", ID: account})
	}
	if id != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "passkey", ID: id[:min(len(id), 32)]})
	}
	if err := m.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("passkey: record: %w", err)
	}
	return nil
}
