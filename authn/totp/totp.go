package totp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// Errors of the package, for errors.Is.
var (
	// ErrCode says that the code is not the one of any accepted step.
	ErrCode = errors.New("totp: wrong code")
	// ErrUsed says that the code is right and was used before.
	ErrUsed = errors.New("totp: the code was used before")
	// ErrNotEnrolled says that the account has no confirmed codes, or, in
	// Confirm, none to confirm.
	ErrNotEnrolled = errors.New("totp: not enrolled")
)

// A Sealer encrypts seeds at rest under a key that is not in the database.
// What it seals opens only with the same tenant, account and id. The crypto
// package's Keeper fits with a few lines.
type Sealer interface {
	SealSeed(ctx context.Context, tenant, account, id string, seed []byte) ([]byte, error)
	OpenSeed(ctx context.Context, tenant, account, id string, sealed []byte) ([]byte, error)
}

// Options are the options of a [Verifier].
type Options struct {
	// Issuer is the service's name in authenticator apps. Required; without
	// a colon.
	Issuer string
	// Skew is how many steps of 30 s before and after the present one are
	// accepted: 0 is 1, at most 2; a negative value accepts the present step
	// only.
	Skew int
	// EnrolFor is how long an enrolment waits for its confirmation; 0 is 10
	// minutes.
	EnrolFor time.Duration
}

// A Verifier enrols accounts and checks their codes. It is safe for
// concurrent use.
type Verifier struct {
	store  Store
	sealer Sealer
	rec    auditlog.Recorder
	o      Options
	now    func() time.Time
}

// New makes a Verifier.
func New(store Store, sealer Sealer, rec auditlog.Recorder, o Options) (*Verifier, error) {
	if store == nil || sealer == nil || rec == nil {
		return nil, errors.New("totp: New needs a store, a sealer and a recorder")
	}
	if err := checkIssuer(o.Issuer); err != nil {
		return nil, err
	}
	switch {
	case o.Skew == 0:
		o.Skew = 1
	case o.Skew < 0:
		o.Skew = 0
	case o.Skew > 2:
		return nil, errors.New("totp: Options: Skew: want at most 2")
	}
	if o.EnrolFor == 0 {
		o.EnrolFor = 10 * time.Minute
	}
	if o.EnrolFor < time.Minute || o.EnrolFor > 24*time.Hour {
		return nil, errors.New("totp: Options: EnrolFor: want 1 min to 24 h")
	}
	return &Verifier{store, sealer, rec, o, time.Now}, nil
}

func checkIssuer(s string) error {
	if s == "" || len(s) > 64 {
		return errors.New("totp: Options: Issuer: want 1 to 64 bytes")
	}
	for _, c := range s {
		if c == ':' || c < ' ' {
			return errors.New("totp: Options: Issuer: want no colon and no control character")
		}
	}
	return nil
}

// Enrol makes a new seed for the account. It counts once Confirm has seen a
// code of it; until then an earlier one stays in force. The label is what the
// app shows, such as the login name: it goes into the URI and nowhere else.
//
// Replacing a factor needs a fresh authentication first, see authn/stepup.
func (v *Verifier) Enrol(ctx context.Context, tenant, account, label string) (Enrolment, error) {
	if tenant == "" || account == "" || label == "" || len(label) > 256 {
		return Enrolment{}, errors.New("totp: Enrol: want a tenant, an account and a label of at most 256 bytes")
	}
	seed := make([]byte, seedLength)
	rand.Read(seed) //nolint:errcheck // crypto/rand.Read never fails
	id := rand.Text()
	sealed, err := v.sealer.SealSeed(ctx, tenant, account, id, seed)
	if err != nil {
		return Enrolment{}, fmt.Errorf("totp: seal: %w", err)
	}
	c := Credential{Tenant: tenant, Account: account, ID: id, Seed: sealed, Created: v.now()}
	if err := v.record(ctx, c, "authn.totp.enrol", auditlog.Success, ""); err != nil {
		return Enrolment{}, err
	}
	if err := v.store.Put(ctx, c); err != nil {
		return Enrolment{}, fmt.Errorf("totp: store: %w", err)
	}
	return newEnrolment(v.o.Issuer, label, seed), nil
}

// Confirm completes an enrolment with a code of it. The code's step counts as
// used.
func (v *Verifier) Confirm(ctx context.Context, tenant, account, code string) error {
	c, err := v.load(ctx, tenant, account, false)
	if err == nil && v.now().Sub(c.Created) > v.o.EnrolFor {
		err = ErrNotEnrolled
	}
	if err == nil {
		var step int64
		if step, err = v.match(ctx, c, code); err == nil {
			err = v.activate(ctx, c, step)
		}
	}
	return v.conclude(ctx, c, "authn.totp.confirm", err)
}

func (v *Verifier) activate(ctx context.Context, c Credential, step int64) error {
	switch ok, err := v.store.Activate(ctx, c.Tenant, c.Account, c.ID, step); {
	case err != nil:
		return fmt.Errorf("totp: store: %w", err)
	case !ok:
		return ErrNotEnrolled
	}
	return nil
}

// Verify checks a code and uses it up.
func (v *Verifier) Verify(ctx context.Context, tenant, account, code string) error {
	c, err := v.load(ctx, tenant, account, true)
	if err == nil {
		err = v.use(ctx, c, code)
	}
	return v.conclude(ctx, c, "authn.totp.verify", err)
}

func (v *Verifier) use(ctx context.Context, c Credential, code string) error {
	step, err := v.match(ctx, c, code)
	if err != nil {
		return err
	}
	switch ok, err := v.store.Advance(ctx, c.Tenant, c.Account, c.ID, step); {
	case err != nil:
		return fmt.Errorf("totp: store: %w", err)
	case !ok:
		return ErrUsed
	}
	return nil
}

// match returns the step whose code it is. All accepted steps are computed,
// whichever matches.
func (v *Verifier) match(ctx context.Context, c Credential, code string) (int64, error) {
	seed, err := v.sealer.OpenSeed(ctx, c.Tenant, c.Account, c.ID, c.Seed)
	if err != nil {
		return 0, fmt.Errorf("totp: open seed: %w", err)
	}
	defer clear(seed)
	typed, ok := parseCode(code)
	now, found := v.now().Unix()/period, int64(-1)
	for step := now - int64(v.o.Skew); step <= now+int64(v.o.Skew); step++ {
		if subtle.ConstantTimeEq(int32(hotp(seed, uint64(step))), int32(typed)) == 1 { //nolint:gosec // six digits, and a step after 1970
			found = step
		}
	}
	if !ok || found < 0 {
		return 0, ErrCode
	}
	return found, nil
}

// Enrolled reports whether the account has confirmed codes.
func (v *Verifier) Enrolled(ctx context.Context, tenant, account string) (bool, error) {
	_, err := v.load(ctx, tenant, account, true)
	if errors.Is(err, ErrNotEnrolled) {
		return false, nil
	}
	return err == nil, err
}

// Remove removes the account's codes, such as when the device is lost. The
// reason is a code for the audit log.
func (v *Verifier) Remove(ctx context.Context, tenant, account, reason string) error {
	c := Credential{Tenant: tenant, Account: account}
	if err := v.record(ctx, c, "authn.totp.remove", auditlog.Success, reason); err != nil {
		return err
	}
	if _, err := v.store.Delete(ctx, tenant, account); err != nil {
		return fmt.Errorf("totp: store: %w", err)
	}
	return nil
}

// load reads a credential and checks that the store returned the one asked
// for.
func (v *Verifier) load(ctx context.Context, tenant, account string, active bool) (Credential, error) {
	want := Credential{Tenant: tenant, Account: account}
	if tenant == "" || account == "" {
		return want, errors.New("totp: the tenant or the account is empty")
	}
	c, err := v.store.Get(ctx, tenant, account, active)
	switch {
	case errors.Is(err, ErrNotFound):
		return want, ErrNotEnrolled
	case err != nil:
		return want, fmt.Errorf("totp: store: %w", err)
	case c.Tenant != tenant || c.Account != account || c.Active != active:
		return want, errors.New("totp: the store returned another credential")
	}
	return c, nil
}

// conclude records how an attempt ended. What can't be recorded did not
// succeed; the code is used up all the same.
func (v *Verifier) conclude(ctx context.Context, c Credential, action string, err error) error {
	outcome, reason := auditlog.Denied, ""
	switch {
	case err == nil:
		outcome = auditlog.Success
	case errors.Is(err, ErrCode):
		reason = "authn.totp.code"
	case errors.Is(err, ErrUsed):
		reason = "authn.totp.used"
	case errors.Is(err, ErrNotEnrolled):
		reason = "authn.totp.none"
	default:
		outcome, reason = auditlog.Failed, "authn.totp.error"
	}
	return errors.Join(err, v.record(ctx, c, action, outcome, reason))
}

func (v *Verifier) record(ctx context.Context, c Credential, action string, o auditlog.Outcome, reason string) error {
	err := v.rec.Record(ctx, auditlog.Event{
		Action: action, Outcome: o, Reason: reason, Tenant: c.Tenant,
		Targets: []auditlog.Target{{Type: "account", ID: c.Account}},
	})
	if err != nil {
		return fmt.Errorf("totp: record: %w", err)
	}
	return nil
}
