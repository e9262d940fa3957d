package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// check walks the tokens of a document beside the type it is meant for. What
// it lets through may still have values of the wrong kind.
func check(data []byte, dst any) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: it is not UTF-8", ErrSyntax)
	}
	if at := lonelySurrogate(data); at >= 0 {
		return fmt.Errorf("%w: half a surrogate pair at byte %d", ErrSyntax, at)
	}
	w := walker{data: data, d: json.NewDecoder(bytes.NewReader(data))}
	w.d.UseNumber()
	if err := w.value(reflect.TypeOf(dst), 0); err != nil {
		return err
	}
	if _, err := w.d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: text after the value", ErrSyntax)
	}
	return nil
}

// lonelySurrogate finds a \u escape that is half of a pair (RFC 7493, section
// 2.1), or returns -1. Such names differ for one reader and are the same for
// another. Only strings contain backslashes; elsewhere the walker finds them.
func lonelySurrogate(data []byte) int {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		r := escaped(data[i:])
		switch {
		case utf16.IsSurrogate(r) && utf16.DecodeRune(r, escaped(data[min(i+6, len(data)):])) == utf8.RuneError:
			return i
		case utf16.IsSurrogate(r):
			i += 11 // both halves
		default:
			i++ // the escaped character may be a backslash
		}
	}
	return -1
}

// escaped returns the code unit of the \uXXXX that b begins with, or 0.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// A walker knows where it is; after an error, path is where that was.
type walker struct {
	data []byte
	d    *json.Decoder
	path []byte
}

func (w *walker) syntax() error {
	return fmt.Errorf("%w at byte %d", ErrSyntax, w.d.InputOffset())
}

// value walks one value of type t; nil is any type.
func (w *walker) value(t reflect.Type, depth int) error {
	t = target(t)
	if ownReader(t) {
		return w.own(t, depth)
	}
	token, err := w.d.Token()
	if err != nil {
		return w.syntax()
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == MaxDepth {
		return fmt.Errorf("%w: %s is nested deeper than %d", ErrTooLarge, quote(string(w.path)), MaxDepth)
	}
	if delim == '{' {
		err = w.object(t, depth+1)
	} else {
		err = w.array(t, depth+1)
	}
	if err != nil {
		return err
	}
	if _, err := w.d.Token(); err != nil {
		return w.syntax()
	}
	return nil
}

func (w *walker) array(t reflect.Type, depth int) error {
	here := len(w.path)
	for i := 0; w.d.More(); i++ {
		w.path = append(strconv.AppendInt(append(w.path, '['), int64(i), 10), ']')
		if err := w.value(elem(t), depth); err != nil {
			return err
		}
		w.path = w.path[:here]
	}
	return nil
}

func (w *walker) object(t reflect.Type, depth int) error {
	var fields map[string]reflect.Type
	closed := t != nil && t.Kind() == reflect.Struct
	if closed {
		fields = fieldsOf(t)
	}
	seen := map[string]bool{}
	here := len(w.path)
	for w.d.More() {
		token, err := w.d.Token()
		if err != nil {
			return w.syntax()
		}
		name, _ := token.(string)
		w.path = append(append(w.path, '.'), name...)
		if seen[name] {
			return fmt.Errorf("%w: %s is repeated", ErrMember, quote(string(w.path)))
		}
		seen[name] = true
		next, known := fields[name]
		if closed && !known {
			return fmt.Errorf("%w: %s is unknown", ErrMember, quote(string(w.path)))
		}
		if !closed {
			next = elem(t)
		}
		if err := w.value(next, depth); err != nil {
			return err
		}
		w.path = w.path[:here]
	}
	return nil
}

// own walks a value that its type reads with a method, and tries it, because
// encoding/json would not say which member it was that didn't fit.
func (w *walker) own(t reflect.Type, depth int) error {
	start := w.d.InputOffset()
	if err := w.value(nil, depth); err != nil {
		return err
	}
	raw := bytes.TrimLeft(w.data[start:w.d.InputOffset()], " \t\r\n,:")
	if json.Unmarshal(raw, reflect.New(t).Interface()) != nil {
		return fmt.Errorf("%w: %s: want %s", ErrValue, quote(string(w.path)), t)
	}
	return nil
}
