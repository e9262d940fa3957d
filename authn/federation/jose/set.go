package jose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNoKey says that a set has no key for a token. It is wrapped together
// with [ErrToken].
var ErrNoKey = errors.New("no key for it")

// Keys are the keys of one issuer: a [Set] or a [Remote].
type Keys interface {
	// Key returns the key of an id that may verify the algorithm; for an
	// empty id, the only key that may. It returns ErrNoKey when there is none
	// or more than one, and any other error when that is not known.
	Key(ctx context.Context, id string, alg Algorithm) (*Key, error)
}

// A Set is a fixed set of keys.
type Set struct{ keys []*Key }

var _ Keys = (*Set)(nil)

// NewSet makes a set. Two keys that could be meant by one token are an error.
func NewSet(keys ...*Key) (*Set, error) {
	for i, k := range keys {
		if k == nil {
			return nil, fmt.Errorf("%w: key %d is nil", ErrKey, i)
		}
		for _, o := range keys[:i] {
			if k.id == o.id && (k.alg == o.alg || k.alg == "" && o.alg.fits(k.public) || o.alg == "" && k.alg.fits(o.public)) && sameKind(k, o) {
				return nil, fmt.Errorf("%w: two keys with the id %.64q", ErrKey, k.id)
			}
		}
	}
	return &Set{keys}, nil
}

func sameKind(a, b *Key) bool {
	return fmt.Sprintf("%T", a.public) == fmt.Sprintf("%T", b.public)
}

// ParseSet reads a JSON Web Key Set (RFC 7517, section 5). Keys that are not
// for verifying signatures, or that can't be used, are left out, as section 5
// asks; a set without any that can is an error, and so is one with a
// symmetric key, which nobody publishes on purpose.
func ParseSet(data []byte) (*Set, error) {
	var list []json.RawMessage
	err := members(data, func(name, value string) error {
		if name == "keys" {
			return json.Unmarshal([]byte(value), &list)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: set: %w", ErrKey, err)
	}
	if len(list) > 100 {
		return nil, fmt.Errorf("%w: set: %d keys: want at most 100", ErrKey, len(list))
	}
	var keys []*Key
	var why error
	for i, item := range list {
		var kty struct {
			Type string `json:"kty"`
		}
		if err := json.Unmarshal(item, &kty); err == nil && kty.Type == "oct" {
			return nil, fmt.Errorf("%w: set: key %d is a symmetric one", ErrKey, i)
		}
		k, err := ParseKey(item)
		if err != nil {
			why = errors.Join(why, fmt.Errorf("key %d: %w", i, err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: set: none of %d keys can be used", ErrKey, len(list)), why)
	}
	return NewSet(keys...)
}

// Key implements [Keys].
func (s *Set) Key(_ context.Context, id string, alg Algorithm) (*Key, error) {
	var found *Key
	for _, k := range s.keys {
		if (id == "" || k.id == id) && k.may(alg) {
			if found != nil {
				return nil, ErrNoKey
			}
			found = k
		}
	}
	if found == nil {
		return nil, ErrNoKey
	}
	return found, nil
}

// keep puts the old set's keys in place of equal ones, so that a key that
// stays is the same key.
func (s *Set) keep(old *Set) {
	if old == nil {
		return
	}
	for i, k := range s.keys {
		for _, o := range old.keys {
			if k.same(o) {
				s.keys[i] = o
			}
		}
	}
}
