package auditlog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// An ID identifies an entry: a UUID of version 7 (RFC 9562), so that ids sort
// roughly by time.
type ID [16]byte

// newID makes an ID from the time in milliseconds and 74 random bits.
func newID(t time.Time) ID {
	var id ID
	rand.Read(id[6:]) // crypto/rand never fails: it ends the program instead
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// String writes the id as a UUID.
func (id ID) String() string { return string(id.append(make([]byte, 0, 36))) }

func (id ID) append(dst []byte) []byte {
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// MarshalText writes the id as a UUID.
func (id ID) MarshalText() ([]byte, error) { return id.append(nil), nil }

// UnmarshalText reads a UUID in its 36-byte lower-case form.
func (id *ID) UnmarshalText(b []byte) error {
	var got ID
	n := 0
	for i := 0; i < len(b); {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if b[i] != '-' {
				return errID(b)
			}
			i++
			continue
		}
		if n == len(got) || i+2 > len(b) {
			return errID(b)
		}
		if _, err := hex.Decode(got[n:n+1], b[i:i+2]); err != nil {
			return errID(b)
		}
		n, i = n+1, i+2
	}
	if string(got.append(nil)) != string(b) {
		return errID(b)
	}
	*id = got
	return nil
}

func errID(b []byte) error { return fmt.Errorf("%w: id of %d bytes is no UUID", ErrInvalid, len(b)) }

// An Entry is an event as it is stored: stamped with an id, the time and the
// trace it happened in.
type Entry struct {
	ID    ID
	Time  time.Time // UTC, without a monotonic reading
	Trace string    // W3C trace id, 32 hex digits, or empty
	Span  string    // W3C span id, 16 hex digits, or empty
	Event
}

// Stamp validates an event and makes the entry that stands for it. An event
// without an actor gets the context's; one without a tenant, its actor's.
// Every Recorder that stores events calls it first, once. Events that a log
// writes about itself are refused with [ErrInvalid]: an auditor's program
// takes them for the log's word, whoever their actor is.
func Stamp(ctx context.Context, ev Event) (Entry, error) {
	if err := ev.reserved(); err != nil {
		return Entry{}, err
	}
	return stamp(ctx, ev)
}

// stamp is Stamp for the log's own events too.
func stamp(ctx context.Context, ev Event) (Entry, error) {
	if ev.Actor.IsZero() {
		ev.Actor = ActorFrom(ctx)
	}
	if ev.Tenant == "" {
		ev.Tenant = ev.Actor.Tenant
	}
	if err := ev.Validate(); err != nil {
		return Entry{}, err
	}
	now := time.Now().UTC().Round(0)
	e := Entry{ID: newID(now), Time: now, Event: ev}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		e.Trace, e.Span = sc.TraceID().String(), sc.SpanID().String()
	}
	return e, nil
}
