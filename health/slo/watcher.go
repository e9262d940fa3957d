package slo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// WatchOptions are the options of [Watch].
type WatchOptions struct {
	// Every is the time from one probe to the next, 1 s to 1 min; 0 is 10 s.
	Every time.Duration
	// Timeout ends a probe, which then counts as bad, 10 ms to 1 min; 0 is
	// 5 s.
	Timeout time.Duration
	// Failed is told about stored counts that could not be written, from the
	// watcher's goroutine; nil is nobody: the next [Report] has a gap.
	Failed func(error)
}

// A Watcher asks a service from outside, as its callers would.
type Watcher struct {
	tenant  string
	store   Store
	key     []byte
	probe   func(context.Context) error
	o       WatchOptions
	counter *counter
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// Watch starts to ask. An error of probe is a bad request of the objective.
// It runs in another process than the service, or it dies with it. Close ends
// the watcher.
func Watch(tenant string, store Store, key []byte, objective string, probe func(context.Context) error, o WatchOptions) (*Watcher, error) {
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	named := Objective{Name: objective, Target: 0.5}
	switch {
	case tenant == "":
		return nil, errNoTenant
	case store == nil || probe == nil:
		return nil, errors.New("slo: Watch needs a store and a probe")
	case len(key) < 32:
		return nil, fmt.Errorf("slo: key has %d bytes, want 32 or more", len(key))
	case o.Every < time.Second || o.Every > time.Minute:
		return nil, fmt.Errorf("slo: WatchOptions.Every is %v, want 1s to 1m", o.Every)
	case o.Timeout < 10*time.Millisecond || o.Timeout > time.Minute:
		return nil, fmt.Errorf("slo: WatchOptions.Timeout is %v, want 10ms to 1m", o.Timeout)
	}
	if err := named.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{
		tenant: tenant, store: store, key: append([]byte(nil), key...), probe: probe, o: o,
		counter: newCounter(objective, true), cancel: cancel,
	}
	w.wg.Go(func() { w.run(ctx) })
	return w, nil
}

func (w *Watcher) run(ctx context.Context) {
	tick := time.NewTicker(w.o.Every)
	defer tick.Stop()
	for first := true; ; first = false {
		at := time.Now()
		err := w.ask(ctx)
		if ctx.Err() != nil {
			return // what Close interrupted is nobody's failure
		}
		w.counter.add(at, err == nil)
		limit := time.Now().Truncate(time.Minute)
		if first {
			limit = limit.Add(time.Minute) // so that it shows at once that somebody looks
		}
		w.flush(ctx, limit)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *Watcher) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.o.Timeout)
	defer cancel()
	return w.probe(ctx)
}

func (w *Watcher) flush(ctx context.Context, limit time.Time) {
	_, _, err := flush(ctx, w.store, w.tenant, w.key, []*counter{w.counter}, limit)
	if err != nil && w.o.Failed != nil {
		w.o.Failed(err)
	}
}

// Close ends the watcher and stores what it saw.
func (w *Watcher) Close() error {
	w.cancel()
	w.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, _, err := flush(ctx, w.store, w.tenant, w.key, []*counter{w.counter}, time.Now().Add(time.Hour))
	return err
}

// Get is a probe that gets a URL and wants an answer of the 2xx class without
// following redirects, read to its end or to 1 MiB.
func Get(client *http.Client, target string) (func(context.Context) error, error) {
	if client == nil {
		return nil, errors.New("slo: Get needs a client")
	}
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("slo: Get: want an absolute URL of http or https")
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return fmt.Errorf("slo: probe: %w", err)
		}
		resp, err := c.Do(req)
		if err != nil {
			return fmt.Errorf("slo: probe: %w", err)
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("slo: probe: status %d", resp.StatusCode)
		}
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)); err != nil {
			return fmt.Errorf("slo: probe: %w", err)
		}
		return nil
	}, nil
}
