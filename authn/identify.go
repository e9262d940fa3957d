package authn

import (
	"context"
	"errors"
	"fmt"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// ErrNoCredential is returned by an [Authenticator] that does not find its
// kind of credential in the call.
var ErrNoCredential = errors.New("authn: no credential of this kind")

// ErrCredential is wrapped by the errors of Authenticators that find their
// kind of credential and reject it: expired, revoked, forged, unknown.
var ErrCredential = errors.New("authn: credential rejected")

// An Authenticator proves one kind of credential.
type Authenticator interface {
	// Authenticate returns the caller's principal. It returns
	// ErrNoCredential when the call has no credential of its kind, an error
	// wrapping ErrCredential when the credential is no good, and any other
	// error when that could not be found out, for which the call is denied.
	Authenticate(ctx context.Context, call *guard.Call) (Principal, error)
}

// A Revalidator is an Authenticator whose credentials can end while a stream
// runs, such as a session.
type Revalidator interface {
	Authenticator
	// Revalidate returns an error when the principal's credential no longer
	// stands.
	Revalidate(ctx context.Context, p Principal) error
}

// An Identifier is the guard of phase identify.
type Identifier struct {
	rec            auditlog.Recorder
	authenticators []Authenticator
}

// Identify returns the guard that finds out who is calling by asking the
// authenticators in order. Rejected credentials are recorded.
func Identify(rec auditlog.Recorder, authenticators ...Authenticator) (*Identifier, error) {
	if rec == nil {
		return nil, errors.New("authn: Identify needs a recorder")
	}
	if len(authenticators) == 0 {
		return nil, errors.New("authn: Identify needs at least one authenticator")
	}
	for i, a := range authenticators {
		if a == nil {
			return nil, fmt.Errorf("authn: authenticator %d is nil", i)
		}
	}
	return &Identifier{rec, authenticators}, nil
}

// Phase returns [guard.Identify].
func (i *Identifier) Phase() guard.Phase { return guard.Identify }

// Controls lists the controls of the authenticators that are components.
func (i *Identifier) Controls() []controls.Control {
	var list []controls.Control
	for _, a := range i.authenticators {
		if c, ok := a.(controls.Component); ok {
			list = append(list, c.Controls()...)
		}
	}
	return list
}

// Admit puts the principal into the context and its actor into the call. A
// call without credentials stays anonymous.
func (i *Identifier) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	for _, a := range i.authenticators {
		p, err := a.Authenticate(ctx, call)
		switch {
		case errors.Is(err, ErrNoCredential):
			continue
		case errors.Is(err, ErrCredential):
			return ctx, i.reject(ctx, err)
		case err != nil:
			return ctx, fmt.Errorf("authn: identify: %w", err)
		case !p.Authenticated():
			return ctx, fmt.Errorf("authn: identify: %T returned a principal without id, kind or assurance", a)
		}
		call.Actor = p.Actor
		return &principalContext{ctx, p}, nil
	}
	return ctx, nil
}

// Readmit ends the streams of principals whose credentials were revoked.
func (i *Identifier) Readmit(ctx context.Context, _ *guard.Call) error {
	p, ok := FromContext(ctx)
	if !ok {
		return nil
	}
	for _, a := range i.authenticators {
		if r, ok := a.(Revalidator); ok {
			if err := r.Revalidate(ctx, p); err != nil {
				return denial("The session has ended. Sign in again.", err)
			}
		}
	}
	return nil
}

// reject records a rejected credential. When it can't be recorded, the call
// is denied all the same, as undecidable.
func (i *Identifier) reject(ctx context.Context, cause error) error {
	err := i.rec.Record(ctx, auditlog.Event{
		Action: "authn.credential.verify", Outcome: auditlog.Denied, Reason: "authn.required",
	})
	if err != nil {
		return fmt.Errorf("authn: identify: %w", err)
	}
	return denial("The credentials are not valid. Sign in again.", cause)
}

func denial(public string, cause error) *guard.Denial {
	return &guard.Denial{
		Control: "authn.required", Code: guard.Unauthenticated,
		Type: "https://surety-go.github.io/problems/authentication-required", Public: public, Err: cause,
	}
}

// RequiredOptions are the options of [Required].
type RequiredOptions struct {
	// LoginPage is where a person's browser is sent, such as "/login"; empty
	// for none.
	LoginPage string
	// Challenge is the value of WWW-Authenticate, such as `Bearer realm="api"`;
	// empty for none (a session cookie has no scheme).
	Challenge string
}

// Required returns the guard of phase authorise that admits any authenticated
// principal of at least the given assurance. Routes that only some may call
// use a policy instead.
func Required(level AAL, o RequiredOptions) guard.Guard { return &required{level, o} }

type required struct {
	level AAL
	o     RequiredOptions
}

func (r *required) Phase() guard.Phase { return guard.Authorise }

func (r *required) Validate() error {
	if r.level < AAL1 || r.level > AAL3 {
		return fmt.Errorf("authn.Required: level %d: want 1, 2 or 3", r.level)
	}
	return nil
}

func (r *required) Admit(ctx context.Context, _ *guard.Call) (context.Context, error) {
	p, ok := FromContext(ctx)
	if ok && p.AAL >= r.level {
		return ctx, nil
	}
	d := denial("Sign in to continue.", nil)
	if ok {
		d.Public = fmt.Sprintf("This needs a sign-in of assurance level %d.", r.level)
	}
	d.Location = r.o.LoginPage
	if r.o.Challenge != "" {
		d.Challenge = []string{r.o.Challenge}
	}
	return ctx, d
}

func (r *required) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "authn.required",
		Instance:   r.level.String(),
		Parameters: []controls.Parameter{controls.Int("aal", r.level)},
		Probe:      r.probe,
	}}
}

func (r *required) probe(ctx context.Context) controls.Result {
	call := guard.Synthetic("authn.required", "authn.probe", nil)
	if _, err := r.Admit(NewContext(ctx, Principal{}), call); err == nil {
		return controls.Failed("a caller without an identity was admitted")
	}
	weak := Principal{Actor: call.Actor, AAL: r.level - 1}
	if _, err := r.Admit(NewContext(ctx, weak), call); err == nil {
		return controls.Failed("a caller of %v was admitted", weak.AAL)
	}
	return controls.Passed("callers without an identity, and of %v, were refused", weak.AAL)
}
