package dsr

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
)

const (
	stepUpAge      = 10 * time.Minute // how old a second factor may be
	challengeLife  = 24 * time.Hour
	challengeTries = 5
)

// Pause notes that the person was asked to prove who they are. Under regimes
// that let it, the clock stands still until they do.
func (d *Desk) Pause(ctx context.Context, tenant, id, reason string) (Request, error) {
	if reason == "" {
		return Request{}, fmt.Errorf("%w: pausing needs a reason", ErrAsk)
	}
	return d.change(ctx, tenant, id, "pause", reason, func(r *Request) error { return d.pause(r) })
}

func (d *Desk) pause(r *Request) error {
	if err := r.move(Verifying); err != nil {
		return err
	}
	if g := d.regimes[r.Regime]; g.Pauses {
		r.Paused = DateOf(d.now(), g.Calendar.zone())
	}
	return nil
}

// prove raises the level and makes the request active once it is enough.
func (d *Desk) prove(r *Request, level Level) error {
	if r.State != Received && r.State != Verifying {
		return fmt.Errorf("%w: it is %s", ErrState, r.State)
	}
	r.Level = max(r.Level, level)
	if r.Level < d.level(r.Kind) {
		return nil
	}
	if r.Paused != (Date{}) {
		r.PausedDays += DateOf(d.now(), d.regimes[r.Regime].Calendar.zone()).since(r.Paused)
		r.Paused = Date{}
	}
	return r.move(Active)
}

// VerifySession takes the context's principal as proof: the person's own
// session, with a second factor of the last ten minutes for [StepUp].
func (d *Desk) VerifySession(ctx context.Context, tenant, id string) (Request, error) {
	p, ok := authn.FromContext(ctx)
	if !ok || !p.Authenticated() {
		return Request{}, fmt.Errorf("%w: nobody is signed in", ErrIdentity)
	}
	level := Session
	if age := d.now().Sub(p.AuthenticatedAt); p.AAL >= authn.AAL2 && age >= 0 && age <= stepUpAge {
		level = StepUp
	}
	return d.change(ctx, tenant, id, "verify", "", func(r *Request) error {
		if p.ID != r.Subject || p.Tenant != tenant || p.For != "" {
			return fmt.Errorf("%w: the session is someone else's", ErrIdentity)
		}
		return d.prove(r, level)
	}, auditlog.String("level", level.String()))
}

// VerifyManually notes that an employee was shown proof, and where that is
// noted. The employee must not be the person.
func (d *Desk) VerifyManually(ctx context.Context, tenant, id, evidence string) (Request, error) {
	actor := auditlog.ActorFrom(ctx)
	if evidence == "" || actor.ID == "" {
		return Request{}, fmt.Errorf("%w: verifying by hand needs evidence and an actor", ErrIdentity)
	}
	return d.change(ctx, tenant, id, "verify", evidence, func(r *Request) error {
		if actor.ID == r.Subject || r.Agent != nil && actor.ID == r.Agent.ID {
			return fmt.Errorf("%w: nobody vouches for themselves", ErrIdentity)
		}
		return d.prove(r, Manual)
	}, auditlog.String("level", Manual.String()))
}

// Challenge begins the email loop: it returns a secret that the application
// sends to the address on file, never to one the request names. It holds for
// a day; a new one takes the place of the old one.
func (d *Desk) Challenge(ctx context.Context, tenant, id string) (secret string, err error) {
	secret = rand.Text()
	_, err = d.change(ctx, tenant, id, "pause", "challenge sent", func(r *Request) error {
		if r.State == Received {
			if err := d.pause(r); err != nil {
				return err
			}
		}
		if r.State != Verifying {
			return fmt.Errorf("%w: it is %s", ErrState, r.State)
		}
		hash := sha256.Sum256([]byte(secret))
		r.Challenge, r.ChallengeUntil, r.ChallengeTries = hash[:], d.now().Add(challengeLife).UTC(), 0
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Answer ends the email loop. A wrong answer counts; after five the secret is
// void.
func (d *Desk) Answer(ctx context.Context, tenant, id, secret string) (Request, error) {
	hash := sha256.Sum256([]byte(secret))
	right := false
	action := func(r *Request) error {
		if r.State != Verifying || len(r.Challenge) == 0 || r.ChallengeTries >= challengeTries || !d.now().Before(r.ChallengeUntil) {
			return fmt.Errorf("%w: no answer is waited for", ErrIdentity)
		}
		if right = subtle.ConstantTimeCompare(hash[:], r.Challenge) == 1; !right {
			r.ChallengeTries++
			return nil
		}
		r.Challenge = nil
		return d.prove(r, EmailLoop)
	}
	r, err := d.change(ctx, tenant, id, "verify", "", action, auditlog.String("level", EmailLoop.String()))
	if err == nil && !right {
		err = fmt.Errorf("%w: wrong answer", ErrIdentity)
	}
	return r, err
}
