// Package strictjson reads JSON that strangers send: bounded in size and
// depth, without repeated or unknown members and without anything behind the
// value. Two readers of one document must not see two different things.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 32

// Errors, wrapped with what and where. Messages never contain values.
var (
	ErrSyntax   = errors.New("not valid JSON")
	ErrTooLarge = errors.New("too large")
	ErrMember   = errors.New("unexpected member")
)

// Decode reads exactly one value of at most limit bytes into dst, which is as
// for json.Unmarshal.
func Decode(r io.Reader, limit int64, dst any) error {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if int64(len(data)) > limit {
		return fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, limit)
	}
	return Unmarshal(data, dst)
}

// Unmarshal reads exactly one value.
func Unmarshal(data []byte, dst any) error {
	if err := check(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(dst)
	var typ *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &typ):
		return fmt.Errorf("%w: %s: want %s", ErrSyntax, typ.Field, typ.Type)
	default:
		// encoding/json names an unknown field; it has no error type for it.
		return fmt.Errorf("%w: %s", ErrMember, trim(err.Error()))
	}
}

// check walks the tokens for depth, repeated names and trailing data.
func check(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := value(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: text after the value", ErrSyntax)
	}
	return nil
}

func value(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("%w at byte %d", ErrSyntax, d.InputOffset())
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, MaxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				return fmt.Errorf("%w at byte %d", ErrSyntax, d.InputOffset())
			}
			s, _ := name.(string)
			if seen[s] {
				return fmt.Errorf("%w: %q is repeated", ErrMember, trim(s))
			}
			seen[s] = true
		}
		if err := value(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w at byte %d", ErrSyntax, d.InputOffset())
	}
	return nil
}

func trim(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
