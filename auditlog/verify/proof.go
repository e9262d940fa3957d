package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof says that a proof does not prove what it should.
var ErrProof = errors.New("verify: the proof does not hold")

// maxProof bounds a proof: 63 hashes, a checkpoint and its signatures.
const maxProof = 1 << 20

// Proof verifies a C2SP tlog-proof: that the entry, in canonical JSON, stands
// in the log at the returned index. With witnesses in the policy, a quorum of
// them must have cosigned the proof's checkpoint.
func Proof(entry, proof []byte, p Policy) (index uint64, err error) {
	t, err := p.read()
	if err != nil {
		return 0, err
	}
	index, hashes, checkpoint, err := parseProof(proof)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrProof, err)
	}
	h, err := t.open(checkpoint)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if h.size > 1<<62 || index >= h.size {
		return 0, fmt.Errorf("%w: entry %d is not in a tree of %d", ErrProof, index, h.size)
	}
	leaf, _ := leafHash(nil, entry)
	if err := tlog.CheckRecord(hashes, int64(h.size), tlog.Hash(h.root), int64(index), tlog.Hash(leaf)); err != nil {
		return 0, fmt.Errorf("%w: the entry is not at index %d", ErrProof, index)
	}
	if n, _ := t.cosigned(h, checkpoint); n < t.quorum {
		return 0, fmt.Errorf("%w: the checkpoint is cosigned by %d witnesses, want %d", ErrProof, n, t.quorum)
	}
	return index, nil
}

func parseProof(b []byte) (index uint64, hashes tlog.RecordProof, checkpoint []byte, err error) {
	text, rest, ok := strings.Cut(string(b), "\n\n")
	lines := strings.Split(text, "\n")
	if len(b) > maxProof || !ok || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, nil, nil, errors.New("it is no tlog-proof of version 1")
	}
	if lines = lines[1:]; len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || len(lines) > 64 {
		return 0, nil, nil, errors.New("it has no index, or too many hashes")
	}
	n, ok := strings.CutPrefix(lines[0], "index ")
	index, err = strconv.ParseUint(n, 10, 62)
	if !ok || err != nil || strconv.FormatUint(index, 10) != n {
		return 0, nil, nil, errors.New("it has no index")
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != len(hash{}) {
			return 0, nil, nil, errors.New("a hash is malformed")
		}
		hashes = append(hashes, tlog.Hash(h))
	}
	return index, hashes, []byte(rest), nil
}
