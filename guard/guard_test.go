package guard_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

func TestChainInTheWrongOrderDoesNotConstruct(t *testing.T) {
	_, err := guard.New(&testGuard{phase: guard.Authorise}, &testGuard{phase: guard.Network})
	if !errors.Is(err, guard.ErrConfig) {
		t.Fatalf("New = %v, want ErrConfig", err)
	}
	contains(t, "error", err.Error(), "network", "authorise", "guard 1")
}

func TestNewRefuses(t *testing.T) {
	cases := map[string][]guard.Guard{
		"nil":        {nil},
		"no phase":   {&testGuard{}},
		"bad phase":  {&testGuard{phase: 99}},
		"invalid":    {&testGuard{phase: guard.Network, invalid: errors.New("limit is zero")}},
		"no reason":  {guard.Public("")},
		"no auditor": {guard.Audit(nil)},
	}
	for name, guards := range cases {
		if _, err := guard.New(guards...); !errors.Is(err, guard.ErrConfig) {
			t.Errorf("%s: New = %v, want ErrConfig", name, err)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	rec := &recorder{}
	base := []guard.Guard{guard.Audit(rec)}
	h := text("x")
	ok := guard.Route{Pattern: "GET /a", Action: "a.read", Guards: []guard.Guard{guard.Public("test")}, Handler: h}
	with := func(change func(*guard.Route)) guard.Route { r := ok; change(&r); return r }
	cases := []struct {
		says   string
		base   []guard.Guard
		routes []guard.Route
	}{
		{"Audit is missing", nil, []guard.Route{ok}},
		{"authorising guard", base, []guard.Route{with(func(r *guard.Route) { r.Guards = nil })}},
		{"no handler", base, []guard.Route{with(func(r *guard.Route) { r.Handler = nil })}},
		{"action", base, []guard.Route{with(func(r *guard.Route) { r.Action = "Read" })}},
		{"pattern", base, []guard.Route{with(func(r *guard.Route) { r.Pattern = "" })}},
		{"twice", base, []guard.Route{ok, ok}},
		{"conflict", base, []guard.Route{with(func(r *guard.Route) { r.Pattern = "GET /{x}/b" }), with(func(r *guard.Route) { r.Pattern = "GET /a/{y}" })}},
		{"public and has another", base, []guard.Route{with(func(r *guard.Route) { r.Guards = append(r.Guards, denyAll()) })}},
		{"stands after", base, []guard.Route{with(func(r *guard.Route) { r.Guards = append(r.Guards, &testGuard{phase: guard.Network}) })}},
		{"bad pattern", base, []guard.Route{with(func(r *guard.Route) { r.Pattern = "GET nowhere" })}},
	}
	for _, tc := range cases {
		_, err := guard.NewMux(tc.base, tc.routes...)
		if !errors.Is(err, guard.ErrConfig) {
			t.Errorf("%s: NewMux = %v, want ErrConfig", tc.says, err)
			continue
		}
		if tc.says != "conflict" && tc.says != "bad pattern" && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("error %q does not say %q", err, tc.says)
		}
	}
	if m, err := guard.NewMux(base, ok); err != nil || len(m.Routes()) != 1 {
		t.Errorf("a sound table: %v", err)
	}
}

func TestGuardsRunByPhaseBaseFirst(t *testing.T) {
	var ran []string
	note := func(name string, p guard.Phase) *testGuard {
		return &testGuard{name: name, phase: p, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) {
			ran = append(ran, name)
			return ctx, nil
		}}
	}
	m := mustMux(t, []guard.Guard{guard.Audit(&recorder{}), note("net", guard.Network), note("id", guard.Identify), note("auth", guard.Authorise)},
		guard.Route{
			Pattern: "GET /a", Action: "a.read", Handler: text("x"),
			Guards: []guard.Guard{note("net2", guard.Network), note("limit", guard.Limit), note("auth2", guard.Authorise)},
		})
	get(m, "GET", "/a")
	if got := strings.Join(ran, " "); got != "net net2 id limit auth auth2" {
		t.Errorf("guards ran in the order %q", got)
	}
}

func TestOutcomeOf(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	live := context.Background()
	cases := []struct {
		name   string
		ctx    context.Context
		err    error
		code   guard.Code
		status int
		result auditlog.Outcome
	}{
		{"nil", live, nil, guard.OK, 200, auditlog.Success},
		{"denial", live, &guard.Denial{Code: guard.ResourceExhausted}, guard.ResourceExhausted, 429, auditlog.Denied},
		{"denial without a code still denies", live, &guard.Denial{}, guard.PermissionDenied, 403, auditlog.Denied},
		{"denial with a status", live, &guard.Denial{Code: guard.ResourceExhausted, Status: 413}, guard.ResourceExhausted, 413, auditlog.Denied},
		{"denial with a status of success still denies", live, &guard.Denial{Status: 200}, guard.PermissionDenied, 403, auditlog.Denied},
		{"reply", live, &guard.Reply{Status: 204}, guard.OK, 204, auditlog.Success},
		{"store down", live, errors.New("refused"), guard.Unavailable, 503, auditlog.Failed},
		{"caller gone", ended, context.Canceled, guard.Canceled, 499, auditlog.Failed},
		{"a guard's own cancellation is no excuse", live, context.Canceled, guard.Unavailable, 503, auditlog.Failed},
	}
	for _, tc := range cases {
		o := guard.OutcomeOf(tc.ctx, tc.err)
		if o.Code != tc.code || o.Status != tc.status || o.Result() != tc.result {
			t.Errorf("%s: code %d, status %d, %v; want %d, %d, %v", tc.name, o.Code, o.Status, o.Result(), tc.code, tc.status, tc.result)
		}
	}
}

func TestNilContextDenies(t *testing.T) {
	c := mustChain(t, &testGuard{phase: guard.Network, admit: func(context.Context, *guard.Call) (context.Context, error) {
		return nil, nil //nolint:nilnil // the mistake under test
	}})
	if w := get(c.HTTP(text("in")), "GET", "/"); w.Code != 503 {
		t.Errorf("a guard that returned nothing let the call in: %d", w.Code)
	}
}

func TestAloneWithAnInvalidGuardRefusesEverything(t *testing.T) {
	h := guard.Alone(guard.Public(""), text("in"))
	if w := get(h, "GET", "/"); w.Code != 503 || strings.Contains(w.Body.String(), "reason") {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	if w := get(guard.Alone(guard.Public("test"), text("in")), "GET", "/"); w.Code != 200 || w.Body.String() != "in" {
		t.Errorf("a valid guard: %d %s", w.Code, w.Body)
	}
}

func TestRoutesProbeFindsAHole(t *testing.T) {
	base := []guard.Guard{guard.Audit(&recorder{})}
	public := guard.Route{Pattern: "GET /live", Action: "health.live", Handler: text("ok"), Guards: []guard.Guard{guard.Public("no credentials")}}
	closed := guard.Route{Pattern: "GET /a", Action: "a.read", Handler: text("x"), Guards: []guard.Guard{denyAll()}}
	open := guard.Route{Pattern: "GET /b", Action: "b.read", Handler: text("x"), Guards: []guard.Guard{&testGuard{name: "open", phase: guard.Authorise}}}

	run := func(routes ...guard.Route) controls.Result {
		list := mustMux(t, base, routes...).Controls()
		if list[0].ID != "guard.routes" {
			t.Fatalf("the first control is %s", list[0].ID)
		}
		return list[0].Run(t.Context())
	}
	if r := run(public, closed); r.State != controls.Pass {
		t.Errorf("sound routes: %v %s", r.State, r.Observed)
	}
	if r := run(public, closed, open); r.State != controls.Fail || !strings.Contains(r.Observed, "GET /b") {
		t.Errorf("a route that lets anyone in: %v %s", r.State, r.Observed)
	}
}

func TestControlsAreListedOnce(t *testing.T) {
	shared := denyAll()
	m := mustMux(t, []guard.Guard{guard.Audit(&recorder{})},
		guard.Route{Pattern: "GET /a", Action: "a.read", Handler: text("x"), Guards: []guard.Guard{shared}},
		guard.Route{Pattern: "GET /b", Action: "b.read", Handler: text("x"), Guards: []guard.Guard{shared}})
	count := map[string]int{}
	for _, c := range m.Controls() {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		count[c.Key()]++
	}
	for _, id := range []string{"guard.routes", "guard.audit", "test.deny"} {
		if count[id] != 1 {
			t.Errorf("%s stands %d times", id, count[id])
		}
	}
}

func TestCallCarriesTheActor(t *testing.T) {
	actor := auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}
	c := mustChain(t, &testGuard{phase: guard.Identify, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		call.Actor = actor
		return ctx, nil
	}})
	var got auditlog.Actor
	get(c.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = auditlog.ActorFrom(r.Context()) })), "GET", "/")
	if got != actor {
		t.Errorf("events of the handler are by %+v", got)
	}
	if guard.CallFrom(context.Background()) != nil {
		t.Error("a context without a call has one")
	}
}
