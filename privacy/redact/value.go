package redact

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/surety-go/surety/controls/classify"
)

// maxDepth bounds how deep a value is looked into; what lies below is
// withheld.
const maxDepth = 16

const withheld = "[withheld]"

// schema is what the tags of a struct type say, by Go path.
type schema struct {
	fields map[string]classify.Field
	err    error
}

// Value returns what may be shown of v: structs become maps by field name, in
// which a field that is tagged as personal, or as confidential or restricted
// (package controls/classify), is replaced by its category or class, and text
// is scanned. Untagged fields of a type that has tags are scanned too. A type
// whose tags can't be read is withheld whole.
func (r *Redactor) Value(v any) any { return r.value("", v, 0) }

func (r *Redactor) value(key string, v any, depth int) any {
	if v == nil {
		return nil
	}
	if key != "" && !r.keep[Secret] && secretWord(key) {
		return string(r.replace(nil, Secret, nil))
	}
	if tagged, ok := r.tagged(v, depth); ok {
		return tagged
	}
	switch x := v.(type) {
	case error:
		return r.Field(key, x.Error())
	case encoding.TextMarshaler:
		if text, err := x.MarshalText(); err == nil {
			return r.Field(key, string(text))
		}
		return withheld
	case json.Marshaler:
		if text, err := x.MarshalJSON(); err == nil {
			return json.RawMessage(r.Append(nil, text))
		}
		return withheld
	case fmt.Stringer:
		return r.Field(key, x.String())
	case []byte:
		return r.Field(key, string(x))
	}
	return r.reflected(key, reflect.ValueOf(v), depth)
}

// tagged answers for structs that have tags: those decide, whatever methods
// the type has.
func (r *Redactor) tagged(v any, depth int) (any, bool) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if rv.Kind() != reflect.Struct {
		return nil, false
	}
	s := r.schemaOf(rv.Type())
	if s.err != nil {
		return withheld, true
	}
	for _, f := range s.fields {
		if f.Tagged {
			return r.structure(s, "", rv, depth), true
		}
	}
	return nil, false
}

func (r *Redactor) schemaOf(t reflect.Type) *schema {
	if s, ok := r.schemas.Load(t); ok {
		return s.(*schema)
	}
	read, err := classify.OfType(t)
	s := &schema{fields: make(map[string]classify.Field, len(read.Fields)), err: err}
	for _, f := range read.Fields {
		s.fields[f.Path] = f
	}
	kept, _ := r.schemas.LoadOrStore(t, s)
	return kept.(*schema)
}

func (r *Redactor) structure(s *schema, path string, v reflect.Value, depth int) any {
	if depth > maxDepth {
		return withheld
	}
	out := make(map[string]any, v.NumField())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		p := strings.TrimPrefix(path+"."+f.Name, ".")
		if leaf, ok := s.fields[p]; ok {
			if shown, hidden := hide(leaf, v.Field(i)); hidden {
				out[f.Name] = shown
				continue
			}
			out[f.Name] = r.value(f.Name, v.Field(i).Interface(), depth+1)
			continue
		}
		if f.Type.Kind() == reflect.Struct {
			out[f.Name] = r.structure(s, p, v.Field(i), depth+1)
			continue
		}
		// Below slices, maps and pointers the element types' own tags count.
		out[f.Name] = r.value(f.Name, v.Field(i).Interface(), depth+1)
	}
	return out
}

// hide returns what stands for a field that must not be shown. An empty value
// says nothing about anyone, but that it is empty.
func hide(f classify.Field, v reflect.Value) (string, bool) {
	switch {
	case !f.Tagged || !f.Personal && (f.Class == classify.Unclassified || !f.Class.AtLeast(classify.Confidential)):
		return "", false
	case v.IsZero():
		return "", true
	case f.Category != "":
		return "[" + f.Category + "]", true
	}
	return "[" + f.Class.String() + "]", true
}

func (r *Redactor) reflected(key string, v reflect.Value, depth int) any {
	if depth > maxDepth {
		return withheld
	}
	switch v.Kind() {
	case reflect.String:
		return r.Field(key, v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return r.value(key, v.Elem().Interface(), depth+1)
	case reflect.Struct:
		return r.structure(r.schemaOf(v.Type()), "", v, depth)
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = r.value(key, v.Index(i).Interface(), depth+1)
		}
		return out
	case reflect.Map:
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			k := fmt.Sprint(it.Key().Interface())
			out[r.String(k)] = r.value(k, it.Value().Interface(), depth+1)
		}
		return out
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return "[" + v.Kind().String() + "]"
	}
	if text := fmt.Sprint(v.Interface()); len(text) > 5 && r.Field(key, text) != text {
		return r.Field(key, text)
	}
	return v.Interface()
}
