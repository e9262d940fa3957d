package strictyaml

import (
	"encoding"
	"errors"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxErrors is how many mistakes of one file are reported at once.
const maxErrors = 20

// Decode fills a struct from the file. A field's tag is `yaml:"key"`, or
// `yaml:"key,required"` for one that must be there and not be empty. Fields
// without a tag are left alone.
//
// It knows text, whole numbers, decimal numbers, true and false, dates
// (2006-01-02, as time.Time), types with UnmarshalText, lists, mappings with
// text keys, structs, and pointers to any of these for "not stated". The
// error joins one [Error] per mistake, at most 20.
func (d *Document) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return errors.New("strictyaml: Decode wants a pointer to a struct")
	}
	dec := decoder{doc: d}
	dec.value(d.root, v.Elem(), "")
	return errors.Join(dec.errs...)
}

type decoder struct {
	doc  *Document
	errs []error
}

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, d.doc.fail(n.Line, path, format, args...))
	}
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	unmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	d.doc.lines[path] = n.Line
	switch {
	case v.Type() == timeType:
		d.date(n, v, path)
	case v.CanAddr() && reflect.PointerTo(v.Type()).Implements(unmarshalerType):
		d.text(n, v, path)
	default:
		d.kind(n, v, path)
	}
}

func (d *decoder) kind(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(n, path, "%s is wanted, got %s", wants[v.Kind()], shape(n))
		return
	}
	ok := false
	switch v.Kind() {
	case reflect.String:
		// Plain no, 1.0 and 2024-01-01 are the text they show.
		v.SetString(n.Value)
		ok = strings.TrimSpace(n.Value) == n.Value || strings.Contains(n.Value, "\n")
	case reflect.Bool:
		v.SetBool(n.Value == "true")
		ok = n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false")
	case reflect.Int:
		i, err := strconv.ParseInt(n.Value, 10, 32)
		v.SetInt(i)
		ok = err == nil && n.Tag == "!!int"
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		v.SetFloat(f)
		ok = err == nil && (n.Tag == "!!int" || n.Tag == "!!float") && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	if !ok {
		d.fail(n, path, "%s is wanted, got %s", wants[v.Kind()], shape(n))
	}
}

var wants = map[reflect.Kind]string{
	reflect.String:  "text without spaces around it",
	reflect.Bool:    "true or false",
	reflect.Int:     "a whole decimal number",
	reflect.Float64: "a decimal number",
}

func (d *decoder) date(n *yaml.Node, v reflect.Value, path string) {
	t, err := time.Parse(time.DateOnly, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.fail(n, path, "a date such as 2026-01-31 is wanted, got %s", shape(n))
		return
	}
	v.Set(reflect.ValueOf(t))
}

func (d *decoder) text(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(n, path, "text is wanted, got %s", shape(n))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		d.fail(n, path, "%v", err)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "a list is wanted, got %s", shape(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		d.value(c, v.Index(i), path+"["+strconv.Itoa(i)+"]")
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "a mapping is wanted, got %s", shape(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], e, join(path, n.Content[i].Value))
		v.SetMapIndex(reflect.ValueOf(n.Content[i].Value).Convert(v.Type().Key()), e)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "a mapping is wanted, got %s", shape(n))
		return
	}
	fields, names := fieldsOf(v.Type())
	stated := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		f, ok := fields[key.Value]
		if !ok {
			d.fail(key, join(path, key.Value), "the key is unknown, known here are %s", strings.Join(names, ", "))
			continue
		}
		stated[key.Value] = true
		d.value(n.Content[i+1], v.Field(f.index), join(path, key.Value))
	}
	for _, key := range names {
		f := fields[key]
		if f.required && (!stated[key] || empty(v.Field(f.index))) && !d.reported(join(path, key)) {
			d.fail(n, join(path, key), "the field is required")
		}
	}
}

// reported tells whether a field already has an error, so that a malformed
// required field is not called missing as well.
func (d *decoder) reported(path string) bool {
	for _, err := range d.errs {
		var e *Error
		if errors.As(err, &e) && e.Field == path {
			return true
		}
	}
	return false
}

// empty reports whether a stated value says nothing. Numbers and booleans
// always say something.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.String:
		return strings.TrimSpace(v.String()) == ""
	}
	return false
}

type field struct {
	index    int
	required bool
}

func fieldsOf(t reflect.Type) (map[string]field, []string) {
	fields := map[string]field{}
	var names []string
	for i := range t.NumField() {
		key, option, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		fields[key] = field{i, option == "required"}
		names = append(names, key)
	}
	sort.Strings(names)
	return fields, names
}
