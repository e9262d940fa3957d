package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/federation/jose"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutFor is how old a logout token may be, and how far ahead its exp.
const logoutFor = 2 * time.Minute

// logout ends the sessions of whom a logout token speaks.
func (rp *RelyingParty) logout(ctx context.Context, p *provider, raw string) error {
	m, err := p.load(ctx)
	if err != nil {
		return err
	}
	message, err := m.logout.Verify(ctx, raw)
	switch {
	case errors.Is(err, jose.ErrToken):
		return refuse("logout-token", "%w", err)
	case err != nil:
		return fmt.Errorf("%w %s: %w", ErrProvider, p.Name, err)
	}
	c, err := jose.ParseClaims(message.Payload)
	if err != nil {
		return refuse("logout-token", "%w", err)
	}
	if err := p.acceptsLogout(c); err != nil {
		return err
	}
	key := "logout " + p.Name + " " + c.ID
	fresh, err := rp.o.Seen.Use(ctx, p.Tenant, key, rp.now().Add(2*logoutFor))
	switch {
	case err != nil:
		return fmt.Errorf("oidc: logout tokens: %w", err)
	case !fresh:
		return refuse("replay", "the logout token was used before")
	}
	if err := rp.endSessions(ctx, p, c.Subject); err != nil {
		// The provider will send the token again, and must be heard then.
		forgotten := rp.o.Seen.Forget(context.WithoutCancel(ctx), p.Tenant, key)
		return errors.Join(err, forgotten)
	}
	return nil
}

// endSessions ends the sessions of whom a provider calls by a subject.
func (rp *RelyingParty) endSessions(ctx context.Context, p *provider, subject string) error {
	l, err := rp.parts.Links.Find(ctx, p.Tenant, p.Issuer, subject)
	if errors.Is(err, ErrNotLinked) {
		return nil // nobody here: there is nothing to end
	}
	if err != nil {
		return fmt.Errorf("oidc: links: %w", err)
	}
	if _, err := rp.parts.Sessions.EndAll(ctx, p.Tenant, l.Account, "authn.oidc.logout"); err != nil {
		return err //nolint:wrapcheck // says where it comes from
	}
	return rp.record(ctx, p, "authn.oidc.logout", auditlog.Success, l.Account, "")
}

// acceptsLogout checks the claims of a logout token (section 2.6).
func (p *provider) acceptsLogout(c *jose.Claims) error {
	now := p.now()
	switch {
	case c.Issuer != p.Issuer:
		return refuse("logout-token", "iss is another issuer")
	case !slices.Equal(c.Audience, []string{p.ClientID}):
		return refuse("logout-token", "aud: want this client alone")
	case c.Subject == "":
		return refuse("logout-token", "sub is missing")
	case c.ID == "" || len(c.ID) > 256:
		return refuse("logout-token", "jti: want 1 to 256 bytes")
	case c.Nonce != "":
		return refuse("logout-token", "a nonce is for ID tokens")
	case c.Issued.IsZero() || now.Sub(c.Issued) > logoutFor+leeway:
		return refuse("logout-token", "iat is missing or too long ago")
	}
	if err := c.Timely(now, leeway, 2*logoutFor); err != nil {
		return refuse("logout-token", "%w", err)
	}
	found := false
	err := c.Members("events", func(name, value string) error {
		found = found || name == logoutEvent && len(value) > 1 && value[0] == '{'
		return nil
	})
	if err != nil || !found {
		return refuse("logout-token", "events: want the logout event")
	}
	return nil
}
