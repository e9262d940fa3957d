package field

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/surety-go/surety/crypto"
)

// A Sealed is a field that is stored sealed. It is plain after Of or Set,
// sealed after Scan and after SealStruct, and open after OpenStruct. The zero
// Sealed is SQL's NULL.
//
// T is a string, a byte slice, or anything that encoding/json reads back as it
// was: numbers, time.Time, structs, slices, maps.
//
// A plain value can't be stored: Value is ErrUnsealed. Printing, logging or
// marshalling a Sealed shows "[sealed]", never the value.
type Sealed[T any] struct {
	plain  T
	known  bool   // plain holds the value
	sealed []byte // the value as stored; nil when it was not sealed yet
}

// Of returns a plain field, to be sealed before it is stored.
func Of[T any](v T) Sealed[T] { return Sealed[T]{plain: v, known: true} }

// Set makes the field plain with a new value.
func (s *Sealed[T]) Set(v T) { *s = Of(v) }

// Get returns the value, ErrNotOpened if the field is still sealed, or the
// zero T for NULL.
func (s Sealed[T]) Get() (T, error) {
	if !s.known && s.sealed != nil {
		var zero T
		return zero, ErrNotOpened
	}
	return s.plain, nil
}

// IsNull reports whether the field has no value.
func (s Sealed[T]) IsNull() bool { return !s.known && s.sealed == nil }

// Value is what database/sql stores: the sealed value or NULL. A plain field
// is ErrUnsealed, so that no statement can store it in the clear by mistake.
func (s Sealed[T]) Value() (driver.Value, error) {
	if s.sealed == nil && s.known {
		return nil, ErrUnsealed
	}
	if s.sealed == nil {
		return nil, nil
	}
	return s.sealed, nil
}

// Scan takes what database/sql reads. Anything without the header of a sealed
// value is crypto.ErrTampered: plaintext that someone put into the column is
// never taken for the value.
func (s *Sealed[T]) Scan(src any) error {
	var zero Sealed[T]
	switch v := src.(type) {
	case nil:
		*s = zero
		return nil
	case []byte:
		zero.sealed = bytes.Clone(v)
	case string:
		zero.sealed = []byte(v)
	default:
		return fmt.Errorf("field: %w: a column of type %T", crypto.ErrTampered, src)
	}
	if _, err := crypto.Inspect(zero.sealed); err != nil {
		return err
	}
	*s = zero
	return nil
}

const redacted = "[sealed]"

// String returns "[sealed]".
func (s Sealed[T]) String() string { return redacted }

// Format writes "[sealed]" for every verb.
func (s Sealed[T]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[sealed]".
func (s Sealed[T]) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes "[sealed]": what an API shows of a field is copied out
// with Get.
func (s Sealed[T]) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON is an error: what an API takes in is copied in with Set.
func (s *Sealed[T]) UnmarshalJSON([]byte) error {
	return errors.New("field: a sealed field is not read from JSON: use Set")
}

// sealable is what a codec needs of a *Sealed[T].
type sealable interface {
	encode() (plain []byte, known bool, err error)
	text() (string, bool)
	stored() []byte
	setSealed(b []byte)
	decode(plain []byte) error
}

// encode returns the value's bytes; known is false if there is nothing to seal.
func (s *Sealed[T]) encode() (plain []byte, known bool, err error) {
	if !s.known {
		return nil, false, nil
	}
	switch v := any(s.plain).(type) {
	case string:
		return []byte(v), true, nil
	case []byte:
		return v, true, nil
	}
	b, err := json.Marshal(s.plain)
	return b, true, err
}

func (s *Sealed[T]) text() (string, bool) {
	v, ok := any(s.plain).(string)
	return v, ok && s.known
}

func (s *Sealed[T]) stored() []byte { return s.sealed }

func (s *Sealed[T]) setSealed(b []byte) { s.sealed = b }

func (s *Sealed[T]) decode(plain []byte) error {
	switch p := any(&s.plain).(type) {
	case *string:
		*p = string(plain)
	case *[]byte:
		*p = append([]byte{}, plain...)
	default:
		var v T
		if err := json.Unmarshal(plain, &v); err != nil {
			// The text of a JSON error may quote the value.
			return fmt.Errorf("field: the value is no %T", v)
		}
		s.plain = v
	}
	s.known = true
	return nil
}
