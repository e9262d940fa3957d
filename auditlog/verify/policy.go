package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog/internal/cosign"
)

// ErrPolicy says that a policy is incomplete or malformed.
var ErrPolicy = errors.New("verify: invalid policy")

// A Policy is what the auditor trusts and expects.
type Policy struct {
	// Key is the log's public key, "name+hash+base64" (C2SP signed-note). Its
	// name is the log's origin.
	Key string
	// Former are public keys that signed before it, the oldest first. The log
	// must say of each that it handed over to the next.
	Former []string
	// Witnesses are the public keys of witnesses, of the same form
	// (C2SP tlog-cosignature, Ed25519 or ML-DSA-44).
	Witnesses []string
	// Quorum is how many of them must have cosigned; default all.
	Quorum int
	// MaxGap is the longest time between cosigned checkpoints while the log
	// was open; default 15 min.
	MaxGap time.Duration
	// Older is a checkpoint kept from before, which the log must continue;
	// nil if there is none.
	Older []byte
}

// trust is a policy that was read.
type trust struct {
	origin    string
	log       note.Verifiers // of all keys
	keys      []string       // the former ones and the present one
	witnesses []*cosign.Verifier
	quorum    int
	maxGap    time.Duration
	older     *head
}

// skew is how far clocks may differ.
const skew = 2 * time.Minute

func (p *Policy) read() (*trust, error) {
	v, err := note.NewVerifier(p.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: Key: %w", ErrPolicy, err)
	}
	t := &trust{origin: v.Name(), quorum: p.Quorum, maxGap: p.MaxGap, keys: append(slices.Clone(p.Former), p.Key)}
	if t.log, err = verifiers(v, p.Former); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for i, key := range p.Witnesses {
		w, err := cosign.NewVerifier(key)
		if err != nil || seen[w.Key()] {
			return nil, fmt.Errorf("%w: Witnesses[%d] is no witness key, or its key is repeated", ErrPolicy, i)
		}
		seen[w.Key()] = true // under two names it would count twice
		t.witnesses = append(t.witnesses, w)
	}
	if t.quorum == 0 {
		t.quorum = len(t.witnesses)
	}
	if t.quorum < 0 || t.quorum > len(t.witnesses) {
		return nil, fmt.Errorf("%w: Quorum is %d of %d witnesses", ErrPolicy, p.Quorum, len(t.witnesses))
	}
	if t.maxGap == 0 {
		t.maxGap = 15 * time.Minute
	}
	if p.Older != nil {
		h, err := t.open(p.Older)
		if err != nil {
			return nil, fmt.Errorf("%w: Older: %w", ErrPolicy, err)
		}
		t.older = &h
	}
	return t, nil
}

// verifiers are those of a log's keys, all of one origin.
func verifiers(present note.Verifier, former []string) (note.Verifiers, error) {
	list, seen := []note.Verifier{present}, map[uint32]bool{present.KeyHash(): true}
	for i, key := range former {
		v, err := note.NewVerifier(key)
		if err != nil || v.Name() != present.Name() || seen[v.KeyHash()] {
			return nil, fmt.Errorf("%w: Former[%d] is no key of %s, or is repeated", ErrPolicy, i, present.Name())
		}
		seen[v.KeyHash()] = true
		list = append(list, v)
	}
	return note.VerifierList(list...), nil
}

// A head is what a checkpoint states.
type head struct {
	size uint64
	root hash
	text string           // what is signed
	sigs []note.Signature // of the log's keys, verified
}

// by reports whether a key signed it.
func (h *head) by(key string) bool {
	id := keyID(key)
	return slices.ContainsFunc(h.sigs, func(s note.Signature) bool { return fmt.Sprintf("%s+%08x", s.Name, s.Hash) == id })
}

// keyID is the beginning of a key's text: name and hash.
func keyID(key string) string {
	name, rest, _ := strings.Cut(key, "+")
	hash, _, _ := strings.Cut(rest, "+")
	return name + "+" + hash
}

// open reads a checkpoint that the log's key signed.
func (t *trust) open(msg []byte) (head, error) {
	n, err := note.Open(msg, t.log)
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != t.origin {
		return head{}, errors.New("the checkpoint is not of this log")
	}
	size, err := strconv.ParseUint(lines[1], 10, 62)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return head{}, errors.New("the checkpoint has no size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(hash{}) {
		return head{}, errors.New("the checkpoint has no root hash")
	}
	return head{size, hash(root), n.Text, n.Sigs}, nil
}

// cosigned returns how many witnesses of the policy cosigned a checkpoint that
// was opened, and the time by which a quorum of them says that it existed, or
// zero if fewer state a time.
func (t *trust) cosigned(h head, msg []byte) (count int, at time.Time) {
	var times []time.Time
	_, lines, _ := strings.Cut(string(msg), "\n\n")
	for _, w := range t.witnesses {
		sig, ok := w.Find(h.text, []byte(lines))
		if !ok {
			continue
		}
		count++
		if s := cosign.Time(sig); !s.IsZero() {
			times = append(times, s)
		}
	}
	if t.quorum == 0 || len(times) < t.quorum {
		return count, time.Time{}
	}
	slices.SortFunc(times, time.Time.Compare)
	return count, times[t.quorum-1]
}
