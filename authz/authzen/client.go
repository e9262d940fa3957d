package authzen

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/internal/outbound"
	"github.com/surety-go/surety/internal/strictjson"
)

// ClientOptions adapt a Client.
type ClientOptions struct {
	// Authorize adds what the decision point knows this program by to a
	// request, such as a bearer token.
	Authorize func(*http.Request) error
	// Transport sends requests; nil is a client that reaches public https
	// hosts only. A decision point inside is reached by naming its transport.
	Transport http.RoundTripper
}

// A Client asks a decision point.
type Client struct {
	base string
	rec  auditlog.Recorder
	o    ClientOptions
	own  *outbound.Client
}

// NewClient returns a client of the decision point at a URL.
func NewClient(base string, rec auditlog.Recorder, o ClientOptions) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" || rec == nil {
		return nil, errors.New("authzen: NewClient needs an https URL and a recorder")
	}
	c := &Client{base: strings.TrimSuffix(base, "/"), rec: rec, o: o}
	if o.Transport == nil {
		if c.own, err = outbound.New(outbound.Options{}); err != nil {
			return nil, fmt.Errorf("authzen: %w", err)
		}
		c.o.Transport = c.own
	}
	return c, nil
}

// Close closes connections that the client opened by itself.
func (c *Client) Close() {
	if c.own != nil {
		c.own.Close()
	}
}

// Evaluate asks for one decision. Everything but a decision is
// [ErrUnavailable], with the zero Decision, which denies.
func (c *Client) Evaluate(ctx context.Context, e Evaluation) (Decision, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+EvaluationPath, bytes.NewReader(body))
	if err != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	id := rand.Text()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("X-Request-ID", id)
	if c.o.Authorize != nil {
		if err := c.o.Authorize(r); err != nil {
			return Decision{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return c.send(r)
}

func (c *Client) send(r *http.Request) (Decision, error) {
	answer, err := c.o.Transport.RoundTrip(r)
	if err != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	if answer.StatusCode != http.StatusOK {
		return Decision{}, fmt.Errorf("%w: status %d", ErrUnavailable, answer.StatusCode)
	}
	var out map[string]any
	if err := strictjson.Decode(answer.Body, maxBody, &out); err != nil {
		return Decision{}, fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrMalformed, err)
	}
	decision, ok := out["decision"].(bool)
	if !ok {
		return Decision{}, fmt.Errorf("%w: %w: decision is missing or neither true nor false", ErrUnavailable, ErrMalformed)
	}
	about, _ := out["context"].(map[string]any)
	return Decision{decision, about}, nil
}

// A Resourcer names the resource of a call.
type Resourcer func(ctx context.Context, call *guard.Call) Entity

// Resource is a resource of a type whose id is a parameter of the route.
func Resource(typ, param string) Resourcer {
	return func(_ context.Context, call *guard.Call) Entity { return Entity{Type: typ, ID: call.Param(param)} }
}

// Require returns the guard of phase authorise that admits callers whom the
// decision point allows an action. Without an identity a call is answered
// 401 (Unauthenticated), a denial 403 (PermissionDenied) with the decision's
// id, and no decision 503 (Unavailable).
func (c *Client) Require(action string, resource Resourcer) guard.Guard {
	return &require{c, action, resource}
}

type require struct {
	client   *Client
	action   string
	resource Resourcer
}

func (r *require) Phase() guard.Phase { return guard.Authorise }

func (r *require) Validate() error {
	if r.client == nil || r.action == "" || r.resource == nil {
		return errors.New("authzen: Require needs a client, an action and a resource")
	}
	return nil
}

func (r *require) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	return ctx, r.admit(ctx, call)
}

// Readmit asks again while a stream goes on.
func (r *require) Readmit(ctx context.Context, call *guard.Call) error { return r.admit(ctx, call) }

func (r *require) admit(ctx context.Context, call *guard.Call) error {
	p, ok := authn.FromContext(ctx)
	if !ok {
		return &guard.Denial{Control: "authn.required", Code: guard.Unauthenticated, Public: "Sign in to continue."}
	}
	e := Evaluation{
		Subject: Entity{Type: "user", ID: p.ID, Properties: map[string]any{"tenant": p.Tenant}},
		Action:  Action{Name: r.action}, Resource: r.resource(ctx, call),
	}
	d, err := r.client.Evaluate(ctx, e)
	id, _ := d.Context["id"].(string)
	if len(id) > maxRequestID {
		id = id[:maxRequestID]
	}
	if err == nil && d.Decision {
		call.Attr(auditlog.String("decision", id))
		return nil
	}
	reason := "authz.policy"
	if err != nil {
		reason = "authz.unavailable"
	}
	recorded := r.client.rec.Record(ctx, auditlog.Event{
		Action: "authz.decide", Outcome: auditlog.Denied, Tenant: p.Tenant, Reason: reason,
		Attrs: []auditlog.Attr{auditlog.String("act", r.action), auditlog.String("decision", id)},
	})
	if err != nil || recorded != nil {
		return errors.Join(err, recorded) // no denial: 503
	}
	return &guard.Denial{
		Control: "authz.policy", Code: guard.PermissionDenied, Public: "You may not do this.",
		Details: map[string]any{"decision": id},
	}
}

func (r *require) Controls() []controls.Control { return r.client.Controls() }

// Controls describes the decision point. The probe asks about nothing known:
// an allow, or no answer, fails.
func (c *Client) Controls() []controls.Control {
	return []controls.Control{{
		ID: "authz.policy", Instance: "authzen",
		Parameters: []controls.Parameter{controls.Text("default", "deny")},
		Probe: func(ctx context.Context) controls.Result {
			nobody := Entity{Type: "probe", ID: "probe-" + rand.Text()}
			d, err := c.Evaluate(ctx, Evaluation{Subject: nobody, Action: Action{Name: "probe"}, Resource: nobody})
			switch {
			case err != nil:
				return controls.Errored("%v", err)
			case d.Decision:
				return controls.Failed("the decision point allows what it can't know")
			}
			return controls.Passed("the decision point denies what it can't know")
		},
	}}
}
