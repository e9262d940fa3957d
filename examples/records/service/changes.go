package service

import "sync"

// A changed file, as watchers see it.
type changed struct {
	id      string
	version int64
}

// changes tells watchers of a tenant which files changed. A watcher that does
// not keep up misses changes rather than holding up whoever makes them.
type changes struct {
	mu       sync.Mutex
	watchers map[chan changed]string // to the tenant it watches
}

func newChanges() *changes { return &changes{watchers: make(map[chan changed]string)} }

func (c *changes) watch(tenant string) (<-chan changed, func()) {
	ch := make(chan changed, 16)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers[ch] = tenant
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, ch)
	}
}

func (c *changes) publish(tenant, id string, version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch, t := range c.watchers {
		if t != tenant {
			continue
		}
		select {
		case ch <- changed{id, version}:
		default:
		}
	}
}
