package authn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// An AAL is an authenticator assurance level of NIST SP 800-63B-4.
type AAL uint8

// The assurance levels. The zero AAL is no authentication at all.
const (
	AAL1 AAL = 1 // one factor
	AAL2 AAL = 2 // two factors
	AAL3 AAL = 3 // two factors, one a phishing-resistant key in hardware
)

// String returns "AAL0" to "AAL3".
func (a AAL) String() string { return fmt.Sprintf("AAL%d", uint8(a)) }

// A Principal is who is calling, as far as has been proven. The zero
// Principal is nobody.
type Principal struct {
	auditlog.Actor
	// Groups are the groups the identity source puts the principal in. They
	// are claims for policies to use, not permissions.
	Groups []string
	// Scopes are what the credential was issued for, if it is an access token
	// or an API key. A person's session has none.
	Scopes []string
	// Methods are how the principal authenticated, as RFC 8176 values.
	Methods []string
	// AAL is what those methods amount to.
	AAL AAL
	// AuthenticatedAt is when the principal last proved its factors; a
	// session that was merely used since does not move it.
	AuthenticatedAt time.Time
	// SessionID names the session in logs. It is not the session's token.
	SessionID string
}

// Has reports whether the principal authenticated with the method.
func (p *Principal) Has(method string) bool { return slices.Contains(p.Methods, method) }

// Authenticated reports whether p is somebody: it has an id, a kind other
// than anonymous, and at least one factor.
func (p *Principal) Authenticated() bool {
	return p != nil && p.ID != "" && p.Kind != auditlog.Anonymous && p.AAL >= AAL1
}

type principalKey struct{}

type principalContext struct {
	context.Context
	p Principal
}

func (c *principalContext) Value(key any) any {
	switch key.(type) {
	case principalKey:
		return &c.p
	case auditlog.ActorKey:
		return &c.p.Actor
	}
	return c.Context.Value(key)
}

// NewContext returns a context that carries the principal, and under which
// audit events are the principal's.
func NewContext(ctx context.Context, p Principal) context.Context {
	return &principalContext{ctx, p}
}

// FromContext returns the context's principal. Without one, ok is false and
// the principal is nobody.
func FromContext(ctx context.Context) (p Principal, ok bool) {
	found, _ := ctx.Value(principalKey{}).(*Principal)
	if !found.Authenticated() {
		return Principal{}, false
	}
	return *found, true
}
