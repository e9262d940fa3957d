// Package field seals the fields of structs that their tags say are to be
// sealed, see controls/classify.
//
//	type Person struct {
//		ID        string
//		Email     field.Sealed[string]    `sec:"pii,encrypt,index=email_bidx,norm=lower"`
//		Salary    field.Sealed[int64]     `sec:"class=restricted,encrypt"`
//		Born      field.Sealed[time.Time] `sec:"pii,encrypt"`
//		EmailBidx []byte                  `sec:"class=internal"`
//	}
//
//	people, err := field.New[Person](keeper, log, "people", field.Options{Distinct: map[string]int{"Email": 1_000_000}})
//	err = people.SealStruct(ctx, field.ID{Tenant: "acme", Subject: "u-1", Row: "17"}, &p)
//	_, err = db.Exec("INSERT INTO people (email, email_bidx, …) VALUES (?, ?, …)", p.Email, p.EmailBidx, …)
//
//	err = db.QueryRow("SELECT email, … FROM people WHERE id = ?", 17).Scan(&p.Email, …)
//	err = people.OpenStruct(ctx, field.ID{Tenant: "acme", Subject: "u-1", Row: "17"}, &p)
//	email, err := p.Email.Get()
//
// Every value is bound to its tenant, subject, table, column and row. Opening
// a struct with restricted fields is recorded before anything is opened, as
// crypto.field.open; if it can't be recorded, nothing is.
//
// Search returns what to look for, with a blind index or deterministic
// encryption; ResealStruct seals anew what is under old keys.
//
// New reads the tags once and refuses a type whose tags and fields don't fit,
// so that a forgotten wrapper is an error when the program starts and not a
// column in the clear. [InClear] and [Suspects] are for the application's own
// tests of all its tables.
//
// # Guarantees and the tests that hold them
//
//   - A plain value is not stored, and plaintext in the store is no value:
//     TestPlainIsNotStored, TestPlaintextInTheStoreIsRefused.
//   - A value of another row, column, subject or tenant does not open, and
//     leaves the struct as it was: TestMovedRow.
//   - Every opening of restricted fields is recorded, or doesn't happen:
//     TestEveryRestrictedOpenIsRecorded.
//   - Printing, logging and marshalling show nothing: TestNothingIsPrinted.
package field

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/blindindex"
)

// Errors of the package, besides those of crypto.
var (
	// ErrType says that a struct's tags and fields don't fit.
	ErrType = errors.New("field: unusable struct type")
	// ErrUnsealed says that a plain field was about to be stored.
	ErrUnsealed = errors.New("field: the field is not sealed: call SealStruct before storing it")
	// ErrNotOpened says that a sealed field was read.
	ErrNotOpened = errors.New("field: the field is not opened: call OpenStruct before reading it")
	// ErrID says that an ID lacks what the fields are bound to.
	ErrID = errors.New("field: incomplete id")
)

// An ID names a row.
type ID struct {
	Tenant  string // whose row it is
	Subject string // the person it is about; required when a sealed field is personal
	Row     string // the primary key
}

// Options are the options of a Codec.
type Options struct {
	// Distinct is, per indexed field, by its Go path, how many different
	// values are expected in one tenant; see blindindex.New. A field with a
	// blind index must be named.
	Distinct map[string]int
	// IndexBits is the length of blind index values; see blindindex.Options.
	IndexBits int
}

// A Codec seals and opens structs of one type and table. It is safe for
// concurrent use.
type Codec[T any] struct {
	keeper   *crypto.Keeper
	rec      auditlog.Recorder
	table    string
	fields   []sealedField
	personal bool
	audited  string // the restricted fields, for the event; empty for none
}

type sealedField struct {
	classify.Field
	index   *blindindex.Index
	indexTo []int // where its value goes
}

// New returns the codec of struct type T in a table. rec takes the events of
// opened restricted fields.
func New[T any](keeper *crypto.Keeper, rec auditlog.Recorder, table string, o Options) (*Codec[T], error) {
	if keeper == nil || rec == nil || table == "" {
		return nil, errors.New("field: New needs a keeper, a recorder and a table")
	}
	schema, err := classify.Of[T]()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrType, err)
	}
	c := &Codec[T]{keeper: keeper, rec: rec, table: table}
	var restricted []string
	columns := map[string]string{}
	for _, f := range schema.Fields {
		if err := check(schema, f); err != nil {
			return nil, fmt.Errorf("%w: %v.%s: %w", ErrType, schema.Type, f.Path, err)
		}
		if f.Encryption == classify.None {
			continue
		}
		if other, twice := columns[f.Column]; twice {
			return nil, fmt.Errorf("%w: %v: %s and %s are both column %q", ErrType, schema.Type, other, f.Path, f.Column)
		}
		columns[f.Column] = f.Path
		sf, err := c.compile(schema, f, o)
		if err != nil {
			return nil, fmt.Errorf("%w: %v.%s: %w", ErrType, schema.Type, f.Path, err)
		}
		c.fields = append(c.fields, sf)
		c.personal = c.personal || f.Personal && f.Encryption == classify.Randomised
		if f.Class.AtLeast(classify.Restricted) {
			restricted = append(restricted, f.Column)
		}
	}
	if len(c.fields) == 0 {
		return nil, fmt.Errorf("%w: %v has no field to seal", ErrType, schema.Type)
	}
	c.audited = strings.Join(restricted, " ")
	return c, nil
}

var sealableType = reflect.TypeFor[sealable]()

// check refuses a field whose type and tag disagree.
func check(schema classify.Schema, f classify.Field) error {
	wrapped := reflect.PointerTo(f.Type).Implements(sealableType)
	switch {
	case wrapped && f.Encryption == classify.None:
		return errors.New("a Sealed field needs the option encrypt")
	case !wrapped && f.Encryption != classify.None:
		return fmt.Errorf("the option encrypt needs a field.Sealed[%v]", f.Type)
	case wrapped && f.Index == nil:
		return errors.New("a Sealed field below a slice, map or pointer: seal the whole, as in Sealed[[]Phone]")
	}
	return nil
}

func (c *Codec[T]) compile(schema classify.Schema, f classify.Field, o Options) (sealedField, error) {
	sf := sealedField{Field: f}
	if f.BlindIndex == "" {
		return sf, nil
	}
	if _, ok := reflect.New(f.Type).Interface().(interface{ Get() (string, error) }); !ok {
		return sf, errors.New("the option index needs a field.Sealed[string]")
	}
	for _, to := range schema.Fields {
		if to.Column == f.BlindIndex && to.Index != nil && to.Type == reflect.TypeFor[[]byte]() {
			sf.indexTo = to.Index
		}
	}
	if sf.indexTo == nil {
		return sf, fmt.Errorf("no []byte field has the column %q of its blind index", f.BlindIndex)
	}
	var err error
	sf.index, err = blindindex.New(c.keeper, c.table, f.Column, o.Distinct[f.Path], blindindex.Options{Bits: o.IndexBits, Normalise: f.Normalise})
	return sf, err
}

// Index returns the blind index of a field, by its Go path, for searching.
func (c *Codec[T]) Index(path string) (*blindindex.Index, bool) {
	for i := range c.fields {
		if c.fields[i].Path == path && c.fields[i].index != nil {
			return c.fields[i].index, true
		}
	}
	return nil, false
}

func (c *Codec[T]) checkID(id *ID) error {
	switch {
	case id.Tenant == "":
		return fmt.Errorf("%w: Tenant is empty", ErrID)
	case id.Row == "":
		return fmt.Errorf("%w: Row is empty", ErrID)
	case id.Subject == "" && c.personal:
		return fmt.Errorf("%w: Subject is empty, and a field is personal: without it the person can't be erased", ErrID)
	}
	return nil
}

func (c *Codec[T]) binding(id *ID, f *sealedField) crypto.Binding {
	if f.Encryption == classify.Deterministic {
		return crypto.Binding{Tenant: id.Tenant, Table: c.table, Column: f.Column}
	}
	return crypto.Binding{Tenant: id.Tenant, Subject: id.Subject, Table: c.table, Column: f.Column, Row: id.Row}
}

func at(row reflect.Value, f *sealedField) sealable {
	return row.FieldByIndex(f.Index).Addr().Interface().(sealable)
}

// SealStruct seals every tagged field of the row that is plain or open, and
// sets their blind indexes. Fields that were read and not opened keep what was
// read. On an error the row is unchanged.
func (c *Codec[T]) SealStruct(ctx context.Context, id ID, row *T) error {
	if err := c.checkID(&id); err != nil {
		return err
	}
	v := reflect.ValueOf(row).Elem()
	var done []func()
	for i := range c.fields {
		f := &c.fields[i]
		s := at(v, f)
		plain, known, err := s.encode()
		if err != nil {
			return fmt.Errorf("field: %s: a %v can't be encoded", f.Path, f.Type)
		}
		if !known {
			if f.index != nil && s.stored() == nil { // NULL has no index, whatever was there before
				done = append(done, func() { v.FieldByIndex(f.indexTo).SetBytes(nil) })
			}
			continue
		}
		sealed, err := c.seal(ctx, &id, f, plain)
		if err != nil {
			return fmt.Errorf("field: %s: %w", f.Path, err)
		}
		done = append(done, func() { s.setSealed(sealed) })
		if f.index == nil {
			continue
		}
		text, _ := s.text()
		bidx, err := f.index.Value(ctx, id.Tenant, text)
		if err != nil {
			return fmt.Errorf("field: %s: %w", f.Path, err)
		}
		done = append(done, func() { v.FieldByIndex(f.indexTo).SetBytes(bidx) })
	}
	for _, set := range done {
		set()
	}
	return nil
}

func (c *Codec[T]) seal(ctx context.Context, id *ID, f *sealedField, plain []byte) ([]byte, error) {
	b := c.binding(id, f)
	if f.Encryption == classify.Deterministic {
		plain, err := normalised(f, plain)
		if err != nil {
			return nil, err
		}
		return c.keeper.SealDeterministic(ctx, nil, plain, b)
	}
	return c.keeper.Seal(ctx, nil, plain, b)
}

// normalised is the value as it is compared: of a deterministic field no other
// spelling is kept.
func normalised(f *sealedField, plain []byte) ([]byte, error) {
	if f.Normalise == "" {
		return plain, nil
	}
	norm, err := blindindex.Normaliser(f.Normalise)
	if err != nil {
		return nil, err
	}
	return []byte(norm(string(plain))), nil
}

// OpenStruct opens every tagged field of the row that is sealed. On an error,
// crypto.ErrTampered or crypto.ErrShredded among them, the row is unchanged.
func (c *Codec[T]) OpenStruct(ctx context.Context, id ID, row *T) error {
	if err := c.checkID(&id); err != nil {
		return err
	}
	if err := c.audit(ctx, &id); err != nil {
		return err
	}
	opened := *row
	v := reflect.ValueOf(&opened).Elem()
	for i := range c.fields {
		f := &c.fields[i]
		s := at(v, f)
		if s.stored() == nil {
			continue
		}
		plain, err := c.keeper.Open(ctx, nil, bytes.Clone(s.stored()), c.binding(&id, f))
		if err == nil {
			err = s.decode(plain)
		}
		clear(plain)
		if err != nil {
			return fmt.Errorf("field: %s: %w", f.Path, err)
		}
	}
	*row = opened
	return nil
}

// audit records that restricted fields are about to be opened.
func (c *Codec[T]) audit(ctx context.Context, id *ID) error {
	if c.audited == "" {
		return nil
	}
	ev := auditlog.Event{
		Action: "crypto.field.open", Outcome: auditlog.Success, Tenant: id.Tenant,
		Targets: []auditlog.Target{{Type: "table", ID: c.table}},
		Attrs:   []auditlog.Attr{auditlog.String("fields", c.audited)},
	}
	if id.Subject != "" {
		ev.Targets = append(ev.Targets, auditlog.Target{Type: "subject", ID: id.Subject})
	}
	if err := c.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("field: opening restricted fields could not be recorded: %w", err)
	}
	return nil
}
