package passkey

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
)

// A ceremony is what is kept between Begin and Finish.
type ceremony struct {
	Kind    string               `json:"kind"`
	Account string               `json:"account,omitempty"`
	Name    string               `json:"name,omitempty"`
	Bind    string               `json:"bind,omitempty"`
	Expires int64                `json:"expires"`
	Session webauthn.SessionData `json:"session"`
}

const (
	kindRegister = "register"
	kindLogin    = "login"
	kindSecond   = "second"
)

// begin keeps a ceremony and returns the browser's options with its handle.
func (m *Manager) begin(ctx context.Context, tenant string, c ceremony, options any) (json.RawMessage, string, error) {
	c.Expires = m.now().Add(ceremonyFor).Unix()
	data, err := json.Marshal(c)
	if err != nil {
		return nil, "", fmt.Errorf("passkey: encode: %w", err)
	}
	handle := rand.Text()
	data = append(data, ceremonyMAC(m.keys[0], tenant, handle, data)...)
	if err := m.store.PutCeremony(ctx, tenant, ceremonyID(handle), data, time.Unix(c.Expires, 0)); err != nil {
		return nil, "", fmt.Errorf("passkey: store: %w", err)
	}
	out, err := json.Marshal(options)
	if err != nil {
		return nil, "", fmt.Errorf("passkey: encode: %w", err)
	}
	return out, handle, nil
}

// ceremonyID is where a ceremony stands: who reads the store can't finish it.
func ceremonyID(handle string) string {
	sum := sha256.Sum256([]byte("surety passkey ceremony v1\x00" + handle))
	return b64.EncodeToString(sum[:])
}

func ceremonyMAC(key []byte, tenant, handle string, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "surety passkey ceremony v1\x00%q %q ", tenant, handle)
	h.Write(data)
	return h.Sum(nil)
}

// take ends a ceremony, whatever comes of it.
func (m *Manager) take(ctx context.Context, tenant, handle, kind, bind string) (*ceremony, error) {
	data, err := m.store.TakeCeremony(ctx, tenant, ceremonyID(handle))
	if err != nil {
		return nil, fmt.Errorf("passkey: store: %w", err)
	}
	cut := len(data) - sha256.Size
	if cut <= 0 {
		return nil, refuse("no such ceremony")
	}
	if !slices.ContainsFunc(m.keys, func(k []byte) bool { return hmac.Equal(data[cut:], ceremonyMAC(k, tenant, handle, data[:cut])) }) {
		return nil, refuse("forged ceremony")
	}
	c := new(ceremony)
	if err := json.Unmarshal(data[:cut], c); err != nil {
		return nil, fmt.Errorf("passkey: decode: %w", err)
	}
	switch {
	case c.Kind != kind || !hmac.Equal([]byte(c.Bind), []byte(bind)):
		return nil, refuse("a ceremony of another session")
	case m.now().Unix() >= c.Expires:
		return nil, refuse("an expired ceremony")
	}
	c.Session.Expires = time.Time{} // ours counts
	return c, nil
}

// refusal is ErrRefused with its cause, for events.
type refusal struct{ cause string }

func refuse(cause string) error    { return &refusal{cause} }
func (r *refusal) Error() string   { return ErrRefused.Error() + ": " + r.cause }
func (r *refusal) Unwrap() error   { return ErrRefused }
func verify(err error) error       { return refuse(libraryCause(err)) }
func (p *Proof) has(s string) bool { return slices.Contains(p.Methods, s) }

// libraryCause is what the library says went wrong, without its details, which
// hold what the caller sent.
func libraryCause(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.Details[:min(len(e.Details), 120)]
	}
	return "not verified"
}

// conclude records how a ceremony ended.
func (m *Manager) conclude(ctx context.Context, action, tenant, account, id string, err error, attrs ...auditlog.Attr) error {
	outcome, reason := auditlog.Success, ""
	var r *refusal
	switch {
	case errors.As(err, &r):
		outcome, reason = auditlog.Denied, "authn.passkey.refused"
		attrs = append(attrs, auditlog.String("cause", r.cause))
	case errors.Is(err, ErrLimit):
		outcome, reason = auditlog.Denied, "authn.passkey.limit"
	case err != nil:
		outcome, reason = auditlog.Failed, "authn.passkey.error"
	}
	return errors.Join(err, m.record(ctx, action, outcome, reason, tenant, account, id, attrs...))
}

// BeginRegistration returns the options for navigator.credentials.create. The
// label is what the authenticator shows, such as the login name. Bind is the
// session's id. Adding a factor needs a fresh authentication first, see
// authn/stepup. The account's id, at most 64 bytes, becomes the user handle.
func (m *Manager) BeginRegistration(ctx context.Context, tenant, account, label, bind string) (options json.RawMessage, handle string, err error) {
	if tenant == "" || account == "" || len(account) > 64 || label == "" || bind == "" {
		return nil, "", errors.New("passkey: BeginRegistration: want a tenant, an account of at most 64 bytes, a label and a session")
	}
	list, err := m.load(ctx, tenant, account)
	if err != nil {
		return nil, "", err
	}
	if len(list) >= m.o.Max {
		return nil, "", ErrLimit
	}
	u := &user{account: account, name: label, list: list}
	var exclude []protocol.CredentialDescriptor
	for _, c := range u.WebAuthnCredentials() {
		exclude = append(exclude, c.Descriptor())
	}
	creation, session, err := m.web.BeginRegistration(u, webauthn.WithExclusions(exclude), webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
	}))
	if err != nil {
		return nil, "", fmt.Errorf("passkey: %w", err)
	}
	return m.begin(ctx, tenant, ceremony{Kind: kindRegister, Account: account, Bind: bind, Session: *session}, creation)
}

// FinishRegistration takes what navigator.credentials.create returned, as its
// toJSON writes it, and keeps the passkey under a name of at most 64 bytes.
func (m *Manager) FinishRegistration(ctx context.Context, tenant, handle, bind, name string, response []byte) (Passkey, error) {
	c, err := m.take(ctx, tenant, handle, kindRegister, bind)
	if err != nil {
		return Passkey{}, m.conclude(ctx, "authn.passkey.enrol", tenant, "", "", err)
	}
	s, err := m.register(ctx, tenant, c, name, response)
	if err == nil {
		// Recorded first: a passkey that nobody knows of must not count.
		if err = m.conclude(ctx, "authn.passkey.enrol", tenant, c.Account, s.row.ID, nil, auditlog.Bool("backup", s.rec.Backup), auditlog.Bool("hardware", s.rec.Hardware)); err != nil {
			return Passkey{}, err
		}
		var ok bool
		if ok, err = m.store.Insert(ctx, s.row); err == nil && ok {
			return s.passkey(), nil
		} else if err == nil {
			err = refuse("a credential that is registered already")
		}
	}
	return Passkey{}, m.conclude(ctx, "authn.passkey.enrol", tenant, c.Account, "", err)
}

func (m *Manager) register(ctx context.Context, tenant string, c *ceremony, name string, response []byte) (stored, error) {
	name, err := checkName(name)
	if err != nil {
		return stored{}, err
	}
	if len(response) > maxBody {
		return stored{}, refuse("too long")
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return stored{}, verify(err)
	}
	cred, err := m.web.CreateCredential(&user{account: c.Account}, c.Session, parsed)
	if err != nil {
		return stored{}, verify(err)
	}
	list, err := m.load(ctx, tenant, c.Account)
	switch {
	case err != nil:
		return stored{}, err
	case len(list) >= m.o.Max:
		return stored{}, ErrLimit
	case len(cred.Authenticator.AAGUID) != 16:
		return stored{}, refuse("no AAGUID")
	}
	hardware, err := m.trust(ctx, cred, parsed)
	if err != nil {
		return stored{}, err
	}
	s := stored{row: Row{Tenant: tenant, Account: c.Account, ID: b64.EncodeToString(cred.ID), Rev: 1}, rec: record{
		Version: version, PublicKey: cred.PublicKey, Counter: cred.Authenticator.SignCount, Backup: cred.Flags.BackupEligible, BackedUp: cred.Flags.BackupState,
		AAGUID: cred.Authenticator.AAGUID, Format: cred.AttestationFormat, Hardware: hardware, Name: name, Created: m.now().Unix(),
	}}
	for _, t := range cred.Transport {
		s.rec.Transports = append(s.rec.Transports, string(t))
	}
	return s, m.seal(&s.row, &s.rec)
}

// trust asks whether the authenticator is known to keep keys in hardware.
func (m *Manager) trust(ctx context.Context, cred *webauthn.Credential, parsed *protocol.ParsedCredentialCreationData) (bool, error) {
	if m.o.Trust == nil {
		return false, nil
	}
	a := Attestation{AAGUID: [16]byte(cred.Authenticator.AAGUID), Format: cred.AttestationFormat}
	if chain, ok := parsed.Response.AttestationObject.AttStatement["x5c"].([]any); ok {
		for _, der := range chain {
			raw, ok := der.([]byte)
			if !ok {
				return false, refuse("an attestation that is no certificate")
			}
			c, err := x509.ParseCertificate(raw)
			if err != nil {
				return false, refuse("an attestation that is no certificate")
			}
			a.Chain = append(a.Chain, c)
		}
	}
	known, err := m.o.Trust(ctx, a)
	switch {
	case err != nil:
		return false, fmt.Errorf("passkey: trust: %w", err)
	case !known && m.o.TrustedOnly:
		return false, refuse("an authenticator that is not trusted")
	}
	return known && !cred.Flags.BackupEligible, nil
}

// A Proof is what a passkey has proven.
type Proof struct {
	Account string
	Passkey Passkey
	// Methods are RFC 8176 values, for login.Proof: "hwk" of trusted hardware
	// or "swk", and "mfa" when the authenticator verified its user.
	Methods []string
}

// AAL is what the methods amount to by themselves.
func (p *Proof) AAL() authn.AAL {
	switch {
	case p.has("mfa") && p.has("hwk"):
		return authn.AAL3
	case p.has("mfa"):
		return authn.AAL2
	}
	return authn.AAL1
}

// BeginLogin returns the options for navigator.credentials.get, to sign in
// without a name.
func (m *Manager) BeginLogin(ctx context.Context, tenant string) (options json.RawMessage, handle string, err error) {
	assertion, session, err := m.web.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", fmt.Errorf("passkey: %w", err)
	}
	return m.begin(ctx, tenant, ceremony{Kind: kindLogin, Session: *session}, assertion)
}

// FinishLogin takes what navigator.credentials.get returned. The passkey has
// verified its user, so that it is two factors in one. Go on with
// login.Flow.Resume.
func (m *Manager) FinishLogin(ctx context.Context, tenant, handle string, response []byte) (Proof, error) {
	return m.finish(ctx, tenant, handle, kindLogin, "", response)
}

// BeginSecond returns the options for navigator.credentials.get, as the second
// factor of an account. Bind is the login's ticket, or the session's id.
func (m *Manager) BeginSecond(ctx context.Context, tenant, account, bind string) (options json.RawMessage, handle string, err error) {
	list, err := m.load(ctx, tenant, account)
	if err != nil {
		return nil, "", err
	}
	if len(list) == 0 || bind == "" {
		return nil, "", refuse("the account has no passkey")
	}
	assertion, session, err := m.web.BeginLogin(&user{account: account, name: account, list: list}, webauthn.WithUserVerification(protocol.VerificationPreferred))
	if err != nil {
		return nil, "", fmt.Errorf("passkey: %w", err)
	}
	return m.begin(ctx, tenant, ceremony{Kind: kindSecond, Account: account, Bind: bind, Session: *session}, assertion)
}

// FinishSecond takes what navigator.credentials.get returned. Go on with
// login.Flow.Second.
func (m *Manager) FinishSecond(ctx context.Context, tenant, handle, bind string, response []byte) (Proof, error) {
	return m.finish(ctx, tenant, handle, kindSecond, bind, response)
}

func (m *Manager) finish(ctx context.Context, tenant, handle, kind, bind string, response []byte) (Proof, error) {
	c, err := m.take(ctx, tenant, handle, kind, bind)
	var s stored
	var p Proof
	if err == nil {
		s, p, err = m.assert(ctx, tenant, c, response)
	}
	if err := m.conclude(ctx, "authn.passkey.verify", tenant, s.row.Account, s.row.ID, err, auditlog.Bool("user_verified", p.has("mfa"))); err != nil {
		return Proof{}, err
	}
	return p, nil
}

func (m *Manager) assert(ctx context.Context, tenant string, c *ceremony, response []byte) (stored, Proof, error) {
	if len(response) > maxBody {
		return stored{}, Proof{}, refuse("too long")
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return stored{}, Proof{}, verify(err)
	}
	account := c.Account
	if c.Kind == kindLogin {
		account = string(parsed.Response.UserHandle)
	}
	s, ok, err := m.find(ctx, tenant, account, b64.EncodeToString(parsed.RawID))
	if err != nil {
		return s, Proof{}, err
	}
	if !ok || account == "" {
		return s, Proof{}, refuse("an unknown passkey")
	}
	flags := parsed.Response.AuthenticatorData.Flags
	u := &user{account: account, name: account, list: []stored{s}, eligible: flags.HasBackupEligible()}
	c.Session.AllowedCredentialIDs = nil // it was found among the account's own just now
	if c.Kind == kindLogin {
		_, err = m.web.ValidateDiscoverableLogin(func([]byte, []byte) (webauthn.User, error) { return u, nil }, c.Session, parsed)
	} else {
		_, err = m.web.ValidateLogin(u, c.Session, parsed)
	}
	if err != nil {
		return s, Proof{}, verify(err)
	}
	return m.used(ctx, s, &parsed.Response.AuthenticatorData)
}

// used notes a verified use: its counter, its flags and its time.
func (m *Manager) used(ctx context.Context, s stored, data *protocol.AuthenticatorData) (stored, Proof, error) {
	if (data.Counter != 0 || s.rec.Counter != 0) && data.Counter <= s.rec.Counter {
		if err := m.record(ctx, "authn.passkey.alert", auditlog.Denied, "authn.passkey.counter", s.row.Tenant, s.row.Account, s.row.ID); err != nil {
			return s, Proof{}, err
		}
		if !m.o.AcceptCounter {
			return s, Proof{}, refuse("a signature counter that went back")
		}
	}
	if eligible := data.Flags.HasBackupEligible(); eligible != s.rec.Backup {
		if err := m.record(ctx, "authn.passkey.alert", auditlog.Success, "authn.passkey.backup", s.row.Tenant, s.row.Account, s.row.ID, auditlog.Bool("eligible", eligible)); err != nil {
			return s, Proof{}, err
		}
		s.rec.Backup = true // it was eligible before or is now
	}
	s.rec.Counter, s.rec.BackedUp, s.rec.Used = max(s.rec.Counter, data.Counter), data.Flags.HasBackupState(), m.now().Unix()
	ok, err := m.update(ctx, s)
	if err == nil && !ok {
		err = refuse("a passkey that was used or removed meanwhile")
	}
	if err != nil {
		return s, Proof{}, err
	}
	p := Proof{Account: s.row.Account, Passkey: s.passkey(), Methods: []string{"swk"}}
	if p.Passkey.Hardware {
		p.Methods[0] = "hwk"
	}
	if data.Flags.HasUserVerified() {
		p.Methods = append(p.Methods, "mfa")
	}
	return s, p, nil
}
