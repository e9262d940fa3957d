// Package strictjson reads JSON that strangers send: bounded in size and
// depth, valid UTF-8, without repeated, unknown or mis-cased members and
// without anything behind the value.
//
// Two readers of one document must not see two different things. encoding/json
// takes the last of two members with one name, takes "Role" for "role", and
// turns bytes that are no text into U+FFFD; a proxy, a firewall or a signature
// check in front of it may do otherwise.
//
//	var in struct {
//		Name string `json:"name"`
//	}
//	err := strictjson.Decode(r.Body, 16<<10, &in)
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 32

// Errors, wrapped with the member and the limit. Messages hold names of members
// that the sender chose, quoted and cut short, but never a value.
var (
	ErrSyntax   = errors.New("not valid JSON")
	ErrTooLarge = errors.New("too large")
	ErrMember   = errors.New("unexpected member")
	ErrValue    = errors.New("unexpected value")
)

// Decode reads exactly one value of at most limit bytes into dst, which is as
// for [json.Unmarshal]; members of structs must have exactly the field's name.
// It reads at most one byte more than the limit. An error of the reader is
// wrapped, for example [net/http.MaxBytesError]. After an error, dst may be
// filled in part.
func Decode(r io.Reader, limit int64, dst any) error {
	limit = min(limit, math.MaxInt64-1)
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	if int64(len(data)) > limit {
		return fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, limit)
	}
	return Unmarshal(data, dst)
}

// Unmarshal reads exactly one value, like [Decode] without a limit of bytes.
func Unmarshal(data []byte, dst any) error {
	if err := check(data, dst); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(dst)
	var typ *json.UnmarshalTypeError
	var misuse *json.InvalidUnmarshalError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &typ):
		return fmt.Errorf("%w: %s: want %s", ErrValue, quote(typ.Field), typ.Type)
	case errors.As(err, &misuse):
		return fmt.Errorf("strictjson: %w", misuse)
	default:
		// The check has named what a sender can do wrong; this error's text
		// comes from a type's own method and may hold the value.
		return fmt.Errorf("%w: it doesn't fit its type", ErrValue)
	}
}

// quote shows the path of a member, whose names the sender chose.
func quote(path string) string {
	path = strings.TrimPrefix(path, ".")
	if path == "" {
		return "the value"
	}
	const most = 80
	if len(path) > most {
		path = path[:most]
		for !utf8.ValidString(path) {
			path = path[:len(path)-1]
		}
		return fmt.Sprintf("%q…", path)
	}
	return fmt.Sprintf("%q", path)
}
