package login

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/recoverycode"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
)

// Errors of the package, for errors.Is.
var (
	// ErrRefused is the one answer to a wrong name, password or code.
	ErrRefused = errors.New("login: the name, the password or the code is wrong")
	// ErrTicket says that a login took too long, was overtaken by a change of
	// the account, or never began.
	ErrTicket = errors.New("login: the login has to start again")
	// ErrStep says that the step is not the next one of this login.
	ErrStep = errors.New("login: another step comes first")
)

// A Step is what a login needs next.
type Step string

// The steps, in their order.
const (
	StepPassword Step = "password" // name and password
	StepCode     Step = "code"     // a one-time code
	StepEnrol    Step = "enrol"    // set up one-time codes
	StepChange   Step = "change"   // a new password
	StepDone     Step = "done"     // there is a session
)

// RFC 8176 values of the methods, and three that it doesn't know.
const (
	methodPassword = "pwd"
	methodCode     = "otp"
	methodSeveral  = "mfa"
	methodHard     = "hwk"
	methodSoft     = "swk"
	methodRecovery = "recovery" // a look-up secret, in place of a code
	methodMail     = "email"    // confirms an address; never a second factor
	methodDevice   = "device"   // a remembered one; proves nothing
)

// Parts are what a Flow is made of. All are required.
type Parts struct {
	Accounts  Accounts
	Passwords *password.Hasher
	Codes     *totp.Verifier
	Sessions  *session.Manager
	Guesses   *throttle.Throttle
	// Key signs tickets: at least 32 random bytes, the same on all instances.
	Key      []byte
	Recorder auditlog.Recorder
}

// Options are the options of a [Flow].
type Options struct {
	// Tenant names the tenant of a request that has not said it in the form
	// or the JSON member "tenant", such as by its host name. Nil is nobody.
	Tenant func(*http.Request) string
	// SingleFactor lets accounts without one-time codes log in by password
	// alone. It shows in evidence.
	SingleFactor bool
	// Policy judges new passwords.
	Policy password.Policy
	// TicketFor is how long a login may take; 0 is 10 minutes, at most 1 h.
	TicketFor time.Duration
	// Home is where a browser is sent after login; empty is "/".
	Home string
	// InsecureCookies is as in session.Options and must be the same.
	InsecureCookies bool
	// Recovery takes recovery codes in place of one-time codes, and lets
	// people make new ones; nil is none.
	Recovery *recoverycode.Codes
	// Mail sends the links by which people set a new password; nil is none.
	Mail *otp.Codes
	// MailLogin lets people sign in by a link too. It proves an address and
	// nothing more: the second factor is asked for all the same, and the
	// session has AAL1.
	MailLogin bool
	// Address is where an account's mail goes, empty for nowhere; nil is its
	// name, if that has an @.
	Address func(Account) string
	// Factors are other second factors that accounts may have, such as
	// passkeys. An account with one of them is asked for it.
	Factors []Factor
	// Remember is how long a device that has passed a second factor may sign
	// in by password alone, if the person asks for that; 0 is never, at most
	// 30 days. Such a session has AAL1, so that it never passes a step-up.
	// The end of an account's other sessions, and a new password, forget all
	// devices.
	Remember time.Duration
	// Notifier tells people what happened to their account; nil is nobody.
	Notifier Notifier
	// Layout is an html/template for the pages, executed with a [Page]. Empty
	// is a plain one.
	Layout string
}

// A Flow is the state machine. It is safe for concurrent use.
type Flow struct {
	parts  Parts
	o      Options
	pages  pages
	origin *http.CrossOriginProtection
	now    func() time.Time
}

// New makes a Flow.
func New(p Parts, o Options) (*Flow, error) {
	switch {
	case p.Accounts == nil || p.Passwords == nil || p.Codes == nil || p.Sessions == nil || p.Guesses == nil || p.Recorder == nil:
		return nil, errors.New("login: New: a part is missing")
	case len(p.Key) < session.KeySize:
		return nil, fmt.Errorf("login: New: Key: %d bytes: want at least %d", len(p.Key), session.KeySize)
	}
	p.Key = bytes.Clone(p.Key)
	if o.TicketFor == 0 {
		o.TicketFor = 10 * time.Minute
	}
	if o.TicketFor < time.Minute || o.TicketFor > time.Hour {
		return nil, errors.New("login: Options: TicketFor: want 1 min to 1 h")
	}
	if o.Remember < 0 || o.Remember > 30*24*time.Hour {
		return nil, errors.New("login: Options: Remember: want at most 30 days")
	}
	if o.MailLogin && o.Mail == nil {
		return nil, errors.New("login: Options: MailLogin: want Mail")
	}
	if o.Home == "" {
		o.Home = "/"
	}
	if !localPath(o.Home) {
		return nil, errors.New("login: Options: Home: want a path on this host")
	}
	layout, err := newPages(o.Layout)
	if err != nil {
		return nil, err
	}
	return &Flow{p, o, layout, http.NewCrossOriginProtection(), time.Now}, nil
}

// localPath reports whether a redirect stays on this host: "//host" and
// "/\host" don't.
func localPath(s string) bool {
	return len(s) > 0 && s[0] == '/' && (len(s) == 1 || s[1] != '/' && s[1] != '\\')
}

// Progress is where a login stands after a step.
type Progress struct {
	// Step is what comes next.
	Step Step
	// Ticket is for the next step; empty when done.
	Ticket string
	// Token is the session's token; empty unless done.
	Token string
	// Device is to be shown as Client.Remembered at later logins; empty
	// unless the client asked to be remembered.
	Device string
}

// Next is the one rule of the machine: what is missing for a session of this
// account, given what was proven and whether a second factor is set up.
func (f *Flow) Next(a Account, enrolled bool, proven ...string) Step {
	has := func(m string) bool { return slices.Contains(proven, m) }
	second := secondOf(proven)
	switch {
	case len(proven) == 0, second && len(proven) == 1 && !has(methodSeveral):
		return StepPassword // one thing that somebody has is not two factors
	case enrolled && !second && !(has(methodPassword) && has(methodDevice)):
		return StepCode
	case !enrolled && !f.o.SingleFactor && !second:
		return StepEnrol
	case a.MustChange && has(methodPassword):
		return StepChange
	}
	return StepDone
}

// secondOf reports whether something that one has is among the methods, or
// several factors at once. A code sent to a telephone counts beside a password
// only.
func secondOf(methods []string) bool {
	has := func(m string) bool { return slices.Contains(methods, m) }
	return has(methodCode) || has(methodHard) || has(methodSoft) || has(methodSeveral) || has(methodRecovery) ||
		has(methodPassword) && (has(otp.SMS.Method()) || has(otp.Voice.Method()))
}

// Begin takes a name and a password, which prove each other. The answer to
// anything wrong with either is ErrRefused.
func (f *Flow) Begin(ctx context.Context, tenant, name, pass string, d Client) (Progress, error) {
	if !session.ValidTenant(tenant) {
		return Progress{}, ErrRefused
	}
	a, err := f.find(ctx, tenant, name)
	if err != nil {
		return Progress{}, err
	}
	if err := f.parts.Guesses.Begin(ctx, tenant, a.ID, d.Addr); err != nil {
		return Progress{}, err //nolint:wrapcheck // LockedError is part of the answer
	}
	epoch, err := f.parts.Sessions.Epoch(ctx, tenant, a.ID)
	if err != nil {
		return Progress{}, err //nolint:wrapcheck // says where it comes from
	}
	upgraded, err := f.parts.Passwords.Verify(ctx, a.Password, pass)
	if err := f.verified(ctx, a, methodPassword, err); err != nil {
		return Progress{}, err
	}
	if upgraded != "" {
		if _, err := f.parts.Accounts.SetPassword(ctx, tenant, a.ID, a.Password, upgraded, a.MustChange); err != nil {
			return Progress{}, fmt.Errorf("login: accounts: %w", err)
		}
		// Somebody else may have upgraded or changed it: read again.
		if a, err = f.account(ctx, tenant, a.ID); err != nil {
			return Progress{}, err
		}
	}
	now := f.now()
	t := &ticket{
		Tenant: tenant, Account: a.ID, Factors: map[string]int64{methodPassword: now.Unix()},
		Epoch: epoch, Hash: fingerprint(a.Password), Expires: now.Add(f.o.TicketFor).Unix(),
	}
	if f.remembered(d.Remembered, t) {
		t.Factors[methodDevice] = now.Unix()
	}
	return f.advance(ctx, t, a, d)
}

// A Client is from where a login comes.
type Client struct {
	Addr   netip.Addr // counted by the throttle
	Device session.Device
	// Remembered is the Progress.Device of an earlier login from here.
	Remembered string
	// Remember asks for this device to be remembered.
	Remember bool
}

// find returns the account, or one that stands for a name that has none and
// goes through the same motions.
func (f *Flow) find(ctx context.Context, tenant, name string) (Account, error) {
	name = Name(name)
	a, err := f.parts.Accounts.ByName(ctx, tenant, name)
	switch {
	case errors.Is(err, ErrNoAccount):
		sum := sha256.Sum256([]byte(tenant + "\x00" + name))
		return Account{Tenant: tenant, ID: throttle.Unknown + hex.EncodeToString(sum[:12])}, nil
	case err != nil:
		return Account{}, fmt.Errorf("login: accounts: %w", err)
	case a.Tenant != tenant || a.ID == "" || a.ID[:1] == throttle.Unknown:
		return Account{}, errors.New("login: accounts: returned an account of another tenant, or with a bad id")
	}
	return a, nil
}

func (f *Flow) account(ctx context.Context, tenant, id string) (Account, error) {
	a, err := f.parts.Accounts.ByID(ctx, tenant, id)
	switch {
	case errors.Is(err, ErrNoAccount):
		return a, ErrTicket
	case err != nil:
		return a, fmt.Errorf("login: accounts: %w", err)
	case a.Tenant != tenant || a.ID != id:
		return a, errors.New("login: accounts: returned another account")
	}
	return a, nil
}

// verified records the end of a password check and turns every refusal into
// the same one.
func (f *Flow) verified(ctx context.Context, a Account, method string, err error) error {
	outcome, reason := auditlog.Denied, ""
	switch {
	case err == nil && a.Disabled:
		reason, err = "authn.login.disabled", ErrRefused
	case err == nil:
		outcome = auditlog.Success
	case errors.Is(err, password.ErrMismatch) && a.ID[:1] == throttle.Unknown:
		reason, err = "authn.login.unknown", ErrRefused
	case errors.Is(err, password.ErrMismatch):
		reason, err = "authn.login.mismatch", ErrRefused
	default:
		outcome, reason = auditlog.Failed, "authn.login.error"
	}
	return errors.Join(err, f.record(ctx, a, "authn.password.verify", outcome, reason, auditlog.String("method", method)))
}

// Code takes a one-time code, or a recovery code in its place.
func (f *Flow) Code(ctx context.Context, ticket, code string, d Client) (Progress, error) {
	t, a, err := f.resume(ctx, ticket, StepCode)
	if err != nil {
		return Progress{}, err
	}
	method, check := methodCode, func() error { return f.parts.Codes.Verify(ctx, a.Tenant, a.ID, code) }
	if f.o.Recovery != nil && recoverycode.Looks(code) {
		method, check = methodRecovery, func() error {
			_, err := f.o.Recovery.Verify(ctx, a.Tenant, a.ID, code)
			return err //nolint:wrapcheck // says where it comes from
		}
	}
	if err := f.guess(ctx, a, d, check); err != nil {
		if errors.Is(err, ErrRefused) && t.has(methodPassword) {
			f.notify(ctx, a, NoticeSecondRefused, d) // somebody else may know the password
		}
		return Progress{}, err
	}
	if method == methodRecovery {
		f.notify(ctx, a, NoticeRecoveryUsed, d)
	}
	t.Factors[method] = f.now().Unix()
	return f.advance(ctx, t, a, d)
}

// guess lets a check of a code through the throttle.
func (f *Flow) guess(ctx context.Context, a Account, d Client, check func() error) error {
	if err := f.parts.Guesses.Begin(ctx, a.Tenant, a.ID, d.Addr); err != nil {
		return err //nolint:wrapcheck // LockedError is part of the answer
	}
	err := check()
	for _, wrong := range []error{totp.ErrCode, totp.ErrUsed, totp.ErrNotEnrolled, recoverycode.ErrCode} {
		if errors.Is(err, wrong) {
			return ErrRefused
		}
	}
	return err
}

// Enrol begins to set up one-time codes at a login that needs them.
func (f *Flow) Enrol(ctx context.Context, ticket string) (totp.Enrolment, error) {
	_, a, err := f.resume(ctx, ticket, StepEnrol)
	if err != nil {
		return totp.Enrolment{}, err
	}
	return f.parts.Codes.Enrol(ctx, a.Tenant, a.ID, a.Name) //nolint:wrapcheck // says where it comes from
}

// Confirm ends the setting up of one-time codes. The code counts as the
// second factor of this login.
func (f *Flow) Confirm(ctx context.Context, ticket, code string, d Client) (Progress, error) {
	t, a, err := f.resume(ctx, ticket, StepEnrol)
	if err != nil {
		return Progress{}, err
	}
	if err := f.guess(ctx, a, d, func() error { return f.parts.Codes.Confirm(ctx, a.Tenant, a.ID, code) }); err != nil {
		return Progress{}, err
	}
	f.notify(ctx, a, NoticeCodes, d)
	t.Factors[methodCode] = f.now().Unix()
	return f.advance(ctx, t, a, d)
}

// Change sets the new password that a login demands. All other sessions of
// the account end.
func (f *Flow) Change(ctx context.Context, ticket, fresh string, d Client) (Progress, error) {
	t, a, err := f.resume(ctx, ticket, StepChange)
	if err != nil {
		return Progress{}, err
	}
	reason := "authn.login.forced"
	if t.Reset {
		reason = "authn.login.reset"
	}
	if a, err = f.setPassword(ctx, a, fresh, reason); err != nil {
		return Progress{}, err
	}
	f.notify(ctx, a, NoticePassword, d)
	if _, err := f.parts.Sessions.EndAll(ctx, a.Tenant, a.ID, "authn.password.change"); err != nil {
		return Progress{}, err //nolint:wrapcheck // says where it comes from
	}
	if t.Epoch, err = f.parts.Sessions.Epoch(ctx, a.Tenant, a.ID); err != nil {
		return Progress{}, err //nolint:wrapcheck // likewise
	}
	if t.Reset { // who has set it, signs in with it
		return Progress{Step: StepPassword}, f.parts.Guesses.Unlock(ctx, a.Tenant, a.ID, reason) //nolint:wrapcheck // says where it comes from
	}
	t.Hash = fingerprint(a.Password)
	return f.advance(ctx, t, a, d)
}

// setPassword judges, hashes and stores a new password.
func (f *Flow) setPassword(ctx context.Context, a Account, fresh, reason string) (Account, error) {
	enrolled, err := f.enrolled(ctx, a)
	if err != nil {
		return a, err
	}
	if err := f.o.Policy.Check(ctx, fresh, !enrolled, a.Name); err != nil {
		return a, err //nolint:wrapcheck // RefusedError is part of the answer
	}
	if _, err := f.parts.Passwords.Verify(ctx, a.Password, fresh); err == nil {
		return a, &password.RefusedError{Reason: "same", Public: "The new password is the present one."}
	}
	hash, err := f.parts.Passwords.Hash(ctx, fresh)
	if err != nil {
		return a, err //nolint:wrapcheck // says where it comes from
	}
	if err := f.record(ctx, a, "authn.password.change", auditlog.Success, reason); err != nil {
		return a, err
	}
	switch ok, err := f.parts.Accounts.SetPassword(ctx, a.Tenant, a.ID, a.Password, hash, false); {
	case err != nil:
		return a, fmt.Errorf("login: accounts: %w", err)
	case !ok:
		return a, ErrTicket
	}
	a.Password, a.MustChange = hash, false
	return a, nil
}

// resume opens a ticket and checks that it still holds and that the step is
// the next one.
func (f *Flow) resume(ctx context.Context, sealed string, step Step) (*ticket, Account, error) {
	t, err := f.openTicket(sealed)
	if err != nil {
		return nil, Account{}, err
	}
	a, err := f.account(ctx, t.Tenant, t.Account)
	if err != nil {
		return nil, a, err
	}
	epoch, err := f.parts.Sessions.Epoch(ctx, t.Tenant, t.Account)
	if err != nil {
		return nil, a, err //nolint:wrapcheck // says where it comes from
	}
	if a.Disabled || epoch != t.Epoch || len(t.Hash) > 0 && !bytes.Equal(t.Hash, fingerprint(a.Password)) {
		return nil, a, ErrTicket
	}
	next, err := f.next(ctx, t, a)
	if err != nil {
		return nil, a, err
	}
	if next != step {
		return nil, a, ErrStep
	}
	return t, a, nil
}

func (f *Flow) next(ctx context.Context, t *ticket, a Account) (Step, error) {
	enrolled, err := f.enrolled(ctx, a)
	switch {
	case err != nil:
		return "", err
	case t.Reset && enrolled && !secondOf(t.methods()):
		return StepCode, nil // a mailbox alone doesn't open an account with two factors
	case t.Reset:
		return StepChange, nil
	}
	return f.Next(a, enrolled, t.methods()...), nil
}

// enrolled reports whether the account has a second factor.
func (f *Flow) enrolled(ctx context.Context, a Account) (bool, error) {
	yes, err := f.parts.Codes.Enrolled(ctx, a.Tenant, a.ID)
	for i := 0; i < len(f.o.Factors) && err == nil && !yes; i++ {
		yes, err = f.o.Factors[i].Enrolled(ctx, a.Tenant, a.ID)
	}
	if err != nil {
		return false, fmt.Errorf("login: second factors: %w", err)
	}
	return yes, nil
}

func (t *ticket) methods() []string {
	list := make([]string, 0, len(t.Factors))
	for m := range t.Factors {
		list = append(list, m)
	}
	slices.Sort(list)
	return list
}

// advance hands out a ticket for the next step, or the session.
func (f *Flow) advance(ctx context.Context, t *ticket, a Account, d Client) (Progress, error) {
	step, err := f.next(ctx, t, a)
	if err != nil {
		return Progress{}, err
	}
	if step != StepDone {
		sealed, err := f.sealTicket(t)
		return Progress{Step: step, Ticket: sealed}, err
	}
	p := f.principal(a, t.methods())
	if t.Since != 0 {
		p.AuthenticatedAt = time.Unix(t.Since, 0)
	}
	strange, err := f.strange(ctx, a, d)
	if err != nil {
		return Progress{}, err
	}
	token, err := f.parts.Sessions.Create(ctx, p, t.Epoch, d.Device)
	if errors.Is(err, session.ErrOverrun) {
		return Progress{}, ErrTicket
	}
	if err != nil {
		return Progress{}, err //nolint:wrapcheck // says where it comes from
	}
	err = errors.Join(f.parts.Guesses.Succeed(ctx, a.Tenant, a.ID),
		f.record(ctx, a, "authn.login.complete", auditlog.Success, "", auditlog.Int("aal", p.AAL), auditlog.String("methods", joined(p.Methods))))
	if err != nil {
		_, ended := f.parts.Sessions.EndToken(context.WithoutCancel(ctx), token, "authn.login.error")
		return Progress{}, errors.Join(err, ended)
	}
	if strange {
		f.notify(ctx, a, NoticeDevice, d)
	}
	done := Progress{Step: StepDone, Token: token}
	if d.Remember && f.o.Remember > 0 && t.has(methodPassword) && secondOf(t.methods()) {
		done.Device, err = f.remember(t)
	}
	return done, err
}

// principal is the account with the assurance of the methods.
func (f *Flow) principal(a Account, methods []string) authn.Principal {
	p := authn.Principal{
		Actor:  auditlog.Actor{ID: a.ID, Tenant: a.Tenant, Kind: auditlog.User},
		Groups: slices.Clone(a.Groups), Methods: methods, AAL: authn.AAL1,
	}
	has := func(m string) bool { return slices.Contains(methods, m) }
	switch {
	case has(methodSeveral) && has(methodHard):
		p.AAL = authn.AAL3 // one key in hardware, and what unlocks it
	case has(methodSeveral):
		p.AAL = authn.AAL2
	case has(methodPassword) && secondOf(methods):
		p.AAL, p.Methods = authn.AAL2, append(methods, methodSeveral)
	}
	p.Methods = slices.DeleteFunc(p.Methods, func(m string) bool { return m == methodDevice })
	return p
}

func (f *Flow) record(ctx context.Context, a Account, action string, o auditlog.Outcome, reason string, attrs ...auditlog.Attr) error {
	err := f.parts.Recorder.Record(ctx, auditlog.Event{
		Action: action, Outcome: o, Reason: reason, Tenant: a.Tenant,
		Targets: []auditlog.Target{{Type: "account", ID: a.ID}}, Attrs: attrs,
	})
	if err != nil {
		return fmt.Errorf("login: record: %w", err)
	}
	return nil
}

// joined is a list of methods as one attribute.
func joined(methods []string) string { return strings.Join(methods, " ") }

// A Proof is what another way of signing in has proven of an account.
type Proof struct {
	// Epoch is session.Manager.Epoch from before the proof.
	Epoch int64
	// Methods are RFC 8176 values of what was proven. "mfa" stands for two
	// factors, and together with "hwk" for AAL3: say it only of what this
	// service, or an issuer it trusts for that, has verified.
	Methods []string
	// At is when, if that was earlier than now, such as at an identity
	// provider.
	At time.Time
}

// Resume takes an account that another way of signing in has proven, and does
// what is left: the same policy for every way in.
func (f *Flow) Resume(ctx context.Context, tenant, account string, proof Proof, d Client) (Progress, error) {
	if len(proof.Methods) == 0 {
		return Progress{}, errors.New("login: Resume: want at least one method")
	}
	a, err := f.account(ctx, tenant, account)
	if err != nil {
		return Progress{}, err
	}
	if a.Disabled {
		return Progress{}, errors.Join(ErrRefused, f.record(ctx, a, "authn.login.resume", auditlog.Denied, "authn.login.disabled"))
	}
	now := f.now()
	at := now
	if !proof.At.IsZero() && proof.At.Before(now) {
		at = proof.At
	}
	t := &ticket{Tenant: tenant, Account: account, Factors: map[string]int64{}, Epoch: proof.Epoch, Expires: now.Add(f.o.TicketFor).Unix()}
	for _, m := range proof.Methods {
		t.Factors[m] = at.Unix()
	}
	if at.Before(now) {
		t.Since = at.Unix()
	}
	if t.has(methodPassword) {
		t.Hash = fingerprint(a.Password)
	}
	return f.advance(ctx, t, a, d)
}
