package session

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// probeTenant is where probes open sessions on the live store. No account has
// it.
const probeTenant = "surety-probe"

// Controls describes the sessions: their limits, and a probe that opens
// sessions on the live store and checks that forged, expired, rotated and
// ended ones are refused.
func (m *Manager) Controls() []controls.Control {
	list := []controls.Parameter{}
	for aal := authn.AAL1; aal <= authn.AAL3; aal++ {
		t := m.limits[aal]
		name := []string{1: "aal1", 2: "aal2", 3: "aal3"}[aal]
		list = append(list, controls.Duration(name+"_absolute", max(0, t.Absolute)), controls.Duration(name+"_idle", max(0, t.Idle)))
	}
	return []controls.Control{{
		ID: "authn.session",
		Parameters: append(list,
			controls.Int("max_per_account", m.o.MaxPerAccount),
			controls.Int("token_bits", 8*secretSize),
			controls.Bool("insecure_cookies", m.o.InsecureCookies),
			controls.Duration("cache", 0)),
		Probe: m.probe,
	}}
}

// probe runs on the live store under an account of its own. Its events go
// nowhere: they are no one's sessions.
func (m *Manager) probe(ctx context.Context) controls.Result {
	quiet := *m
	quiet.rec = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	p := authn.Principal{
		Actor: auditlog.Actor{ID: "probe-" + rand.Text(), Tenant: probeTenant, Kind: auditlog.Probe},
		AAL:   authn.AAL2, Methods: []string{"pwd", "otp"},
	}
	defer quiet.store.DeleteAll(context.WithoutCancel(ctx), probeTenant, p.ID, Key{}) //nolint:errcheck // a left-over probe session has no account
	check := probing{ctx: ctx, m: &quiet}
	epoch, err := quiet.Epoch(ctx, probeTenant, p.ID)
	if err != nil {
		return controls.Errored("the store does not answer: %v", err)
	}
	token := check.create(p, epoch)
	check.stands("a new session", token)
	check.refused("a forged token", token[:len(token)-secretChars]+encoding.EncodeToString(make([]byte, secretSize)))
	late := quiet
	late.now = func() time.Time { return m.now().Add(m.limits[authn.AAL2].Idle + time.Second) }
	check.m = &late
	check.refused("an idle session", token)
	late.now = func() time.Time { return m.now().Add(m.limits[authn.AAL2].Absolute + time.Second) }
	check.refused("an expired session", token)
	check.m = &quiet
	rotated := check.rotate(token, p)
	check.refused("a rotated token", token)
	check.stands("the token after rotation", rotated)
	check.end(rotated)
	check.refused("an ended session", rotated)
	return check.result
}

// A probing stops at the first surprise.
type probing struct {
	ctx    context.Context
	m      *Manager
	result controls.Result
}

func (c *probing) done() bool {
	return c.result.State == controls.Fail || c.result.State == controls.Error
}

func (c *probing) must(err error) {
	if err != nil && !c.done() {
		c.result = controls.Errored("the store does not answer: %v", err)
	}
}

func (c *probing) create(p authn.Principal, epoch int64) string {
	token, err := c.m.Create(c.ctx, p, epoch, Device{Name: "probe"})
	c.must(err)
	if err != nil {
		return probeTenant + "." + encoding.EncodeToString(make([]byte, secretSize))
	}
	return token
}

func (c *probing) rotate(token string, p authn.Principal) string {
	if c.done() {
		return token
	}
	next, err := c.m.Rotate(c.ctx, token, p)
	c.must(err)
	return next
}

func (c *probing) end(token string) {
	if c.done() {
		return
	}
	_, err := c.m.EndToken(c.ctx, token, "probe")
	c.must(err)
}

func (c *probing) ask(token string) error {
	header := http.Header{"Authorization": {"Bearer " + token}}
	_, err := c.m.Authenticate(c.ctx, guard.Synthetic("authn.session", "authn.probe", header))
	return err
}

func (c *probing) stands(what, token string) {
	if c.done() {
		return
	}
	switch err := c.ask(token); {
	case errors.Is(err, authn.ErrCredential):
		c.result = controls.Failed("%s was refused", what)
	case err != nil:
		c.must(err)
	}
}

func (c *probing) refused(what, token string) {
	if c.done() {
		return
	}
	switch err := c.ask(token); {
	case err == nil:
		c.result = controls.Failed("%s was accepted", what)
	case !errors.Is(err, authn.ErrCredential):
		c.must(err)
	default:
		c.result = controls.Passed("forged, idle, expired, rotated and ended sessions were refused on the live store")
	}
}
