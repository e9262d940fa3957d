package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/guard"
)

var _ authn.Revalidator = (*Manager)(nil)

// Authenticate finds the session of a call by its bearer token or its cookie.
// It implements authn.Authenticator. Bearer tokens of another form are left to
// other authenticators.
func (m *Manager) Authenticate(ctx context.Context, call *guard.Call) (authn.Principal, error) {
	token, bearer := m.token(call)
	if token == "" {
		return authn.Principal{}, authn.ErrNoCredential
	}
	tenant, key, ok := parseToken(token)
	if !ok {
		return m.refuse(ctx, call, Row{}, bearer, ended("malformed"))
	}
	now := m.unix()
	row, rec, err := m.check(ctx, tenant, key, now)
	if err == nil && m.due(rec, now) {
		err = m.touch(ctx, row, rec, now)
	}
	if err != nil {
		return m.refuse(ctx, call, row, bearer, err)
	}
	return row.principal(rec), nil
}

// refuse answers a token that is no good. A browser's cookie is taken back
// and counts as none; a bearer token is refused.
func (m *Manager) refuse(ctx context.Context, call *guard.Call, row Row, bearer bool, cause error) (authn.Principal, error) {
	var e *endedError
	if !errors.As(cause, &e) {
		return authn.Principal{}, cause
	}
	if e.cause == "forged" {
		// Somebody writes to our store: never aggregated.
		if err := m.record(ctx, "authn.session.verify", auditlog.Denied, "authn.session.forged", row.Tenant, "", ""); err != nil {
			return authn.Principal{}, err
		}
	}
	if bearer {
		return authn.Principal{}, cause
	}
	err := m.rec.Record(ctx, auditlog.Event{
		Action: "authn.session.verify", Outcome: auditlog.Denied, Reason: "authn.required",
		Attrs: []auditlog.Attr{auditlog.String("cause", e.cause)},
	})
	if err != nil {
		return authn.Principal{}, fmt.Errorf("session: record: %w", err)
	}
	call.AddHeader("Set-Cookie", m.newCookie("", -1).String())
	return authn.Principal{}, authn.ErrNoCredential
}

// Revalidate reports whether the principal's session still stands. It
// implements authn.Revalidator. A principal that has no session of this
// manager passes.
func (m *Manager) Revalidate(ctx context.Context, p authn.Principal) error {
	if p.SessionID == "" {
		return nil
	}
	list, err := m.List(ctx, p.Tenant, p.ID)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.ID == p.SessionID {
			return nil
		}
	}
	return ErrEnded
}

// token returns the call's token, and whether it came as a bearer token,
// which wins over a cookie: a program said it on purpose.
func (m *Manager) token(call *guard.Call) (token string, bearer bool) {
	if values := call.Header("Authorization"); len(values) == 1 {
		const scheme = "Bearer "
		if v := values[0]; len(v) > len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) {
			if t := v[len(scheme):]; looksLikeOurs(t) {
				return t, true
			}
		}
	}
	return cookie(call.Header("Cookie"), m.cookie), false
}

// looksLikeOurs tells a session's token from an API key or a JWT, which has
// two dots.
func looksLikeOurs(t string) bool {
	dot := strings.IndexByte(t, '.')
	return dot > 0 && len(t)-dot-1 == secretChars && strings.LastIndexByte(t, '.') == dot
}

// cookie returns the value of the only cookie with the name. Of two that
// differ, one was put there by somebody else: neither counts.
func cookie(headers []string, name string) string {
	found := ""
	for _, line := range headers {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			k, v, ok := strings.Cut(strings.TrimLeft(pair, " "), "=")
			if !ok || k != name || v == "" {
				continue
			}
			if found != "" && found != v {
				return ""
			}
			found = v
		}
	}
	return found
}

// Token returns the token of a call's session, for Rotate and End.
func (m *Manager) Token(call *guard.Call) string {
	t, _ := m.token(call)
	return t
}

// SetCookie hands a token to a browser: HttpOnly, Secure, SameSite=Lax, for
// this host only, until the browser closes or the session ends.
func (m *Manager) SetCookie(w http.ResponseWriter, token string) {
	http.SetCookie(w, m.newCookie(token, 0))
}

// ClearCookie takes the token back from a browser.
func (m *Manager) ClearCookie(w http.ResponseWriter) { http.SetCookie(w, m.newCookie("", -1)) }

func (m *Manager) newCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure unless the operator chose InsecureCookies, for loopback only
		Name: m.cookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: !m.o.InsecureCookies, SameSite: http.SameSiteLaxMode,
	}
}

// Factors returns when each of the session's methods was last proven.
func (m *Manager) Factors(ctx context.Context, p authn.Principal) (map[string]time.Time, error) {
	list, err := m.List(ctx, p.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.ID == p.SessionID {
			return s.Factors, nil
		}
	}
	return nil, ErrEnded
}
