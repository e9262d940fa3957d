package dsr

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/record"
)

// KeySize is the size of a desk's key, in bytes.
const KeySize = record.KeySize

// Options are the options of a [Desk].
type Options struct {
	// Levels overrides how sure a desk must be who asks, by kind.
	Levels map[Kind]Level
	// Recipients lists who was given a person's data, as the disclosure
	// register knows; nil means that no one ever is, which shows in evidence.
	Recipients func(ctx context.Context, tenant, subject string) ([]string, error)
}

// A Desk takes requests in and sees them through. It is safe for concurrent
// use, also by several processes on one store.
type Desk struct {
	book    *record.Book[Request]
	rec     auditlog.Recorder
	tenants func(context.Context) ([]string, error)
	regimes map[string]Regime
	o       Options
	now     func() time.Time
}

// New makes a desk. The key, KeySize random bytes, is kept apart from the
// store; tenants lists whose requests [Desk.Sweep] and the probe look at.
func New(store record.Store, key []byte, rec auditlog.Recorder, tenants func(context.Context) ([]string, error), regimes []Regime, o Options) (*Desk, error) {
	if store == nil || rec == nil || tenants == nil || len(regimes) == 0 {
		return nil, fmt.Errorf("%w: New needs a store, a recorder, the tenants and a regime", ErrConfig)
	}
	book, err := record.NewBook[Request](store, key, "request")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	d := &Desk{book, rec, tenants, map[string]Regime{}, o, time.Now}
	for _, g := range regimes {
		if err := g.validate(); err != nil {
			return nil, err
		}
		if _, dup := d.regimes[g.Name]; dup {
			return nil, fmt.Errorf("%w: regime %q stands twice", ErrConfig, g.Name)
		}
		d.regimes[g.Name] = g
	}
	return d, nil
}

func (d *Desk) level(k Kind) Level {
	if l, ok := d.o.Levels[k]; ok {
		return l
	}
	return levels[k]
}

// Open takes a request in. One that needs no proof of identity is active at
// once.
func (d *Desk) Open(ctx context.Context, a Ask) (Request, error) {
	if err := a.validate(); err != nil {
		return Request{}, err
	}
	g, ok := d.regimes[a.Regime]
	if !ok {
		return Request{}, fmt.Errorf("%w: Regime is none of the desk's", ErrAsk)
	}
	if err := d.appealable(ctx, a); err != nil {
		return Request{}, err
	}
	now := d.now().UTC().Truncate(time.Microsecond)
	if a.At.IsZero() {
		a.At = now
	}
	if a.At.After(now) {
		return Request{}, fmt.Errorf("%w: At lies in the future", ErrAsk)
	}
	r := &Request{
		ID: rand.Text(), Tenant: a.Tenant, Subject: a.Subject, Kind: a.Kind, Regime: a.Regime, Channel: a.Channel,
		Agent: a.Agent, About: a.About, State: Received, Received: a.At.UTC(), ReceivedOn: DateOf(a.At, g.Calendar.zone()),
	}
	if r.Channel == "" {
		r.Channel = "web"
	}
	if by, ok := g.confirmBy(r); ok {
		r.ConfirmBy = g.Calendar.end(by).UTC()
	}
	if d.level(a.Kind) == Unverified {
		r.State = Active
	}
	return d.save(ctx, r, "create", "", auditlog.String("kind", string(r.Kind)), auditlog.String("regime", r.Regime))
}

// appealable checks that an appeal is about the person's own refused request.
func (d *Desk) appealable(ctx context.Context, a Ask) error {
	if a.Kind != Appeal {
		return nil
	}
	about, err := d.Get(ctx, a.Tenant, a.About)
	if err != nil {
		return err
	}
	if about.Subject != a.Subject || about.State != Refused {
		return fmt.Errorf("%w: About: only one's own refused request can be appealed", ErrAsk)
	}
	return nil
}

// Get returns a request.
func (d *Desk) Get(ctx context.Context, tenant, id string) (Request, error) {
	if tenant == "" || id == "" {
		return Request{}, fmt.Errorf("%w: tenant and id must not be empty", ErrAsk)
	}
	e, err := d.book.Load(ctx, tenant, id)
	if err != nil {
		return Request{}, fmt.Errorf("dsr: %w", err)
	}
	return e.Value, nil
}

// List returns a tenant's requests by due time, or the open ones alone.
func (d *Desk) List(ctx context.Context, tenant string, openOnly bool) ([]Request, error) {
	return d.list(ctx, tenant, record.Filter{OpenOnly: openOnly})
}

// ListOf returns the requests of one person, by due time.
func (d *Desk) ListOf(ctx context.Context, tenant, subject string) ([]Request, error) {
	if subject == "" {
		return nil, fmt.Errorf("%w: subject must not be empty", ErrAsk)
	}
	return d.list(ctx, tenant, record.Filter{Subject: subject})
}

func (d *Desk) list(ctx context.Context, tenant string, f record.Filter) ([]Request, error) {
	entries, err := d.book.List(ctx, tenant, f)
	if err != nil {
		return nil, fmt.Errorf("dsr: %w", err)
	}
	list := make([]Request, len(entries))
	for i, e := range entries {
		list[i] = e.Value
	}
	slices.SortStableFunc(list, func(a, b Request) int { return a.Due.Compare(b.Due) })
	return list, nil
}

// change loads a request, lets f change it and saves it.
func (d *Desk) change(ctx context.Context, tenant, id, action, reason string, f func(*Request) error, attrs ...auditlog.Attr) (Request, error) {
	if len(reason) > auditlog.MaxName {
		return Request{}, fmt.Errorf("%w: the reason has more than %d bytes", ErrAsk, auditlog.MaxName)
	}
	r, err := d.Get(ctx, tenant, id)
	if err != nil {
		return Request{}, err
	}
	if err := f(&r); err != nil {
		return Request{}, err
	}
	return d.save(ctx, &r, action, reason, attrs...)
}

// save records and stores the next version of a request. The event comes
// first: a step that nobody recorded must not count. If the store then fails,
// the log shows a step that the register does not, never the reverse.
func (d *Desk) save(ctx context.Context, r *Request, action, reason string, attrs ...auditlog.Attr) (Request, error) {
	g, ok := d.regimes[r.Regime]
	if !ok {
		return Request{}, fmt.Errorf("%w: the desk has no regime %q any more", ErrConfig, r.Regime)
	}
	now := d.now().UTC().Truncate(time.Microsecond)
	r.Version++
	r.Due = g.Calendar.end(g.due(r)).UTC()
	r.Steps = append(slices.Clone(r.Steps), Step{now, auditlog.ActorFrom(ctx).ID, action, reason})
	if !r.State.Open() && r.Closed.IsZero() {
		r.Closed = now
	}
	attrs = append(attrs, auditlog.String("state", string(r.State)), auditlog.Time("due", r.Due), auditlog.Int("version", r.Version))
	if reason != "" {
		attrs = append(attrs, auditlog.String("because", reason))
	}
	err := d.rec.Record(ctx, auditlog.Event{
		Action: "privacy.request." + action, Outcome: auditlog.Success, Tenant: r.Tenant,
		Targets: []auditlog.Target{{Type: "request", ID: r.ID}, {Type: "subject", ID: r.Subject}}, Attrs: attrs,
	})
	if err != nil {
		return Request{}, fmt.Errorf("dsr: %w", err)
	}
	e := record.Entry[Request]{Tenant: r.Tenant, ID: r.ID, Version: r.Version, Subject: r.Subject, Open: r.State.Open(), Value: *r}
	if err := d.book.Save(ctx, e); err != nil {
		return Request{}, fmt.Errorf("dsr: %w", err)
	}
	return *r, nil
}

// move changes the state, if that may be.
func (r *Request) move(to State) error {
	if !slices.Contains(next[r.State], to) {
		return fmt.Errorf("%w: a request that is %s can't become %s", ErrState, r.State, to)
	}
	r.State = to
	return nil
}

// Confirm notes that the person was told that the request came in.
func (d *Desk) Confirm(ctx context.Context, tenant, id string) (Request, error) {
	return d.change(ctx, tenant, id, "confirm", "", func(r *Request) error {
		if !r.State.Open() || !r.Confirmed.IsZero() {
			return fmt.Errorf("%w: it is closed or confirmed", ErrState)
		}
		r.Confirmed = d.now().UTC().Truncate(time.Microsecond)
		return nil
	})
}

// Extend puts the answer off by what the regime allows. It must happen, and
// the person be told with the reason, before the first term ends.
func (d *Desk) Extend(ctx context.Context, tenant, id, reason string) (Request, error) {
	if reason == "" {
		return Request{}, fmt.Errorf("%w: putting off needs a reason", ErrAsk)
	}
	return d.change(ctx, tenant, id, "extend", reason, func(r *Request) error {
		switch {
		case !r.State.Open() || r.Extended:
			return fmt.Errorf("%w: it is closed or was put off before", ErrState)
		case !d.regimes[r.Regime].extendable(r.Kind):
			return fmt.Errorf("%w: %s does not let %s be put off", ErrState, r.Regime, r.Kind)
		case !d.now().Before(r.Due):
			return fmt.Errorf("%w: the first term has ended", ErrState)
		}
		r.Extended = true
		return nil
	})
}

// Told notes that a recipient of the person's data was told of the outcome,
// and where its receipt is kept.
func (d *Desk) Told(ctx context.Context, tenant, id, recipient, receipt string) (Request, error) {
	if recipient == "" || receipt == "" || len(recipient)+len(receipt) > auditlog.MaxName {
		return Request{}, fmt.Errorf("%w: recipient and receipt: want 1 to %d bytes together", ErrAsk, auditlog.MaxName)
	}
	return d.change(ctx, tenant, id, "notify", "", func(r *Request) error {
		if r.State != Active {
			return fmt.Errorf("%w: it is %s", ErrState, r.State)
		}
		r.Recipients = slices.DeleteFunc(slices.Clone(r.Recipients), func(x Recipient) bool { return x.Name == recipient })
		r.Recipients = append(r.Recipients, Recipient{recipient, d.now().UTC().Truncate(time.Microsecond), receipt})
		return nil
	}, auditlog.String("recipient", recipient), auditlog.String("receipt", receipt))
}

// Untold lists the recipients that must be told before the request can be
// fulfilled.
func (d *Desk) Untold(ctx context.Context, r Request) ([]string, error) {
	if d.o.Recipients == nil || !tells[r.Kind] {
		return nil, nil
	}
	all, err := d.o.Recipients(ctx, r.Tenant, r.Subject)
	if err != nil {
		return nil, fmt.Errorf("%w: who they are can't be found out: %w", ErrRecipients, err)
	}
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return slices.ContainsFunc(r.Recipients, func(x Recipient) bool { return x.Name == name })
	}), nil
}

// Fulfil notes that a request was carried out, and where the answer is kept.
func (d *Desk) Fulfil(ctx context.Context, tenant, id, result string) (Request, error) {
	return d.change(ctx, tenant, id, "complete", result, func(r *Request) error {
		if r.Level < d.level(r.Kind) {
			return fmt.Errorf("%w: it is %s and must be %s", ErrIdentity, r.Level, d.level(r.Kind))
		}
		untold, err := d.Untold(ctx, *r)
		if err != nil {
			return err
		}
		if len(untold) > 0 {
			return fmt.Errorf("%w: %v", ErrRecipients, untold)
		}
		r.Result = result
		return r.move(Fulfilled)
	})
}

// Refuse closes a request on a ground the law names. The person is told the
// reason, that they may appeal, and where to complain.
func (d *Desk) Refuse(ctx context.Context, tenant, id string, ground Exception, reason string) (Request, error) {
	if !exceptions[ground] || reason == "" {
		return Request{}, fmt.Errorf("%w: refusing needs a ground of the law and a reason", ErrAsk)
	}
	return d.change(ctx, tenant, id, "refuse", reason, func(r *Request) error {
		r.Exception = ground
		return r.move(Refused)
	}, auditlog.String("exception", string(ground)))
}

// Withdraw closes a request that the person takes back.
func (d *Desk) Withdraw(ctx context.Context, tenant, id, reason string) (Request, error) {
	return d.change(ctx, tenant, id, "close", reason, func(r *Request) error { return r.move(Withdrawn) })
}

// Retry runs f again while it fails with [ErrConflict], at most 8 times: two
// people working on one request at once both get through.
func Retry(f func() error) error {
	var err error
	for range 8 {
		if err = f(); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return err
}
