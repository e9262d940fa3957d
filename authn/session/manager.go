package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
)

// KeySize is the least length of a MAC key, in bytes.
const KeySize = 32

// Errors of the package, for errors.Is.
var (
	// ErrEnded says that a session does not stand: unknown, expired, revoked
	// or forged.
	ErrEnded = fmt.Errorf("session: ended: %w", authn.ErrCredential)
	// ErrOverrun says that all sessions of the account were ended while a
	// login was under way.
	ErrOverrun = errors.New("session: the account's sessions were ended during the login")
)

// Timeouts end a session. A negative duration is no timeout.
type Timeouts struct {
	Absolute time.Duration // since the factors were proven
	Idle     time.Duration // since the last call
}

// Options are the options of a [Manager].
type Options struct {
	// AAL1, AAL2 and AAL3 are the timeouts of sessions of that assurance.
	// Zero fields are the limits of SP 800-63B-4: AAL1 30 days and none,
	// AAL2 24 h and 1 h, AAL3 12 h and 15 min. AAL2 and AAL3 accept no longer
	// ones.
	AAL1, AAL2, AAL3 Timeouts
	// MaxPerAccount is how many sessions an account may have at once; one
	// more ends the oldest. 0 is 20; at most 1000.
	MaxPerAccount int
	// OldKeys are MAC keys that were in use before the present one. Sessions
	// under them are good until they end.
	OldKeys [][]byte
	// InsecureCookies drops the __Host- prefix and the Secure attribute, for
	// plain HTTP on loopback. It shows in evidence.
	InsecureCookies bool
}

// A Manager makes, checks and ends sessions. It is safe for concurrent use.
type Manager struct {
	store  Store
	rec    auditlog.Recorder
	keys   [][]byte
	limits [4]Timeouts
	o      Options
	cookie string
	now    func() time.Time
}

var standard = [4]Timeouts{
	1: {30 * 24 * time.Hour, -1},
	2: {24 * time.Hour, time.Hour},
	3: {12 * time.Hour, 15 * time.Minute},
}

// New makes a Manager. The key of at least 32 random bytes authenticates the
// rows in the store and must not be kept in it.
func New(store Store, key []byte, rec auditlog.Recorder, o Options) (*Manager, error) {
	if store == nil || rec == nil {
		return nil, errors.New("session: New needs a store and a recorder")
	}
	m := &Manager{store: store, rec: rec, o: o, cookie: "__Host-session", now: time.Now}
	if o.InsecureCookies {
		m.cookie = "session"
	}
	for i, k := range append([][]byte{key}, o.OldKeys...) {
		if len(k) < KeySize {
			return nil, fmt.Errorf("session: key %d: %d bytes: want at least %d", i, len(k), KeySize)
		}
		m.keys = append(m.keys, slices.Clone(k))
	}
	for aal, t := range []Timeouts{1: o.AAL1, 2: o.AAL2, 3: o.AAL3} {
		var err error
		if m.limits[aal], err = timeouts(authn.AAL(aal), t); err != nil { //nolint:gosec // 0 to 3
			return nil, err
		}
	}
	if m.o.MaxPerAccount == 0 {
		m.o.MaxPerAccount = 20
	}
	if m.o.MaxPerAccount < 1 || m.o.MaxPerAccount > 1000 {
		return nil, errors.New("session: Options: MaxPerAccount: want 1 to 1000")
	}
	return m, nil
}

func timeouts(aal authn.AAL, t Timeouts) (Timeouts, error) {
	std := standard[aal]
	if t.Absolute == 0 {
		t.Absolute = std.Absolute
	}
	if t.Idle == 0 {
		t.Idle = std.Idle
	}
	if aal >= authn.AAL2 && (t.Absolute < 0 || t.Absolute > std.Absolute || t.Idle < 0 || t.Idle > std.Idle) {
		return t, fmt.Errorf("session: Options: %v: want at most %v absolute and %v idle", aal, std.Absolute, std.Idle)
	}
	return t, nil
}

// Epoch returns a number to take before an account's factors are verified and
// to hand to Create: if all sessions of the account are ended in between,
// such as by a change of the password, Create fails.
func (m *Manager) Epoch(ctx context.Context, tenant, account string) (int64, error) {
	e, err := m.store.Epoch(ctx, tenant, account)
	if err != nil {
		return 0, fmt.Errorf("session: store: %w", err)
	}
	return e, nil
}

// Create opens a session for a principal whose factors were proven just now,
// or at p.AuthenticatedAt if that is earlier, and returns its token. It fails
// with ErrOverrun when the epoch has passed.
func (m *Manager) Create(ctx context.Context, p authn.Principal, epoch int64, d Device) (token string, err error) {
	if !p.Authenticated() || p.AAL > authn.AAL3 || !ValidTenant(p.Tenant) {
		return "", errors.New("session: Create: want a principal with id, kind, assurance and a tenant of letters, digits, - and _")
	}
	now := m.now()
	rec := m.newRecord(&p, now)
	if at := p.AuthenticatedAt; !at.IsZero() && at.Before(now) {
		rec.provenAt(at.Unix())
	}
	rec.Created, rec.Device = now.Unix(), d.clean()
	row := Row{Tenant: p.Tenant, Account: p.ID, ID: rand.Text()}
	if token, err = m.issue(&row, rec); err != nil {
		return "", err
	}
	switch ok, err := m.store.Insert(ctx, row, epoch); {
	case err != nil:
		return "", fmt.Errorf("session: store: %w", err)
	case !ok:
		return "", ErrOverrun
	}
	if err := m.opened(ctx, "authn.session.create", row, p.AAL); err != nil {
		return "", err
	}
	return token, m.trim(ctx, row.Tenant, row.Account)
}

// opened records a session that has a new token. The token was not given out
// yet: when it can't be recorded, the session is removed.
func (m *Manager) opened(ctx context.Context, action string, row Row, aal authn.AAL) error {
	err := m.record(ctx, action, auditlog.Success, "", row.Tenant, row.Account, row.ID, auditlog.Int("aal", aal))
	if err == nil {
		return nil
	}
	_, failed := m.store.Delete(context.WithoutCancel(ctx), row.Tenant, row.Key)
	return errors.Join(err, failed)
}

func (d Device) clean() Device {
	cut := func(s string, n int) string {
		s = strings.ToValidUTF8(s, "?")
		for len(s) > n {
			_, size := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-size]
		}
		return s
	}
	return Device{cut(d.Name, 128), cut(d.Network, 64)}
}

// newRecord describes a principal whose factors were proven now.
func (m *Manager) newRecord(p *authn.Principal, now time.Time) *record {
	rec := &record{
		Kind: p.Kind, For: p.For, Groups: slices.Clone(p.Groups), Methods: slices.Clone(p.Methods),
		AAL: p.AAL, Authn: now.Unix(), Used: now.Unix(), Factors: map[string]int64{},
	}
	for _, f := range p.Methods {
		rec.Factors[f] = rec.Authn
	}
	if t := m.limits[p.AAL].Absolute; t >= 0 {
		rec.Absolute = now.Add(t).Unix()
	}
	return rec
}

// provenAt says that the factors were proven earlier, elsewhere.
func (r *record) provenAt(at int64) {
	r.Authn = at
	for f := range r.Factors {
		r.Factors[f] = at
	}
}

// issue gives the row a new token.
func (m *Manager) issue(row *Row, rec *record) (string, error) {
	var secret [secretSize]byte
	rand.Read(secret[:]) //nolint:errcheck // crypto/rand.Read never fails
	row.Key, row.Rev = keyOf(row.Tenant, &secret), 1
	row.Expires = time.Unix(rec.Absolute, 0).UTC()
	if rec.Absolute == 0 {
		row.Expires = m.now().AddDate(10, 0, 0).Truncate(time.Second).UTC()
	}
	if err := m.seal(row, rec); err != nil {
		return "", err
	}
	return row.Tenant + "." + encoding.EncodeToString(secret[:]), nil
}

// trim ends the account's oldest sessions over the limit.
func (m *Manager) trim(ctx context.Context, tenant, account string) error {
	list, err := m.List(ctx, tenant, account)
	if err != nil {
		return err
	}
	for _, s := range list[min(len(list), m.o.MaxPerAccount):] {
		if _, err := m.end(ctx, s.row, "authn.session.limit"); err != nil {
			return err
		}
	}
	return nil
}

// check returns the session at a key if it stands now.
func (m *Manager) check(ctx context.Context, tenant string, key Key, now int64) (Row, *record, error) {
	row, err := m.store.Get(ctx, tenant, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return row, nil, ended("unknown")
	case err != nil:
		return row, nil, fmt.Errorf("session: store: %w", err)
	case row.Tenant != tenant || row.Key != key:
		return row, nil, ended("forged")
	}
	rec, err := m.open(row)
	if err != nil {
		return row, nil, ended("forged")
	}
	if cause := m.expired(rec, now); cause != "" {
		return row, nil, ended(cause)
	}
	return row, rec, nil
}

// endedError is ErrEnded with the cause, for events.
type endedError struct{ cause string }

func ended(cause string) error          { return &endedError{cause} }
func (e *endedError) Error() string     { return ErrEnded.Error() + ": " + e.cause }
func (e *endedError) Unwrap() error     { return ErrEnded }
func (m *Manager) unix() int64          { return m.now().Unix() }
func (m *Manager) idle(r *record) int64 { return int64(m.limits[r.AAL].Idle / time.Second) }

// expired says which limit has passed, if any. An assurance that is not one
// of ours has no limits and so no session.
func (m *Manager) expired(r *record, now int64) string {
	switch {
	case r.AAL < authn.AAL1 || r.AAL > authn.AAL3:
		return "forged"
	case r.Absolute != 0 && now >= r.Absolute:
		return "absolute"
	case m.idle(r) > 0 && now-r.Used >= m.idle(r):
		return "idle"
	}
	return ""
}

// due reports whether the use of a session is to be noted: at most once a
// minute or a tenth of the idle timeout. So much sooner can a session end.
func (m *Manager) due(rec *record, now int64) bool {
	every := int64(60)
	if idle := m.idle(rec); idle > 0 {
		every = max(1, min(every, idle/10))
	}
	return now-rec.Used >= every
}

// touch notes the use of a session. When the row has been
// removed or rotated meanwhile, nothing is written.
func (m *Manager) touch(ctx context.Context, row Row, rec *record, now int64) error {
	next := *rec
	next.Used = now
	row.Rev++
	if err := m.seal(&row, &next); err != nil {
		return err
	}
	if _, err := m.store.Update(ctx, row); err != nil {
		return fmt.Errorf("session: store: %w", err)
	}
	return nil
}

// Rotate gives a session a new token, for a principal that has proven factors
// again or gained or lost privileges; the old token ends in the same step.
// The principal must be the session's own account. The methods in proven were
// proven just now: they make the session fresh. None leaves its freshness as
// it was. The absolute timeout is never put off by a rotation: that takes a
// new login.
func (m *Manager) Rotate(ctx context.Context, token string, p authn.Principal, proven ...string) (string, error) {
	tenant, key, ok := parseToken(token)
	if !ok {
		return "", ErrEnded
	}
	row, rec, err := m.check(ctx, tenant, key, m.unix())
	if err != nil {
		return "", err
	}
	if p.ID != row.Account || p.Tenant != tenant || !p.Authenticated() || p.AAL > authn.AAL3 {
		return "", errors.New("session: Rotate: the principal is not the session's")
	}
	fresh := Row{Tenant: tenant, Account: row.Account, ID: row.ID}
	out, err := m.issue(&fresh, m.renewed(rec, &p, proven))
	if err != nil {
		return "", err
	}
	switch ok, err := m.store.Replace(ctx, key, fresh); {
	case err != nil:
		return "", fmt.Errorf("session: store: %w", err)
	case !ok:
		return "", ErrEnded
	}
	if err := m.opened(ctx, "authn.session.rotate", fresh, p.AAL); err != nil {
		return "", err
	}
	return out, nil
}

// renewed is the record after a rotation.
func (m *Manager) renewed(old *record, p *authn.Principal, proven []string) *record {
	next := m.newRecord(p, m.now())
	for method := range next.Factors {
		if at, known := old.Factors[method]; known && !slices.Contains(proven, method) {
			next.Factors[method] = at
		}
	}
	if len(proven) == 0 {
		next.Authn = old.Authn
	}
	if old.Absolute != 0 && (next.Absolute == 0 || old.Absolute < next.Absolute) {
		next.Absolute = old.Absolute
	}
	next.Created, next.Device = old.Created, old.Device
	return next
}

func (m *Manager) record(ctx context.Context, action string, o auditlog.Outcome, reason, tenant, account, id string, attrs ...auditlog.Attr) error {
	ev := auditlog.Event{Action: action, Outcome: o, Reason: reason, Tenant: tenant, Attrs: attrs}
	if account != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "account", ID: account})
	}
	if id != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "session", ID: id})
	}
	if err := m.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("session: record: %w", err)
	}
	return nil
}
