package tour

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 as authenticator apps speak it
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/surety-go/surety/examples/records/service"
)

// An authenticator is an app that shows one-time codes (RFC 6238, SHA-1, 30 s,
// six digits).
type authenticator struct{ seed []byte }

func newAuthenticator(secret string) (*authenticator, error) {
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.ReplaceAll(secret, " ", "")))
	if err != nil {
		return nil, fmt.Errorf("the seed is not base32: %w", err)
	}
	return &authenticator{seed}, nil
}

// code is the code of the present step, or of one before or after it.
func (a *authenticator) code(offset int64) string {
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(time.Now().Unix()/30+offset)) //nolint:gosec // after 1970
	h := hmac.New(sha1.New, a.seed)
	h.Write(step[:])
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 15
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

// A person is a demo account that has been through its first sign-in.
type person struct {
	service.Account
	app   *authenticator
	token string
}

const newPassword = "a tour of seven quiet harbours" //nolint:gosec // of an account that lives for seconds

// firstSignIn takes an account through what the first sign-in demands: the
// password, setting up codes with the code of the last step, a new password.
func (c *client) firstSignIn(ctx context.Context, a service.Account) (*person, error) {
	if p := c.people[a.ID]; p != nil {
		return p, nil
	}
	begun, err := c.want(ctx, 200, "POST", "/login", "", map[string]any{"tenant": a.Tenant, "name": a.Name, "password": a.Password})
	if err != nil {
		return nil, err
	}
	if begun.text("step") != "enrol" || begun.text("token") != "" {
		return nil, broken("after the password alone the sign-in answered %s", begun.body)
	}
	seed, err := c.want(ctx, 200, "POST", "/login/enrol", "", map[string]any{"ticket": begun.text("ticket")})
	if err != nil {
		return nil, err
	}
	app, err := newAuthenticator(seed.text("secret"))
	if err != nil {
		return nil, err
	}
	confirmed, err := c.want(ctx, 200, "POST", "/login/enrol", "", map[string]any{"ticket": begun.text("ticket"), "code": app.code(-1)})
	if err != nil {
		return nil, err
	}
	if confirmed.text("step") != "password_change" && confirmed.text("token") != "" {
		return nil, broken("the one-time password need not be changed: %s", confirmed.body)
	}
	done, err := c.want(ctx, 200, "POST", "/login/password", "", map[string]any{"ticket": confirmed.text("ticket"), "new": newPassword})
	if err != nil {
		return nil, err
	}
	if done.text("token") == "" {
		return nil, broken("the sign-in ended without a session: %s", done.body)
	}
	p := &person{Account: a, app: app, token: done.text("token")}
	c.people[a.ID] = p
	return p, nil
}

// signedIn returns a demo person with a session.
func (c *client) signedIn(ctx context.Context, tenant, role string) (*person, error) {
	return c.firstSignIn(ctx, c.account(tenant, role))
}
