package merkle_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// hashes is a tlog.HashReader over stored hashes in memory.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = h[x]
	}
	return out, nil
}

// The tree is the one of an independent implementation at every size.
func TestAgreesWithTlog(t *testing.T) {
	var stored hashes
	var tree merkle.Tree
	if tree.Root() != sha256.Sum256(nil) {
		t.Error("root of the empty tree")
	}
	for i := range int64(600) {
		data := fmt.Appendf(nil, "leaf %d", i)
		if merkle.Leaf(data) != merkle.Hash(tlog.RecordHash(data)) {
			t.Fatalf("leaf %d differs", i)
		}
		more, err := tlog.StoredHashes(i, data, stored)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		tree.Append(merkle.Leaf(data))
		want, err := tlog.TreeHash(i+1, stored)
		if err != nil {
			t.Fatal(err)
		}
		if tree.Root() != merkle.Hash(want) || tree.Size() != uint64(i+1) {
			t.Fatalf("root at size %d differs", i+1)
		}
		again, err := merkle.Restore(tree.Size(), tree.Roots())
		if err != nil || again.Root() != tree.Root() {
			t.Fatalf("restored root at size %d differs: %v", i+1, err)
		}
	}
}

func TestCopySharesNothing(t *testing.T) {
	var a, b merkle.Tree
	for i := range 5 {
		a.Append(merkle.Leaf([]byte{byte(i)}))
	}
	b.CopyFrom(&a)
	want := a.Root()
	for i := range 11 {
		b.Append(merkle.Leaf([]byte{byte(i)}))
	}
	if a.Root() != want || a.Size() != 5 {
		t.Error("appending to a copy changed the original")
	}
}

func TestRestoreRefusesAWrongCount(t *testing.T) {
	if _, err := merkle.Restore(3, make([]merkle.Hash, 1)); !errors.Is(err, merkle.ErrRoots) {
		t.Errorf("size 3 of one subtree: %v", err)
	}
}

// The names are those of C2SP tlog-tiles.
func TestPaths(t *testing.T) {
	for want, got := range map[string]string{
		"tile/0/000":                 merkle.TilePath(0, 0, 256),
		"tile/0/x001/x234/067":       merkle.TilePath(0, 1234067, 256),
		"tile/1/x001/x234/067.p/112": merkle.TilePath(1, 1234067, 112),
		"tile/entries/x001/000":      merkle.BundlePath(1000, 256),
		"tile/entries/999.p/1":       merkle.BundlePath(999, 1),
		"tile/entries/x001/x000/000": merkle.BundlePath(1000000, 256),
		"tile/3/000.p/255":           merkle.TilePath(3, 0, 255),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
