package engine

import (
	"sync"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// maxLeaves bounds the cache to 8 MiB; beyond that, hashes are computed again.
const maxLeaves = 1 << 18

// A leafCache hands leaf hashes from the committer to the tiles.
type leafCache struct {
	mu    sync.Mutex
	first uint64
	list  []merkle.Hash
}

// add keeps the hashes of a batch. A batch that doesn't continue the one
// before, or for which there is no room, starts the cache anew.
func (c *leafCache) add(first uint64, leaves []merkle.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first != c.first+uint64(len(c.list)) || len(c.list)+len(leaves) > maxLeaves {
		c.first, c.list = first, c.list[:0]
	}
	c.list = append(c.list, leaves...)
}

func (c *leafCache) get(index uint64) (merkle.Hash, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index < c.first || index >= c.first+uint64(len(c.list)) {
		return merkle.Hash{}, false
	}
	return c.list[index-c.first], true
}

// forget drops the hashes below a size.
func (c *leafCache) forget(size uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := min(size-min(size, c.first), uint64(len(c.list))); n > 0 {
		c.list = append(c.list[:0], c.list[n:]...)
		c.first += n
	}
}
