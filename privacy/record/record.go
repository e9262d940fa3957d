// Package record keeps privacy's registers: requests, holds, disclosures,
// erasures, breaches, notices shown. A record is a versioned document that
// carries a MAC over its place and its content, in a [Store] that needs to be
// trusted with neither; a [Book] is the records of one kind.
//
//	book, err := record.NewBook[Hold](store, key, "hold")
//	err = book.Save(ctx, record.Entry[Hold]{Tenant: "acme", ID: id, Version: 1, Subject: "u-1", Open: true, Value: hold})
//	e, err := book.Load(ctx, "acme", id)
//
// Versions are never changed or removed: a store is append-only, and the
// latest version counts. A record that was changed, moved, re-filed or swapped
// past the book is [ErrTampered]. Taking away the latest version, or a whole
// record, can't be seen here; it shows against the events in the audit log,
// which every change leaves first.
package record

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Errors of stores and books.
var (
	ErrNotFound = errors.New("record: there is none")
	ErrConflict = errors.New("record: someone else changed it")
	ErrTampered = errors.New("record: it does not verify")
	ErrInvalid  = errors.New("record: invalid")
)

// KeySize is the size of a book's key, in bytes.
const KeySize = 32

// A Record is a version of a document as stores keep it. What stands beside
// Data is for finding it.
type Record struct {
	Tenant, Kind, ID string
	Version          int    // from 1
	Subject          string // whom it is about; may be empty
	Open             bool   // whether it still waits for something
	Data, MAC        []byte
}

// A Filter narrows a list.
type Filter struct {
	Subject  string // empty is everyone
	OpenOnly bool
	After    string // ids behind this one
	Limit    int    // at most; 0 is all
}

// A Store keeps records. Implementations pass recordtest's suite.
type Store interface {
	// Append stores version r.Version of a record. Unless the latest version
	// is the one before, it returns ErrConflict.
	Append(ctx context.Context, r Record) error
	// Get returns the latest version, or ErrNotFound.
	Get(ctx context.Context, tenant, kind, id string) (Record, error)
	// List returns the latest versions of a kind, by id.
	List(ctx context.Context, tenant, kind string, f Filter) ([]Record, error)
}

// An Entry is a version of a document.
type Entry[T any] struct {
	Tenant, ID string
	Version    int
	Subject    string
	Open       bool
	Value      T
}

// A Book is the records of one kind. It is safe for concurrent use.
type Book[T any] struct {
	store Store
	key   []byte
	kind  string
}

// NewBook makes a book. The key, KeySize random bytes, is kept apart from the
// store, and may be that of other kinds.
func NewBook[T any](store Store, key []byte, kind string) (*Book[T], error) {
	if store == nil || kind == "" {
		return nil, fmt.Errorf("%w: a book needs a store and a kind", ErrInvalid)
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("%w: the key has %d bytes, want %d", ErrInvalid, len(key), KeySize)
	}
	return &Book[T]{store, slices.Clone(key), kind}, nil
}

// Save stores a version.
func (b *Book[T]) Save(ctx context.Context, e Entry[T]) error {
	if e.Tenant == "" || e.ID == "" || e.Version < 1 {
		return fmt.Errorf("%w: Tenant, ID and Version must be given", ErrInvalid)
	}
	data, err := json.Marshal(e.Value)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	r := Record{e.Tenant, b.kind, e.ID, e.Version, e.Subject, e.Open, data, nil}
	r.MAC = b.mac(r)
	if err := b.store.Append(ctx, r); err != nil {
		return fmt.Errorf("record: %s: %w", b.kind, err)
	}
	return nil
}

// Load returns the latest version.
func (b *Book[T]) Load(ctx context.Context, tenant, id string) (Entry[T], error) {
	if tenant == "" || id == "" {
		return Entry[T]{}, fmt.Errorf("%w: tenant and id must be given", ErrInvalid)
	}
	r, err := b.store.Get(ctx, tenant, b.kind, id)
	if err != nil {
		return Entry[T]{}, fmt.Errorf("record: %s: %w", b.kind, err)
	}
	if r.ID != id {
		return Entry[T]{}, fmt.Errorf("%w: the store answered with another record", ErrTampered)
	}
	return b.open(tenant, r)
}

// List returns the latest versions, by id.
func (b *Book[T]) List(ctx context.Context, tenant string, f Filter) ([]Entry[T], error) {
	if tenant == "" {
		return nil, fmt.Errorf("%w: the tenant must be given", ErrInvalid)
	}
	records, err := b.store.List(ctx, tenant, b.kind, f)
	if err != nil {
		return nil, fmt.Errorf("record: %s: %w", b.kind, err)
	}
	list := make([]Entry[T], len(records))
	for i, r := range records {
		if list[i], err = b.open(tenant, r); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Update loads a record, lets f change it and saves the next version, starting
// over when someone else was first: f may run more than once.
func (b *Book[T]) Update(ctx context.Context, tenant, id string, f func(*Entry[T]) error) (Entry[T], error) {
	for range 16 {
		e, err := b.Load(ctx, tenant, id)
		if err != nil {
			return Entry[T]{}, err
		}
		if err := f(&e); err != nil {
			return Entry[T]{}, err
		}
		e.Version++
		if err = b.Save(ctx, e); !errors.Is(err, ErrConflict) {
			return e, err
		}
	}
	return Entry[T]{}, fmt.Errorf("%w: 16 times", ErrConflict)
}

func (b *Book[T]) open(tenant string, r Record) (Entry[T], error) {
	var v T
	if r.Tenant != tenant || r.Kind != b.kind || !hmac.Equal(b.mac(r), r.MAC) {
		return Entry[T]{}, fmt.Errorf("%w: %s %q", ErrTampered, b.kind, r.ID)
	}
	if err := json.Unmarshal(r.Data, &v); err != nil {
		return Entry[T]{}, fmt.Errorf("%w: %s %q: %w", ErrTampered, b.kind, r.ID, err)
	}
	return Entry[T]{r.Tenant, r.ID, r.Version, r.Subject, r.Open, v}, nil
}

// mac covers everything, with lengths, so that no two records share an
// encoding.
func (b *Book[T]) mac(r Record) []byte {
	h := hmac.New(sha256.New, b.key)
	h.Write([]byte("surety privacy record v1"))
	open := byte(0)
	if r.Open {
		open = 1
	}
	h.Write(binary.BigEndian.AppendUint64([]byte{open}, uint64(r.Version)))
	for _, s := range [][]byte{[]byte(r.Tenant), []byte(r.Kind), []byte(r.ID), []byte(r.Subject), r.Data} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write(s)
	}
	return h.Sum(nil)
}
