package crypto

import (
	"sync"
	"sync/atomic"
	"time"
)

// entry is an unwrapped key in the cache. Its flags are cleared by timers, so
// that the path every value takes reads no clock.
type entry struct {
	scope   Scope
	mat     *material
	left    atomic.Int64 // uses before the key is unwrapped again
	bytes   atomic.Int64 // bytes, likewise
	seals   atomic.Int64 // uses reserved with the store
	stands  timedFlag    // the store said lately that the key is not destroyed
	current timedFlag    // the store said lately that it is the scope's latest
	alive   timedFlag    // within MaxAge
	touched atomic.Bool  // used since eviction last looked
}

// timedFlag is true until a timer ends it.
type timedFlag struct {
	on    atomic.Bool
	mu    sync.Mutex
	until time.Time
	timer *time.Timer
	ended func() // called without the lock when the flag goes down by itself
}

// set raises the flag for d counted from start. The count begins before the
// question that justifies the flag was asked, so that an answer which took
// long is not believed for longer.
func (f *timedFlag) set(start time.Time, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rest := time.Until(start.Add(d))
	if rest <= 0 || !start.Add(d).After(f.until) {
		return
	}
	f.until = start.Add(d)
	f.on.Store(true)
	if f.timer == nil {
		f.timer = time.AfterFunc(rest, f.expire)
		return
	}
	f.timer.Reset(rest)
}

// expire lowers the flag, unless it was raised again while the timer fired.
func (f *timedFlag) expire() {
	f.mu.Lock()
	rest := time.Until(f.until)
	if rest > 0 {
		f.timer.Reset(rest)
	} else {
		f.on.Store(false)
	}
	f.mu.Unlock()
	if rest <= 0 && f.ended != nil {
		f.ended()
	}
}

func (f *timedFlag) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on.Store(false)
	if f.timer != nil {
		f.timer.Stop()
	}
}

// within reports whether the cache policy still lets the key be used.
func (e *entry) within() bool {
	return e.alive.on.Load() && e.left.Load() > 0 && e.bytes.Load() > 0
}

func (e *entry) spend(n int) bool {
	if !e.touched.Load() {
		e.touched.Store(true)
	}
	return e.bytes.Add(-int64(n)) >= 0 && e.alive.on.Load()
}

// open takes one use for opening n bytes.
func (e *entry) open(n int) bool {
	return e.stands.on.Load() && e.left.Add(-1) >= 0 && e.spend(n)
}

// seal takes one use for sealing n bytes.
func (e *entry) seal(n int) bool {
	return e.current.on.Load() && e.seals.Add(-1) >= 0 && e.spend(n)
}

func (e *entry) drop() {
	e.alive.stop()
	e.stands.stop()
	e.current.stop()
}

type idKey struct {
	tenant string
	id     KeyID
}

// cache holds unwrapped keys by id, and by scope those that seal.
type cache struct {
	mu     sync.RWMutex
	ids    map[idKey]*entry
	scopes map[Scope]*entry
	max    int
	// The maps' answers, by a few bits of what was asked for: values come in
	// rows, and a row's values have one key. What is removed from the maps has
	// its flags down, so that an old answer does no harm.
	lastScope, lastID [64]atomic.Pointer[entry]
}

func (c *cache) byScope(s *Scope) *entry { return c.byPlace(s.Tenant, s.Subject, s.Use) }

func (c *cache) byPlace(tenant, subject, use string) *entry {
	slot := &c.lastScope[slotOf(tenant)^slotOf(subject)]
	if e := slot.Load(); e != nil && e.alive.on.Load() && e.current.on.Load() &&
		e.scope.Subject == subject && e.scope.Tenant == tenant && e.scope.Use == use {
		return e
	}
	c.mu.RLock()
	e := c.scopes[Scope{tenant, subject, use}]
	c.mu.RUnlock()
	if e != nil {
		slot.Store(e)
	}
	return e
}

func (c *cache) byID(tenant string, id *KeyID) *entry {
	slot := &c.lastID[id[0]%64]
	if e := slot.Load(); e != nil && e.alive.on.Load() && e.mat.id == *id && e.scope.Tenant == tenant {
		return e
	}
	c.mu.RLock()
	e := c.ids[idKey{tenant, *id}]
	c.mu.RUnlock()
	if e != nil {
		slot.Store(e)
	}
	return e
}

// slotOf is a few bits of a name: those in which numbered names differ.
func slotOf(s string) int {
	n := len(s)
	if n < 2 {
		return n
	}
	return int(s[n-1]^s[n-2]<<3) % 64
}

// put adds an entry, and removes another when the cache is full.
func (c *cache) put(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := idKey{e.scope.Tenant, e.mat.id}
	if old := c.ids[k]; old != nil {
		c.remove(k, old)
	}
	for len(c.ids) >= c.max {
		c.evict()
	}
	c.ids[k] = e
}

func (c *cache) setCurrent(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids[idKey{e.scope.Tenant, e.mat.id}] == e {
		c.scopes[e.scope] = e
	}
}

// evict removes the first of a few random entries that was not used lately.
func (c *cache) evict() {
	const samples = 8
	n := 0
	for k, e := range c.ids { // in random order
		if n++; n == samples || !e.touched.Swap(false) || n == len(c.ids) {
			c.remove(k, e)
			return
		}
	}
}

// remove takes an entry out, so that nothing holds its key any more.
func (c *cache) remove(k idKey, e *entry) {
	delete(c.ids, k)
	c.lastScope[slotOf(e.scope.Tenant)^slotOf(e.scope.Subject)].CompareAndSwap(e, nil)
	c.lastID[e.mat.id[0]%64].CompareAndSwap(e, nil)
	if c.scopes[e.scope] == e {
		delete(c.scopes, e.scope)
	}
	e.drop()
}

func (c *cache) forget(tenant string, id KeyID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.ids[idKey{tenant, id}]; e != nil {
		c.remove(idKey{tenant, id}, e)
	}
}

// expired takes out an entry that is past its age.
func (c *cache) expired(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := (idKey{e.scope.Tenant, e.mat.id}); c.ids[k] == e {
		c.remove(k, e)
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.ids {
		c.remove(k, e)
	}
}
