package crypto

import (
	"context"
	"errors"
	"sync"
)

// flights lets one caller fetch a key while others who want the same wait.
type flights[K comparable] struct {
	mu      sync.Mutex
	running map[K]*flight
}

type flight struct {
	done chan struct{}
	e    *entry
	err  error
}

var errPanicked = errors.New("crypto: fetching a key panicked")

// do runs f once for all callers with the same key. A waiting caller whose
// own context ends goes; when the one who fetches is cancelled, another takes
// over.
func (g *flights[K]) do(ctx context.Context, key K, f func() (*entry, error)) (*entry, error) {
	for {
		g.mu.Lock()
		if g.running == nil {
			g.running = map[K]*flight{}
		}
		fl, wait := g.running[key]
		if !wait {
			fl = &flight{done: make(chan struct{}), err: errPanicked}
			g.running[key] = fl
		}
		g.mu.Unlock()
		if !wait {
			return g.lead(key, fl, f)
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if fl.err != nil && (errors.Is(fl.err, context.Canceled) || errors.Is(fl.err, context.DeadlineExceeded)) && ctx.Err() == nil {
			continue
		}
		return fl.e, fl.err
	}
}

func (g *flights[K]) lead(key K, fl *flight, f func() (*entry, error)) (*entry, error) {
	defer func() {
		g.mu.Lock()
		delete(g.running, key)
		g.mu.Unlock()
		close(fl.done)
	}()
	fl.e, fl.err = f()
	return fl.e, fl.err
}
