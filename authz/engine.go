package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/surety-go/surety/auditlog"
)

// A Function is one that matchers and rules may call by name. Arguments are
// text, float64, bool, or what the request has as an attribute.
type Function func(args ...any) (any, error)

// A Link says whether a conditional link holds now, from its parameters.
type Link func(params ...string) (bool, error)

// Options adapt an engine. The zero value is the strictest.
type Options struct {
	// Functions are what matchers and rules may call beside the built-in
	// functions. They must be safe for concurrent use. One that fails or
	// panics denies.
	Functions map[string]Function
	// RoleMatch and DomainMatch name the function by which names and domains
	// in the lines of a role definition are patterns, such as
	// {"g": "keyMatch2"}. Without, they are names.
	RoleMatch, DomainMatch map[string]string
	// Links are the conditions of a conditional role definition. Without one,
	// its two parameters are a start and an end in UTC.
	Links map[string]Link
	// PriorityField is the field of rules that has their priority. Without,
	// it is "priority".
	PriorityField string
	// DefaultAllow lets models allow what no rule denies. The zero value
	// refuses such models. It shows in the parameters of the control.
	DefaultAllow bool
}

// A Decision is the answer. The zero Decision denies.
type Decision struct {
	Allowed bool
	// PolicyVersion counts the changes of the policy since it was loaded.
	PolicyVersion uint64
	// Reason says in a few words why.
	Reason string

	snapshot        *snapshot
	plan            *plan
	subject, domain string
	now             clock
	rule            uint32 // and one
	kind            uint8  // of the rule
}

// Why a decision is what it is.
const (
	reasonAllowed    = "a rule allows it"
	reasonMatcher    = "the matcher allows it"
	reasonDenied     = "a rule denies it"
	reasonNone       = "no rule allows it"
	reasonIncomplete = "the request is incomplete"
	reasonMatcherNo  = "the model has no such matcher"
	reasonEmpty      = "the policy has no rules"
	reasonDefault    = "no rule denies it"
	reasonFailed     = "a rule could not be evaluated"
)

// Rule is the line of the policy that decided, such as
// "p, owner, *, file, read", or empty where none did.
func (d Decision) Rule() string {
	if d.rule == 0 {
		return ""
	}
	return Rule{Kind: d.snapshot.m.rules[d.kind].name, Fields: d.snapshot.rules[d.kind].values(d.rule - 1)}.String()
}

// Line is where the rule stands in the policy file, from 1, or 0.
func (d Decision) Line() int {
	if d.rule == 0 {
		return 0
	}
	return int(d.snapshot.rules[d.kind].meta(d.rule - 1).line)
}

// RolePath is how the subject comes to the rule's subject: itself, then each
// role. It is nil where no rule decided.
func (d Decision) RolePath() []string {
	if d.rule == 0 {
		return nil
	}
	if d.plan == nil || d.plan.subject < 0 {
		return []string{d.subject}
	}
	slot := d.plan.slots[d.plan.subject]
	list := d.snapshot.reached(slot.role, d.subject, d.domain, &d.now)
	want := d.snapshot.rules[d.kind].values(d.rule - 1)[slot.rule]
	t := d.snapshot.graphs[slot.role].kind
	i := slices.IndexFunc(list, func(v reached) bool { return t.matches(v.name, want) })
	var path []string
	for ; i >= 0; i = list[i].parent {
		path = append(path, list[i].name)
	}
	slices.Reverse(path)
	return path
}

// An Engine answers requests by a policy. Readers are never blocked; it is
// safe for concurrent use.
type Engine struct {
	rec     auditlog.Recorder
	model   *model
	mu      sync.Mutex // held while the policy changes
	current atomic.Pointer[snapshot]
	stale   atomic.Pointer[error]
}

// New loads a model and a policy, as casbin writes them. What is not
// understood is an error that says where: of the model [ErrModel], of the
// policy [ErrPolicy].
func New(modelText, policyText string, rec auditlog.Recorder, o Options) (*Engine, error) {
	if rec == nil {
		return nil, errors.New("authz: New needs a recorder")
	}
	m, err := parseModel(modelText, o)
	if err != nil {
		return nil, err
	}
	list, err := ParsePolicy(policyText)
	if err != nil {
		return nil, err
	}
	s, err := load(m, list)
	if err != nil {
		return nil, err
	}
	s.version = 1
	e := &Engine{rec: rec, model: m}
	e.current.Store(s)
	return e, nil
}

// Decide answers a request. It has no effects and allocates nothing, except
// for subjects with more than 12 roles, rules that call functions, and
// regular expressions.
func (e *Engine) Decide(r Request) (out Decision) {
	s := e.current.Load()
	var d decider
	d.s = s
	i := s.m.matcher(r.Matcher)
	if i < 0 {
		return Decision{PolicyVersion: s.version, Reason: reasonMatcherNo}
	}
	d.m, d.number = &s.m.matchers[i], none
	if !d.q.fill(&r, d.m.request) {
		return Decision{PolicyVersion: s.version, Reason: reasonIncomplete}
	}
	d.decide(i, &out)
	return out
}

// Raw answers a request given as casbin takes it: values in the order of the
// model's request definition, which may be text, numbers, and structs or maps
// with attributes.
func (e *Engine) Raw(values ...any) Decision { return e.RawAs("", values...) }

// RawAs is [Engine.Raw] with another matcher of the model, such as "m2".
func (e *Engine) RawAs(matcher string, values ...any) (out Decision) {
	s := e.current.Load()
	var d decider
	d.s = s
	i := s.m.matcher(matcher)
	if i < 0 {
		return Decision{PolicyVersion: s.version, Reason: reasonMatcherNo}
	}
	d.m, d.number = &s.m.matchers[i], none
	if !d.q.fillRaw(values, d.m.request) {
		return Decision{PolicyVersion: s.version, Reason: reasonIncomplete}
	}
	d.decide(i, &out)
	return out
}

// Batch answers requests by one and the same version of the policy.
func (e *Engine) Batch(list []Request) []Decision {
	fixed := e.at(e.current.Load())
	out := make([]Decision, len(list))
	for i := range list {
		out[i] = fixed.Decide(list[i])
	}
	return out
}

// decide fills a zero decision.
func (d *decider) decide(matcher int, out *Decision) {
	out.PolicyVersion, out.Reason = d.s.version, reasonNone
	d.run(matcher)
	switch {
	case d.err != nil:
		out.Reason = reasonFailed
		return
	case d.found && d.effect == effectDeny:
		out.Reason = reasonDenied
	case d.found:
		out.Allowed, out.Reason = true, reasonAllowed
		if d.number == none {
			out.Reason = reasonMatcher
			return
		}
	case d.m.effect == denyOverride:
		if out.Reason = reasonEmpty; d.s.rules[d.m.rules].count > 0 {
			out.Allowed, out.Reason = true, reasonDefault
		}
		return
	default:
		return
	}
	out.snapshot, out.plan, out.kind, out.rule = d.s, d.by, uint8(d.m.rules), d.number+1 //nolint:gosec // few rule types
	out.now = d.now
	at := &d.m.request.standard
	if at[0] >= 0 {
		out.subject = d.q.text[at[0]]
	}
	if d.by != nil && d.by.subject >= 0 {
		if i := d.by.slots[d.by.subject].domain; i >= 0 {
			out.domain = d.q.text[i]
		}
	}
}

// Authorize answers a request and records the answer. An answer that can't be
// recorded is an error and a denial.
func (e *Engine) Authorize(ctx context.Context, r Request) (Decision, error) {
	d := e.Decide(r)
	outcome, reason := auditlog.Denied, "authz.policy"
	if d.Allowed {
		outcome, reason = auditlog.Success, ""
	}
	attrs := []auditlog.Attr{
		auditlog.String("object", clip(r.Object)), auditlog.String("act", clip(r.Action)),
		auditlog.Int("version", int64(d.PolicyVersion)), auditlog.String("why", d.Reason), //nolint:gosec // a counter
	}
	if rule := d.Rule(); rule != "" {
		attrs = append(attrs, auditlog.String("rule", clip(rule)))
	}
	if r.ID != "" {
		attrs = append(attrs, auditlog.String("decision", clip(r.ID)))
	}
	ev := auditlog.Event{Action: "authz.decide", Outcome: outcome, Tenant: r.Domain, Reason: reason, Attrs: attrs}
	if r.Subject != auditlog.ActorFrom(ctx).ID { // asked about somebody else
		ev.Targets = []auditlog.Target{{Type: "subject", ID: clip(r.Subject)}}
	}
	err := e.rec.Record(ctx, ev)
	if err != nil {
		return Decision{PolicyVersion: d.PolicyVersion, Reason: "the decision could not be recorded"}, fmt.Errorf("authz: %w", err)
	}
	return d, nil
}

// Roles lists the roles a subject has in a domain, directly or through others.
func (e *Engine) Roles(domain, subject string) []string {
	s := e.current.Load()
	if s.m.subjects < 0 {
		return nil
	}
	var now clock
	var list []string
	for _, v := range s.reached(s.m.subjects, subject, domain, &now)[1:] {
		list = append(list, v.name)
	}
	slices.Sort(list)
	return list
}
