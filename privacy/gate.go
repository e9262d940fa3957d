package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// Header is the request header, or gRPC metadata key, in which a caller
// states the purpose of a call.
const Header = "Purpose"

// Consents tells whether a person consents to a purpose now. An error counts
// as no.
type Consents interface {
	Consented(ctx context.Context, tenant, subject string, p Purpose) (bool, error)
}

// ErrRefused is wrapped by every refusal of a gate.
var ErrRefused = errors.New("privacy: use refused")

// A Gate decides whether data about a person may be used for the context's
// purpose. It is safe for concurrent use.
type Gate struct {
	purposes map[Purpose]Declaration
	consents Consents
	rec      auditlog.Recorder
}

// NewGate makes a gate for the declared purposes. consents may be nil only if
// no purpose rests on consent.
func NewGate(purposes []Declaration, consents Consents, rec auditlog.Recorder) (*Gate, error) {
	m, err := declarations(purposes)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, errors.New("privacy: NewGate needs a recorder")
	}
	for _, d := range m {
		if d.Basis == Consent && consents == nil {
			return nil, fmt.Errorf("%w: purpose %q rests on consent and there is no ledger to ask", ErrDeclaration, d.Purpose)
		}
	}
	return &Gate{purposes: m, consents: consents, rec: rec}, nil
}

// Purposes lists the declarations, ordered by purpose.
func (g *Gate) Purposes() []Declaration {
	list := make([]Declaration, 0, len(g.purposes))
	for _, d := range g.purposes {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Declaration) int { return strings.Compare(string(a.Purpose), string(b.Purpose)) })
	return list
}

// Check returns nil if data about subject may be used for the context's
// purpose now. A refusal is recorded, wraps [ErrRefused] and is a
// *guard.Denial, so that a handler can return it as it is. When the refusal
// can't be recorded it is refused all the same.
func (g *Gate) Check(ctx context.Context, tenant, subject string) error {
	p := PurposeFrom(ctx)
	d, ok := g.purposes[p]
	switch {
	case tenant == "" || subject == "":
		return g.refuse(ctx, tenant, subject, p, "The request does not say whose data it is about.", nil)
	case p == "":
		return g.refuse(ctx, tenant, subject, p, "State the purpose of the request.", nil)
	case !ok:
		return g.refuse(ctx, tenant, subject, p, "This purpose is not declared.", nil)
	case d.Sale && OptedOut(ctx):
		return g.refuse(ctx, tenant, subject, p, "The browser asks not to sell or share (Sec-GPC).", nil)
	case d.Basis != Consent:
		return nil
	}
	consented, err := g.consents.Consented(ctx, tenant, subject, p)
	if err != nil {
		return g.refuse(ctx, tenant, subject, p, "Whether the person consents can't be found out now.", err)
	}
	if !consented {
		return g.refuse(ctx, tenant, subject, p, "The person has not consented to this purpose.", nil)
	}
	return nil
}

func (g *Gate) refuse(ctx context.Context, tenant, subject string, p Purpose, public string, cause error) error {
	ev := auditlog.Event{
		Action: "privacy.purpose.check", Outcome: auditlog.Denied, Tenant: tenant, Reason: "privacy.purpose",
		Attrs: []auditlog.Attr{auditlog.String("purpose", clip(string(p)))},
	}
	if subject != "" {
		ev.Targets = []auditlog.Target{{Type: "subject", ID: subject}}
	}
	err := errors.Join(ErrRefused, cause, g.rec.Record(ctx, ev))
	code := guard.PermissionDenied
	if cause != nil {
		code = guard.Unavailable
	}
	return &guard.Denial{
		Control: "privacy.purpose", Code: code, Public: public, Err: err,
		Details: map[string]any{"purpose": clip(string(p))},
	}
}

// Require returns the guard of phase purpose for a route on which data may be
// used for the allowed purposes only. A call states one of them in [Header];
// with a single allowed purpose it need not.
func (g *Gate) Require(allowed ...Purpose) guard.Guard { return &require{g, allowed} }

type require struct {
	gate    *Gate
	allowed []Purpose
}

func (r *require) Phase() guard.Phase { return guard.Purpose }

func (r *require) Validate() error {
	if r.gate == nil || len(r.allowed) == 0 {
		return errors.New("privacy: Require needs a gate and at least one purpose")
	}
	for _, p := range r.allowed {
		if _, ok := r.gate.purposes[p]; !ok {
			return fmt.Errorf("%w: a route allows the purpose %q, which is not declared", ErrDeclaration, p)
		}
	}
	return nil
}

func (r *require) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	stated := call.Header(Header)
	switch {
	case len(stated) == 0 && len(r.allowed) == 1:
		stated = []string{string(r.allowed[0])}
	case len(stated) != 1:
		return ctx, r.deny("State one purpose in the header " + Header + ".")
	}
	p := Purpose(stated[0])
	if !slices.Contains(r.allowed, p) {
		return ctx, r.deny("This operation does not serve that purpose.")
	}
	call.Attr(auditlog.String("purpose", string(p)))
	if signal := call.Header("Sec-GPC"); len(signal) == 1 && signal[0] == "1" { // W3C draft: any other value is no signal
		ctx = WithOptOut(ctx)
	}
	return WithPurpose(ctx, p), nil
}

func (r *require) deny(public string) *guard.Denial {
	return &guard.Denial{
		Control: "privacy.purpose", Code: guard.PermissionDenied, Public: public, Err: ErrRefused,
		Details: map[string]any{"allowed": names(r.allowed)},
	}
}

func (r *require) Controls() []controls.Control { return r.gate.Controls() }

// Controls describes the declared purposes. The probe asks for data without a
// purpose, and for one that was never declared.
func (g *Gate) Controls() []controls.Control {
	return []controls.Control{{ID: "privacy.purpose", Parameters: parameters(g.purposes), Probe: g.probe}}
}

func (g *Gate) probe(ctx context.Context) controls.Result {
	ctx = auditlog.WithActor(ctx, auditlog.Actor{ID: "probe", Kind: auditlog.Probe})
	for _, p := range []Purpose{"", "probe-undeclared"} {
		if g.Check(WithPurpose(ctx, p), "probe", "probe") == nil {
			return controls.Failed("data could be used for the purpose %q", p)
		}
	}
	for _, d := range g.Purposes() {
		if d.Basis == Consent && g.Check(WithPurpose(ctx, d.Purpose), "probe", "probe") == nil {
			return controls.Failed("data of someone who never consented could be used for %q", d.Purpose)
		}
	}
	return controls.Passed("use without a purpose, for an undeclared one and without consent was refused")
}
