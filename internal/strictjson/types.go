package strictjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

var (
	jsonReader = reflect.TypeFor[json.Unmarshaler]()
	textReader = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// target is the type behind pointers; nil, which is any type, stays nil.
func target(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && t.Kind() == reflect.Interface {
		return nil
	}
	return t
}

// ownReader reports whether a type reads itself.
func ownReader(t reflect.Type) bool {
	if t == nil {
		return false
	}
	p := reflect.PointerTo(t)
	return p.Implements(jsonReader) || p.Implements(textReader)
}

// elem is the type of what a slice, an array or a map holds, and nil for
// anything else: encoding/json refuses that value afterwards.
func elem(t reflect.Type) reflect.Type {
	if t == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return t.Elem()
	default:
		return nil
	}
}

// fieldsOf returns the members of a struct by their exact names. It follows
// encoding/json closely enough: where embedded structs disagree about a name,
// at worst a member is refused.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	collect(t, fields, map[reflect.Type]bool{})
	return fields
}

func collect(t reflect.Type, fields map[string]reflect.Type, visited map[reflect.Type]bool) {
	if visited[t] {
		return // it embeds itself
	}
	visited[t] = true
	var embedded []reflect.Type
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		inner := target(f.Type)
		switch {
		case tag == "-":
		case f.Anonymous && name == "" && inner != nil && inner.Kind() == reflect.Struct:
			embedded = append(embedded, inner)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			if _, taken := fields[name]; !taken {
				fields[name] = f.Type
			}
		}
	}
	for _, inner := range embedded { // the outer struct's names come first
		collect(inner, fields, visited)
	}
}
