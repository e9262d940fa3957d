package bearer

import (
	"crypto/sha256"
	"sync"

	"github.com/surety-go/surety/authn/federation/jose"
)

// An entry is a token whose signature was verified with a key.
type entry struct {
	token  Token
	issuer *issuer
	key    *jose.Key
	alg    jose.Algorithm
}

// A cache remembers which tokens verified, by their hash. It is bounded: when
// it is full, what was not asked for since the last time it was full goes. A
// nil cache remembers nothing.
type cache struct {
	mu         sync.RWMutex
	size       int
	young, old map[[sha256.Size]byte]entry
}

func newCache(size int) *cache {
	return &cache{size: max(1, size/2), young: map[[sha256.Size]byte]entry{}}
}

func (c *cache) get(raw string) (entry, bool) {
	if c == nil || len(raw) > jose.MaxToken {
		return entry{}, false
	}
	sum := sha256.Sum256([]byte(raw))
	c.mu.RLock()
	e, ok := c.young[sum]
	aged := false
	if !ok {
		e, ok = c.old[sum]
		aged = ok
	}
	c.mu.RUnlock()
	if aged {
		c.add(sum, e)
	}
	return e, ok
}

func (c *cache) put(raw string, e entry) {
	if c != nil {
		c.add(sha256.Sum256([]byte(raw)), e)
	}
}

func (c *cache) add(sum [sha256.Size]byte, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.size {
		c.young, c.old = make(map[[sha256.Size]byte]entry, c.size), c.young
	}
	c.young[sum] = e
}
