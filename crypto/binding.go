package crypto

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/surety-go/surety/auditlog"
)

// Limits of a [Binding]'s fields, in bytes.
const (
	MaxBindingField = 1024             // each field
	MaxScopeField   = auditlog.MaxName // Tenant and Subject, which stand in audit events
)

// A Binding names the place a value belongs to. It is authenticated with the
// value and not stored in it: Open must be given the same Binding as Seal.
//
// Tenant is required, and Table or Purpose; a Column needs a Table. Values
// that are to be told apart within a column need a Row.
type Binding struct {
	Tenant  string // whose data it is: the first half of the key's scope
	Subject string // the person the value is about: the other half; empty for the tenant's own key
	Table   string // the table, or collection, or bucket
	Column  string // the column, or member, or file name
	Row     string // the row's primary key
	Purpose string // what it is for, where there is no table
}

// Validate reports whether the binding names a place, and which field is
// missing or too long if not. It never returns the fields' values.
func (b *Binding) Validate() error {
	switch {
	case b.Tenant == "":
		return fmt.Errorf("%w: Tenant is empty", ErrBinding)
	case b.Table == "" && b.Purpose == "":
		return fmt.Errorf("%w: Table and Purpose are both empty", ErrBinding)
	case b.Table == "" && b.Column != "":
		return fmt.Errorf("%w: Column without Table", ErrBinding)
	}
	if max(len(b.Tenant), len(b.Subject)) > MaxScopeField || max(len(b.Table), len(b.Column), len(b.Row), len(b.Purpose)) > MaxBindingField {
		return b.tooLong()
	}
	return nil
}

func (b *Binding) tooLong() error {
	for i, s := range b.fields() {
		limit := MaxBindingField
		if i < 2 {
			limit = MaxScopeField
		}
		if len(s) > limit {
			return fmt.Errorf("%w: %s has %d bytes, limit %d", ErrBinding, bindingNames[i], len(s), limit)
		}
	}
	return nil
}

var bindingNames = [...]string{"Tenant", "Subject", "Table", "Column", "Row", "Purpose"}

func (b *Binding) fields() [6]string {
	return [6]string{b.Tenant, b.Subject, b.Table, b.Column, b.Row, b.Purpose}
}

// AppendAAD appends the binding's one encoding to dst: each field in the
// order of the struct, after its length as two bytes, big endian. The
// associated data of a sealed value is the header's version and algorithm, a
// byte each, then this.
func (b Binding) AppendAAD(dst []byte) []byte {
	return b.appendPlace(appendField(appendField(dst, b.Tenant), b.Subject))
}

// appendPlace appends all fields but Tenant and Subject.
func (b *Binding) appendPlace(dst []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, 8+len(b.Table)+len(b.Column)+len(b.Row)+len(b.Purpose))
	dst = dst[:cap(dst)]
	n = putField(dst, n, b.Table)
	n = putField(dst, n, b.Column)
	n = putField(dst, n, b.Row)
	n = putField(dst, n, b.Purpose)
	return dst[:n]
}

func appendField(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s)>>8), byte(len(s))), s...)
}

func putField(dst []byte, n int, s string) int {
	dst[n], dst[n+1] = byte(len(s)>>8), byte(len(s))
	return n + 2 + copy(dst[n+2:], s)
}

// ParseAAD reads what AppendAAD wrote, for a KEK that keeps the binding
// inside the wrapped key because its service has no associated data. The
// input is untrusted; trailing bytes are an error.
func ParseAAD(enc []byte) (Binding, error) {
	var b Binding
	for _, f := range [...]*string{&b.Tenant, &b.Subject, &b.Table, &b.Column, &b.Row, &b.Purpose} {
		if len(enc) < 2 {
			return Binding{}, fmt.Errorf("%w: encoding is cut short", ErrBinding)
		}
		n := int(binary.BigEndian.Uint16(enc))
		if enc = enc[2:]; n > len(enc) || n > MaxBindingField {
			return Binding{}, fmt.Errorf("%w: encoding has a field of %d bytes", ErrBinding, n)
		}
		*f, enc = string(enc[:n]), enc[n:]
	}
	if len(enc) > 0 {
		return Binding{}, fmt.Errorf("%w: encoding has %d bytes too many", ErrBinding, len(enc))
	}
	return b, b.Validate()
}
