package register

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/surety-go/surety/auditlog"
)

// ErrEgress says that data may not leave; errors.As gives the [*EgressError].
var ErrEgress = errors.New("register: egress denied")

// An EgressError says why data may not leave for a host.
type EgressError struct {
	Host, Category string
	Vendor         string // id of the vendor, when the host is known
	Why            string
}

// Error says it for logs.
func (e *EgressError) Error() string {
	return fmt.Sprintf("%v: %s to %s: %s", ErrEgress, e.Category, e.Host, e.Why)
}

// Unwrap returns ErrEgress.
func (e *EgressError) Unwrap() error { return ErrEgress }

// A Gate lets data leave for declared vendors only and records each decision.
type Gate struct {
	vendors *Vendors
	rec     auditlog.Recorder
}

// Gate returns the register's gate.
func (v *Vendors) Gate(rec auditlog.Recorder) (*Gate, error) {
	if rec == nil {
		return nil, errors.New("register: Gate needs a recorder")
	}
	return &Gate{v, rec}, nil
}

// Allow decides whether data of all these categories may leave for a host now,
// and records the decision. Without a category nothing may leave: data that is
// in no category is declared as one, such as "system.metrics". A decision that
// can't be recorded is a denial.
func (g *Gate) Allow(ctx context.Context, host string, categories ...string) error {
	err := g.decide(host, categories)
	ev := auditlog.Event{
		Action: "controls.vendor.egress", Outcome: auditlog.Success, Reason: "controls.register.vendor",
		Targets: []auditlog.Target{{Type: "host", ID: clip(strings.ToLower(host))}},
		Attrs:   []auditlog.Attr{auditlog.String("categories", clip(strings.Join(categories, " ")))},
	}
	if vendor := g.vendors.vendorOf(strings.ToLower(host)); vendor != nil {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "vendor", ID: vendor.ID})
	}
	var denied *EgressError
	if errors.As(err, &denied) {
		ev.Outcome = auditlog.Denied
		ev.Attrs = append(ev.Attrs, auditlog.String("why", denied.Why))
	}
	if rerr := g.rec.Record(ctx, ev); rerr != nil {
		return errors.Join(err, fmt.Errorf("%w: the decision can't be recorded: %w", ErrEgress, rerr))
	}
	return err
}

func (g *Gate) decide(host string, categories []string) error {
	if len(categories) == 0 {
		return &EgressError{Host: clip(host), Why: "no data category is stated"}
	}
	at := g.vendors.env.now()
	for _, c := range categories {
		if err := g.vendors.Check(host, c, at); err != nil {
			return err
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 128 {
		return strings.ToValidUTF8(s[:128], "") + "…"
	}
	return s
}

// Transport returns a RoundTripper that asks the gate before every request,
// redirects included, and then sends it with next. The categories say what the
// client's requests carry; [WithCategories] adds those of one request. Only
// https leaves, and only under the name that was asked about: a Host header
// that differs is denied.
func (g *Gate) Transport(next http.RoundTripper, categories ...string) http.RoundTripper {
	return &transport{g, next, slices.Clone(categories)}
}

type transport struct {
	gate       *Gate
	next       http.RoundTripper
	categories []string
}

type categoriesKey struct{}

// WithCategories states which data a request carries beyond what its client
// always sends.
func WithCategories(ctx context.Context, categories ...string) context.Context {
	before, _ := ctx.Value(categoriesKey{}).([]string)
	return context.WithValue(ctx, categoriesKey{}, append(slices.Clone(before), categories...))
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.admit(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper closes the body also on errors
		}
		return nil, err
	}
	return t.next.RoundTrip(req)
}

func (t *transport) admit(req *http.Request) error {
	host := req.URL.Hostname()
	more, _ := req.Context().Value(categoriesKey{}).([]string)
	if err := t.gate.Allow(req.Context(), host, append(slices.Clone(t.categories), more...)...); err != nil {
		return err
	}
	switch {
	case req.URL.Scheme != "https":
		return &EgressError{Host: clip(host), Why: "only https leaves"}
	case req.Host != "" && !strings.EqualFold(req.Host, req.URL.Host):
		return &EgressError{Host: clip(host), Why: "the Host header names another host"}
	}
	return nil
}
