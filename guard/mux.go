package guard

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/surety-go/surety/controls"
)

// A Route is one operation of a service and the guards of its own.
type Route struct {
	// Pattern is a pattern of [http.ServeMux], or a full gRPC method such as
	// "/records.v1.Records/Read".
	Pattern string
	// Action names the operation independently of the transport, in the form
	// of an audit action: "records.read".
	Action string
	// Stream says that the call may last: guards are asked again while it
	// runs.
	Stream bool
	// Guards run after the base guards of the same phase.
	Guards []Guard
	// Handler serves the route; nil for gRPC methods.
	Handler http.Handler
}

// A Table is a checked set of routes with the chain of each. NewMux and
// guard/guardgrpc are built on it.
type Table struct {
	base   *Chain
	routes []Route
	chains []*Chain
}

// NewTable checks the base guards and the routes and merges them into one
// chain per route, ordered by phase, base guards first. It fails with
// [ErrConfig] unless the base has an [Audit] guard, every route has a pattern
// of its own, an action, and an authorising guard or [Public].
func NewTable(base []Guard, routes ...Route) (*Table, error) {
	chain, err := New(base...)
	if err != nil {
		return nil, fmt.Errorf("base guards: %w", err)
	}
	if !slices.ContainsFunc(base, func(g Guard) bool { _, ok := g.(*Auditor); return ok }) {
		return nil, fmt.Errorf("%w: base guards: guard.Audit is missing", ErrConfig)
	}
	t := &Table{base: chain, routes: slices.Clone(routes)}
	seen := make(map[string]bool, len(routes))
	for _, r := range routes {
		if seen[r.Pattern] {
			return nil, fmt.Errorf("%w: route %q stands twice", ErrConfig, r.Pattern)
		}
		seen[r.Pattern] = true
		c, err := t.chain(r)
		if err != nil {
			return nil, err
		}
		t.chains = append(t.chains, c)
	}
	return t, nil
}

func (t *Table) chain(r Route) (*Chain, error) {
	if r.Pattern == "" || !controls.ValidID(r.Action) {
		return nil, fmt.Errorf("%w: route %q: want a pattern and an action such as records.read, not %q", ErrConfig, r.Pattern, r.Action)
	}
	if _, err := New(r.Guards...); err != nil {
		return nil, fmt.Errorf("route %q: %w", r.Pattern, err)
	}
	all := slices.Concat(t.base.guards, r.Guards)
	slices.SortStableFunc(all, func(a, b Guard) int { return int(a.Phase()) - int(b.Phase()) })
	deciding, open := 0, 0
	for _, g := range all {
		if g.Phase() == Authorise {
			deciding++
		}
		if _, ok := g.(public); ok {
			open++
		}
	}
	if deciding == 0 {
		return nil, fmt.Errorf("%w: route %q has no authorising guard: add one, or guard.Public with the reason", ErrConfig, r.Pattern)
	}
	if open > 0 && deciding > 1 {
		return nil, fmt.Errorf("%w: route %q is public and has another authorising guard", ErrConfig, r.Pattern)
	}
	return New(all...)
}

// Base returns the chain of the base guards.
func (t *Table) Base() *Chain { return t.base }

// Routes lists the routes in the order they were given.
func (t *Table) Routes() []Route { return slices.Clone(t.routes) }

// Chain returns the chain of the i-th route.
func (t *Table) Chain(i int) *Chain { return t.chains[i] }

// Controls lists the controls of all guards, each once, and the table's own:
// guard.routes, whose probe calls every route that is not public as nobody.
func (t *Table) Controls() []controls.Control {
	list := []controls.Control{{
		ID: "guard.routes",
		Parameters: []controls.Parameter{
			controls.Int("routes", len(t.routes)),
			controls.Int("public_routes", len(t.public())),
			controls.Text("public", strings.Join(t.public(), "; ")),
		},
		Probe: t.probe,
	}}
	list = append(list, t.base.Controls()...)
	seen := make(map[Guard]bool)
	for _, r := range t.routes {
		for _, g := range r.Guards {
			if hashable(g) && seen[g] {
				continue
			}
			if hashable(g) {
				seen[g] = true
			}
			list = append(list, g.Controls()...)
		}
	}
	return list
}

// public lists the public routes with their reasons.
func (t *Table) public() []string {
	var list []string
	for i, r := range t.routes {
		for _, g := range t.chains[i].guards {
			if p, ok := g.(public); ok {
				list = append(list, r.Pattern+": "+string(p))
			}
		}
	}
	return list
}

// probe asks the authorising guards of every guarded route about a caller
// without an identity. Any that lets it through is a hole.
func (t *Table) probe(ctx context.Context) controls.Result {
	asked := 0
	for i, r := range t.routes {
		decided := false
		for _, g := range t.chains[i].guards {
			if _, ok := g.(public); ok {
				decided = true
			}
			if g.Phase() != Authorise || decided {
				continue
			}
			call := Synthetic(r.Pattern, r.Action, nil)
			if _, err := g.Admit(WithCall(ctx, call), call); err != nil {
				decided = true
				asked++
			}
		}
		if !decided {
			return controls.Failed("route %s let a caller without an identity through", r.Pattern)
		}
	}
	return controls.Passed("%d guarded routes refused a caller without an identity; %d routes are public by declaration", asked, len(t.routes)-asked)
}

// A Mux serves a table of routes over HTTP.
type Mux struct {
	*Table
	mux *http.ServeMux
}

// NewMux makes an HTTP handler of routes, each behind its guards; see
// [NewTable] for what it refuses.
func NewMux(base []Guard, routes ...Route) (*Mux, error) {
	t, err := NewTable(base, routes...)
	if err != nil {
		return nil, err
	}
	m := &Mux{Table: t, mux: http.NewServeMux()}
	for i, r := range routes {
		if r.Handler == nil {
			return nil, fmt.Errorf("%w: route %q has no handler", ErrConfig, r.Pattern)
		}
		if err := m.handle(r, t.chains[i]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// handle registers a route; http.ServeMux panics on a bad or conflicting
// pattern, and a mistake in a table is an error here.
func (m *Mux) handle(r Route, c *Chain) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: route %q: %v", ErrConfig, r.Pattern, p)
		}
	}()
	m.mux.Handle(r.Pattern, &httpHandler{chain: c, next: r.Handler, op: r.Pattern, action: r.Action, stream: r.Stream})
	return nil
}

// ServeHTTP serves a request. What matches no route, and ServeMux's own
// redirects, pass the base guards too: a scanner is seen and limited as
// anyone else.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, _ := m.mux.Handler(r)
	if _, ours := h.(*httpHandler); ours {
		m.mux.ServeHTTP(w, r)
		return
	}
	unmatched := &httpHandler{chain: m.base, next: &noRoute{h}, action: "guard.route"}
	unmatched.ServeHTTP(w, r)
}

// noRoute answers for a path that has no route, or not for this method.
type noRoute struct{ mux http.Handler }

func (n *noRoute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := muxAnswer{header: make(http.Header)}
	n.mux.ServeHTTP(&answer, r)
	if answer.status < 400 { // a redirect to the clean path
		w.Header().Set("Location", answer.header.Get("Location"))
		w.WriteHeader(answer.status)
		return
	}
	d := &Denial{Control: "guard.route", Code: NotFound, Public: "There is nothing at this address."}
	if answer.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", answer.header.Get("Allow"))
		d = &Denial{
			Control: "guard.route", Code: Unimplemented, Status: answer.status,
			Public: "This address does not answer to the method " + strconv.Quote(clip(r.Method)) + ".",
		}
	}
	Refuse(w, r, d)
}

// muxAnswer takes down what http.ServeMux says about an unmatched request.
type muxAnswer struct {
	header http.Header
	status int
}

func (a *muxAnswer) Header() http.Header         { return a.header }
func (a *muxAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (a *muxAnswer) WriteHeader(status int)      { a.status = status }

func clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}

// hashable reports whether a guard can be a map's key, as pointers can.
func hashable(g Guard) bool { return reflect.TypeOf(g).Comparable() }
