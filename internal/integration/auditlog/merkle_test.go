package auditlog_test

import (
	"encoding/base64"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
)

// A proof for one event, in its parts.
type tlogProof struct {
	index, size uint64
	hashes      [][]byte
	root        []byte
}

func parseProof(t *testing.T, b []byte) (p tlogProof) {
	t.Helper()
	text, checkpoint, _ := strings.Cut(string(b), "\n\n")
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	hash := func(s string) []byte {
		h, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for _, line := range strings.Split(text, "\n")[1:] {
		if n, ok := strings.CutPrefix(line, "index "); ok {
			p.index = number(n)
			continue
		}
		p.hashes = append(p.hashes, hash(line))
	}
	head := strings.Split(checkpoint, "\n")
	p.size, p.root = number(head[1]), hash(head[2])
	return p
}

// Our proofs of inclusion are checked by transparency-dev's implementation of
// RFC 6962, for every entry of trees of many sizes; and what it refuses, our
// verifier refuses.
func TestProofsAreThoseOfRFC6962(t *testing.T) {
	signer, vkey, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "key"), "example.org/audit")
	if err != nil {
		t.Fatal(err)
	}
	l, err := auditlog.Open(filepath.Join(t.TempDir(), "log"), signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20, CheckpointEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	policy := verify.Policy{Key: vkey}
	var entries [][]byte
	for _, n := range []int{1, 1, 1, 3, 9, 20, 220, 1, 2, 250} { // trees of 2, 3, 4, 7, …, 256, 257, …
		for range n {
			if _, err := l.Append(t.Context(), auditlog.Event{Action: "records.update", Outcome: auditlog.Success}, auditlog.Async); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Append(t.Context(), auditlog.Event{Action: "records.update", Outcome: auditlog.Success}, auditlog.Published); err != nil {
			t.Fatal(err)
		}
		for i := uint64(len(entries)); i < l.Size(); i++ {
			e, err := l.At(i)
			if err != nil {
				t.Fatal(err)
			}
			b, err := e.AppendJSON(nil)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, b)
		}
		for i, entry := range entries {
			checkProof(t, l, policy, uint64(i), entry)
		}
	}
}

func checkProof(t *testing.T, l *auditlog.Log, policy verify.Policy, index uint64, entry []byte) {
	t.Helper()
	raw, err := l.Proof(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	p := parseProof(t, raw)
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.index, p.size, leaf, p.hashes, p.root); err != nil || p.index != index {
		t.Fatalf("entry %d in a tree of %d: %v", index, p.size, err)
	}
	if got, err := verify.Proof(entry, raw, policy); err != nil || got != index {
		t.Fatalf("entry %d in a tree of %d: %d, %v", index, p.size, got, err)
	}
	if index%37 != 0 || index+1 >= p.size {
		return
	}
	wrong := strings.Replace(string(raw), "index "+strconv.FormatUint(index, 10)+"\n", "index "+strconv.FormatUint(index+1, 10)+"\n", 1)
	theirs := proof.VerifyInclusion(rfc6962.DefaultHasher, index+1, p.size, leaf, p.hashes, p.root)
	_, ours := verify.Proof(entry, []byte(wrong), policy)
	if theirs == nil || ours == nil {
		t.Errorf("the entry at %d is proved at %d: theirs %v, ours %v", index, index+1, theirs, ours)
	}
}
