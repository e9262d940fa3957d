package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// maxObserved is how much of an observation the history keeps.
const maxObserved = 512

// Run probes the controls with the given IDs now, or every control when none
// is given, side by side as far as Options.Parallel allows, and returns the
// entries by control. An ID that no control has is an error that wraps
// [ErrUnknown]. Any other error says that the history or the log could not
// take an entry, or that a finding could not be raised; results that are no
// pass are no error.
func (m *Monitor) Run(ctx context.Context, ids ...string) ([]Entry, error) {
	if auditlog.ActorFrom(ctx).IsZero() {
		ctx = m.actor(ctx, auditlog.System)
	}
	all := m.list()
	list, err := only(all, ids)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(list))
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, c := range list {
		wg.Go(func() {
			m.slots <- struct{}{}
			defer func() { <-m.slots }()
			entries[i], errs[i] = m.run(ctx, c)
		})
	}
	wg.Wait()
	return entries, errors.Join(append(errs, m.missing(ctx, all))...)
}

// only keeps the controls with the given IDs, or all.
func only(all []controls.Control, ids []string) (list []controls.Control, err error) {
	if len(ids) == 0 {
		return all, nil
	}
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(c controls.Control) bool { return c.ID == id }) {
			return nil, fmt.Errorf("%w: %q", ErrUnknown, clip(id, auditlog.MaxName))
		}
	}
	for _, c := range all {
		if slices.Contains(ids, c.ID) {
			list = append(list, c)
		}
	}
	return list, nil
}

// run probes one control, enters the result and raises a finding.
func (m *Monitor) run(ctx context.Context, c controls.Control) (Entry, error) {
	result, took := m.attempt(ctx, c)
	if err := context.Cause(ctx); err != nil && result.State != controls.Pass {
		// The caller went away or the monitor is closing: a probe that was
		// cut short says nothing about its control.
		return Entry{}, fmt.Errorf("monitor: the probe of %s was cut short: %w", c.Key(), err)
	}
	entry := Entry{
		Kind: Probed, Control: clip(c.Key(), auditlog.MaxName), ID: c.ID, Instance: c.Instance,
		Parameters: slices.Clone(c.Parameters), State: result.State,
		Observed: clip(result.Observed, maxObserved), Took: took, Every: m.every(c.ID),
	}
	// What was observed is entered even if the caller has gone away.
	ctx = context.WithoutCancel(ctx)
	m.metrics.count(ctx, c.ID, result.State, took)
	stored, err := m.enter(ctx, entry)
	if err != nil {
		stored = entry
	}
	m.remember(stored)
	if !stored.Good() && m.opts.Findings != nil {
		err = errors.Join(err, m.opts.Findings.ProbeFailed(ctx, m.opts.Tenant, c, result))
	}
	return stored, err
}

// A detached context ends with its parent and has none of its values. Run
// may be called inside a request: a probe that plays a stranger must not come
// with the identity of whoever asked for it.
type detached struct{ context.Context }

// Value returns nothing.
func (detached) Value(any) any { return nil }

// attempt runs a probe and gives up on it after the timeout and a moment.
func (m *Monitor) attempt(ctx context.Context, c controls.Control) (controls.Result, time.Duration) {
	key := c.Key()
	m.mu.Lock()
	if m.stuck[key] {
		m.mu.Unlock()
		return controls.Errored("an earlier probe has not returned yet"), 0
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(m.actor(detached{ctx}, auditlog.Probe), m.opts.Timeout)
	defer cancel()
	began := time.Now()
	answer := make(chan controls.Result, 1)
	go func() {
		r := c.Run(ctx)
		m.mu.Lock()
		delete(m.stuck, key)
		answer <- r
		m.mu.Unlock()
	}()
	select {
	case r := <-answer:
		return r, time.Since(began)
	case <-ctx.Done():
	}
	grace := time.NewTimer(min(m.opts.Timeout, time.Second))
	defer grace.Stop()
	select {
	case r := <-answer:
		return r, time.Since(began)
	case <-grace.C:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case r := <-answer: // it returned at the last moment
		return r, time.Since(began)
	default:
	}
	m.stuck[key] = true
	return controls.Errored("the probe did not return within %v of being told to", min(m.opts.Timeout, time.Second)), time.Since(began)
}

// missing enters controls that were probed before and that no component
// states any more. One that the catalogue omits with a reason is retired: it
// is entered with the reason and raises no finding.
func (m *Monitor) missing(ctx context.Context, list []controls.Control) error {
	ctx = context.WithoutCancel(ctx)
	last, err := m.recall(ctx)
	if err != nil {
		return err
	}
	stated := make(map[string]bool, len(list))
	omitted := map[string]string{}
	for _, o := range m.cat.Omitted() {
		omitted[o.ID] = o.Reason
	}
	for _, c := range list {
		stated[clip(c.Key(), auditlog.MaxName)] = true
	}
	slices.SortFunc(last, func(a, b Entry) int { return strings.Compare(a.Control, b.Control) })
	var errs []error
	for _, e := range last {
		if stated[e.Control] || e.Kind == Vanished {
			continue
		}
		gone := Entry{Kind: Vanished, Control: e.Control, ID: e.ID, Instance: e.Instance, Every: e.Every}
		gone.Observed = clip(omitted[e.ID], maxObserved)
		stored, err := m.enter(ctx, gone)
		if err != nil {
			errs = append(errs, err)
			continue // it is still missing, and tried again
		}
		m.remember(stored)
		if m.opts.Findings != nil && gone.Observed == "" {
			c := controls.Control{ID: e.ID, Instance: e.Instance}
			errs = append(errs, m.opts.Findings.ProbeFailed(ctx, m.opts.Tenant, c, controls.Errored("no component states the control any more")))
		}
	}
	return errors.Join(errs...)
}

// remember keeps the latest entry of a control, so that missing controls are
// found without asking the store at every turn.
func (m *Monitor) remember(e Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known != nil {
		m.known[e.Control] = e
	}
}

// recall returns the latest entry of each control: from the store the first
// time, so that controls of an earlier life of the program count, and then
// from memory.
func (m *Monitor) recall(ctx context.Context) ([]Entry, error) {
	m.mu.Lock()
	loaded := m.known != nil
	m.mu.Unlock()
	if !loaded {
		last, err := m.opts.Store.Last(ctx, m.opts.Tenant)
		if err != nil {
			return nil, err
		}
		m.mu.Lock()
		m.known = map[string]Entry{}
		m.mu.Unlock()
		for _, e := range last {
			m.remember(e)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.known)), nil
}

// clip shortens text to at most n bytes without cutting a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = "…"
	cut := n - len(mark)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
