package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A pruning is what the log says it removed.
type pruning struct {
	index uint64
	to    uint64
	root  string
}

// skipPruned returns the first bundle that is there. For those before it, the
// level above has the hashes.
func (c *checker) skipPruned() (uint64, error) {
	first, full := uint64(0), c.head.size/width
	for ; first < full; first++ {
		_, err := os.Stat(filepath.Join(c.dir, filepath.FromSlash(tilePath("entries", first, width))))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("verify: %w", err)
		}
	}
	if first == full { // none at all: nothing says that this is pruning
		return 0, nil
	}
	for n := range first {
		h, ok := c.tileHash(n)
		if !ok {
			return 0, nil // bundle 0 is reported as missing
		}
		c.marks = append(c.marks, c.tree.clone())
		c.tree.addTile(h)
		c.up(1, h)
	}
	c.report.Pruned, c.audit.partial = first*width, first > 0
	return first, nil
}

// tileHash reads the hash of a whole tile of leaves from the level above.
func (c *checker) tileHash(n uint64) (hash, bool) {
	path := ""
	b, err := c.read(&path, "1", n/width, int(min(width, c.head.size/width-n/width*width)))
	at := int(n%width) * len(hash{})
	if err != nil || len(b) < at+len(hash{}) {
		return hash{}, false
	}
	return hash(b[at:]), true
}

// pruning checks that the log itself says what was pruned.
func (c *checker) pruning() {
	if c.report.Pruned == 0 {
		return
	}
	root, _ := c.rootAt(c.report.Pruned)
	for _, p := range c.audit.prunings {
		if p.to == c.report.Pruned && p.root == base64.StdEncoding.EncodeToString(root[:]) && p.index >= p.to {
			return
		}
	}
	c.report.add(Tampered, 0, "", "the entries below %d are missing and the log does not say that they were pruned", c.report.Pruned)
}

// compares reports whether the tree of a size can be computed.
func (c *checker) compares(size uint64) bool {
	if size >= c.report.Pruned || size%width == 0 {
		return true
	}
	c.report.add(Unwitnessed, NoIndex, "", "the older checkpoint of %d entries lies in what was pruned and can't be compared", size)
	return false
}
