package classify

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"sync"
	"time"
)

// TagKey is the struct tag's key.
const TagKey = "sec"

// ErrTag is returned, wrapped with the type, the field and the mistake, when
// a tag can't be understood.
var ErrTag = errors.New("classify: bad tag")

// A Field is one leaf field of a struct type and what its tag says.
type Field struct {
	Path       string     // Go path from the struct, such as "Address.Street" or "Phones[].Number"
	Column     string     // the column in a table: column=, the db tag, or the snake-case name
	Index      []int      // for reflect.Value.FieldByIndex; nil below a slice, map or pointer
	Tagged     bool       // whether the field has a tag at all
	Class      Class      // how confidential the field is
	Personal   bool       // about an identified or identifiable person
	Special    bool       // special-category data, GDPR Article 9
	Category   string     // data category such as user.contact.email
	Purposes   []string   // what the field may be used for
	Retention  Period     // how long the field is kept
	Encryption Encryption // how the field is sealed at rest
	BlindIndex string     // column of the field's blind index
	Normalise  string     // normaliser applied before indexing
	Type       reflect.Type
}

// A Schema is a struct type and its leaf fields in declaration order.
type Schema struct {
	Type   reflect.Type
	Fields []Field
}

// Field returns the field with the Go path.
func (s Schema) Field(path string) (Field, bool) {
	i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Path == path })
	if i < 0 {
		return Field{}, false
	}
	return s.Fields[i], true
}

// Of reads the tags of struct type T.
func Of[T any]() (Schema, error) { return OfType(reflect.TypeFor[T]()) }

// OfType reads the tags of a struct type, or of the struct a pointer type
// points to. Nested structs, and the elements of slices, arrays and maps, are
// read too; a type inside itself is read once. Unexported fields have no
// place in stores or messages and are passed over, except that a tag on one
// is an error, because whoever wrote it expects an effect.
func OfType(t reflect.Type) (Schema, error) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return Schema{}, fmt.Errorf("%w: %v is no struct type", ErrTag, t)
	}
	w := walker{}
	if err := w.walk(t, "", []int{}); err != nil {
		return Schema{}, fmt.Errorf("%w: %v.%w", ErrTag, t, err)
	}
	return Schema{Type: t, Fields: w.fields}, nil
}

type walker struct {
	fields []Field
	open   []reflect.Type // the types being read, so that recursion ends
}

// walk appends the leaf fields of struct type t. index is nil once a slice,
// map or pointer lies between the schema's struct and t.
func (w *walker) walk(t reflect.Type, prefix string, index []int) error {
	if slices.Contains(w.open, t) {
		return nil
	}
	w.open = append(w.open, t)
	defer func() { w.open = w.open[:len(w.open)-1] }()
	for sf := range t.Fields() {
		tag, tagged := sf.Tag.Lookup(TagKey)
		if !sf.IsExported() && !sf.Anonymous {
			if tagged {
				return fmt.Errorf("%s%s: an unexported field can't carry a %s tag", prefix, sf.Name, TagKey)
			}
			continue
		}
		if err := w.field(sf, prefix, index, tag, tagged); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) field(sf reflect.StructField, prefix string, index []int, tag string, tagged bool) error {
	if tag == "-" {
		return nil
	}
	path := prefix + sf.Name
	if sf.Anonymous {
		path = prefix
	}
	if index != nil {
		index = append(slices.Clone(index), sf.Index...)
	}
	if inner, suffix, ok := structInside(sf.Type); ok && !tagged {
		if suffix != "" || sf.Type.Kind() == reflect.Pointer {
			index = nil
		}
		if !sf.Anonymous {
			path += suffix + "."
		}
		return w.walk(inner, path, index)
	}
	f := Field{Path: prefix + sf.Name, Index: index, Tagged: tagged, Type: sf.Type, Column: columnOf(sf)}
	if tagged {
		if err := f.parse(tag); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	w.fields = append(w.fields, f)
	return nil
}

var timeType = reflect.TypeFor[time.Time]()

// structInside finds the struct that a field's type holds, directly or as an
// element. time.Time, and types that write themselves as text, are leaves.
func structInside(t reflect.Type) (inner reflect.Type, suffix string, ok bool) {
	for {
		switch t.Kind() {
		case reflect.Pointer:
			t = t.Elem()
		case reflect.Slice, reflect.Array, reflect.Map:
			t, suffix = t.Elem(), suffix+"[]"
		case reflect.Struct:
			return t, suffix, t != timeType && t.NumField() > 0 && hasExported(t)
		default:
			return nil, "", false
		}
	}
}

func hasExported(t reflect.Type) bool {
	for sf := range t.Fields() {
		if sf.IsExported() || sf.Anonymous {
			return true
		}
	}
	return false
}

// A Registry holds the schemas of an application's tables, so that inventory
// and tests see all of them. The zero Registry is empty and ready; it is safe
// for concurrent use.
type Registry struct {
	mu     sync.RWMutex
	tables map[string]Schema
}

// Register reads the tags of struct type T and files them under a table's
// name. Registering a table twice is an error, because two descriptions of
// one table would disagree sooner or later.
func Register[T any](r *Registry, table string) (Schema, error) {
	schema, err := Of[T]()
	if err != nil {
		return Schema{}, err
	}
	if table == "" {
		return Schema{}, fmt.Errorf("%w: %v: the table's name is empty", ErrTag, schema.Type)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, dup := r.tables[table]; dup {
		return Schema{}, fmt.Errorf("%w: table %q is registered as %v already", ErrTag, table, old.Type)
	}
	if r.tables == nil {
		r.tables = make(map[string]Schema)
	}
	r.tables[table] = schema
	return schema, nil
}

// Table returns the schema registered for a table.
func (r *Registry) Table(name string) (Schema, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.tables[name]
	return s, ok
}

// Tables lists the registered tables by name.
func (r *Registry) Tables() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.tables))
	for name := range r.tables {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
