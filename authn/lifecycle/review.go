package lifecycle

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// Seen notes a sign-in of an account, for Dormant. Call it after a login. An
// account that isn't a person's is no error.
func (m *Manager) Seen(ctx context.Context, tenant, id string) error {
	for range 8 {
		p, err := m.p.Store.Get(ctx, tenant, id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lifecycle: store: %w", err)
		}
		now := m.second()
		if now.Sub(p.Seen) < time.Hour {
			return nil
		}
		p.Seen = now
		p.Rev++
		if ok, err := m.p.Store.Update(ctx, p); err != nil || ok {
			return err //nolint:wrapcheck // says where it comes from
		}
	}
	return ErrState
}

// Dormant returns active people who have not signed in for Options.Dormant.
// Suspend them.
func (m *Manager) Dormant(ctx context.Context, tenant string) ([]Person, error) {
	list, err := m.List(ctx, tenant)
	if err != nil {
		return nil, err
	}
	limit := m.now().Add(-m.o.Dormant)
	return slices.DeleteFunc(list, func(p Person) bool {
		last := p.Since
		if p.Seen.After(last) {
			last = p.Seen
		}
		return p.State != Active || last.After(limit)
	}), nil
}

// An Overdue is somebody who leaves or has left and still has access.
type Overdue struct {
	Person Person
	Open   []string // the kinds of access; empty when only the last step is missing
}

// Overdue returns who has something open later than Options.Deadline after
// leaving.
func (m *Manager) Overdue(ctx context.Context, tenant string) ([]Overdue, error) {
	list, err := m.List(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var late []Overdue
	for _, p := range list {
		if p.State != Leaving && p.State != Left || m.now().Sub(p.Since) < m.o.Deadline {
			continue
		}
		open, err := m.stillOpen(ctx, &p)
		if err != nil {
			return late, err
		}
		if len(open) > 0 || p.State == Leaving {
			late = append(late, Overdue{p, open})
		}
	}
	return late, nil
}

// A Known is a person as an identity source has it.
type Known struct {
	External string
	Active   bool
}

// A Review is who differs between here and the identity source.
type Review struct {
	// Orphans have access here and are not active there.
	Orphans []Person
	// Missing are the external ids that are active there and unknown here.
	Missing []string
}

// Orphans compares with what an identity source says, and records the result.
func (m *Manager) Orphans(ctx context.Context, tenant string, source []Known) (Review, error) {
	list, err := m.List(ctx, tenant)
	if err != nil {
		return Review{}, err
	}
	active := map[string]bool{}
	for _, k := range source {
		active[k.External] = active[k.External] || k.Active
	}
	var r Review
	here := map[string]bool{}
	for _, p := range list {
		here[p.External] = true
		if (p.State == Active || p.State == Suspended) && (p.External == "" || !active[p.External]) {
			r.Orphans = append(r.Orphans, p)
		}
	}
	for _, k := range source {
		if k.Active && !here[k.External] {
			r.Missing = append(r.Missing, k.External)
		}
	}
	err = m.p.Recorder.Record(ctx, auditlog.Event{
		Action: "authn.lifecycle.review", Outcome: auditlog.Success, Tenant: tenant,
		Attrs: []auditlog.Attr{auditlog.Int("people", len(list)), auditlog.Int("orphans", len(r.Orphans)), auditlog.Int("missing", len(r.Missing))},
	})
	if err != nil {
		return r, fmt.Errorf("lifecycle: record: %w", err)
	}
	return r, nil
}

// A Change is what a feed did.
type Change struct{ Joined, Moved, Left int }

const (
	maxFeed = 16 << 20
	maxRows = 100_000
)

// Import takes the whole feed of a personnel system: CSV with the columns
// external_id, name, status (active or left) and roles, separated by spaces.
// Who has an external id here and is not in the feed, leaves. A feed that can't
// be read whole, or would remove too many, changes nothing.
func (m *Manager) Import(ctx context.Context, tenant string, feed io.Reader) (Change, error) {
	rows, err := m.readFeed(feed)
	if err != nil {
		return Change{}, err
	}
	list, err := m.List(ctx, tenant)
	if err != nil {
		return Change{}, err
	}
	here, members := map[string]Person{}, 0
	var leavers []Person
	for _, p := range list {
		if p.External == "" {
			continue
		}
		here[p.External] = p
		if p.State == Left || p.State == Leaving {
			continue
		}
		members++
		if row, ok := rows[p.External]; !ok || !row.active {
			leavers = append(leavers, p)
		}
	}
	if len(leavers) > 1 && len(leavers)*100 > members*m.o.MaxLeavers {
		err := m.p.Recorder.Record(ctx, auditlog.Event{
			Action: "authn.lifecycle.import", Outcome: auditlog.Denied, Reason: "authn.lifecycle.leavers", Tenant: tenant,
			Attrs: []auditlog.Attr{auditlog.Int("leavers", len(leavers)), auditlog.Int("people", members)},
		})
		return Change{}, errors.Join(fmt.Errorf("%w: it would remove %d of %d people: want at most %d %%", ErrFeed, len(leavers), members, m.o.MaxLeavers), err)
	}
	return m.apply(ctx, tenant, rows, here, leavers)
}

func (m *Manager) apply(ctx context.Context, tenant string, rows map[string]feedRow, here map[string]Person, leavers []Person) (Change, error) {
	var done Change
	var failed []error
	count := func(n *int, err error) {
		if err != nil {
			failed = append(failed, err)
			return
		}
		*n++
	}
	for _, p := range leavers { // first: what they have must end, whatever else fails
		count(&done.Left, m.Leave(ctx, tenant, p.ID, "feed"))
	}
	for external, row := range rows {
		p, known := here[external]
		switch {
		case !row.active:
		case !known:
			_, err := m.Join(ctx, Person{Tenant: tenant, External: external, Name: row.name, Roles: row.roles}, "feed")
			count(&done.Joined, err)
		case p.State == Active && !sameRoles(p.Roles, row.roles):
			count(&done.Moved, m.Move(ctx, tenant, p.ID, row.roles))
		}
	}
	failed = append(failed, m.p.Recorder.Record(ctx, auditlog.Event{
		Action: "authn.lifecycle.import", Outcome: auditlog.Success, Tenant: tenant,
		Attrs: []auditlog.Attr{auditlog.Int("joined", done.Joined), auditlog.Int("moved", done.Moved), auditlog.Int("left", done.Left), auditlog.Int("failed", len(failed))},
	}))
	return done, errors.Join(failed...)
}

// Join takes somebody from an identity source, "scim" or "feed": with
// Options.TrustSources the account opens at once, without it waits for an
// approval.
func (m *Manager) Join(ctx context.Context, p Person, source string) (Person, error) {
	p = prepared(p, source)
	if err := m.request(ctx, &p); err != nil || !m.o.TrustSources {
		return p, err
	}
	err := m.open(ctx, &p, "authn.lifecycle.approve")
	return p, err
}

func sameRoles(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

type feedRow struct {
	name   string
	active bool
	roles  []string
}

func (m *Manager) readFeed(feed io.Reader) (map[string]feedRow, error) {
	limited := &io.LimitedReader{R: feed, N: maxFeed + 1}
	r := csv.NewReader(limited)
	head, err := r.Read()
	if err != nil || strings.Join(head, ",") != "external_id,name,status,roles" {
		return nil, fmt.Errorf("%w: want the columns external_id, name, status, roles", ErrFeed)
	}
	rows := map[string]feedRow{}
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFeed, err)
		}
		line, _ := r.FieldPos(0)
		row := feedRow{rec[1], rec[2] == "active", strings.Fields(rec[3])}
		_, twice := rows[rec[0]]
		switch {
		case rec[0] == "" || twice || len(rows) == maxRows:
			return nil, fmt.Errorf("%w: line %d: the external id is empty or repeated, or there are too many", ErrFeed, line)
		case rec[2] != "active" && rec[2] != "left":
			return nil, fmt.Errorf("%w: line %d: status: want active or left", ErrFeed, line)
		case m.checkRoles(row.roles) != nil:
			return nil, fmt.Errorf("%w: line %d: %w", ErrFeed, line, ErrRole)
		}
		rows[rec[0]] = row
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFeed, maxFeed)
	}
	return rows, nil
}

// Controls describes joining and leaving. Its probe looks for people whose
// access outlived its deadline.
func (m *Manager) Controls() []controls.Control {
	names := make([]string, len(m.p.Enders))
	for i, e := range m.p.Enders {
		names[i] = e.Name
	}
	return []controls.Control{{
		ID: "authn.lifecycle",
		Parameters: []controls.Parameter{
			controls.Duration("deadline", m.o.Deadline), controls.Duration("dormant", m.o.Dormant), controls.Bool("trust_sources", m.o.TrustSources),
			controls.Int("max_leavers", m.o.MaxLeavers), controls.Text("ends", strings.Join(append(names, "roles"), " ")),
		},
		Probe: m.probe,
	}}
}

func (m *Manager) probe(ctx context.Context) controls.Result {
	if m.o.Tenants == nil {
		return controls.Errored("Options.Tenants is not set: nobody was looked at")
	}
	tenants, err := m.o.Tenants(ctx)
	if err != nil {
		return controls.Errored("the tenants: %v", err)
	}
	for _, t := range tenants {
		late, err := m.Overdue(ctx, t)
		if err != nil {
			return controls.Errored("%v", err)
		}
		if len(late) > 0 {
			return controls.Failed("%d who left have access, or are not done, after %v; the first has open: %s", len(late), m.o.Deadline, strings.Join(late[0].Open, " "))
		}
	}
	return controls.Passed("nobody who left has access after %v, in %d tenants", m.o.Deadline, len(tenants))
}
