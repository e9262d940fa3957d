package privacytest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A Place is where data may be left. Scan calls visit with each piece of it.
type Place interface {
	Name() string
	Scan(ctx context.Context, visit func(where string, content []byte)) error
}

// minMarker is the shortest marker: shorter ones are found by accident.
const minMarker = 5

// LeavesNothing asserts that an erasure leaves no marker in any place. Markers
// are what is known of a person, such as a name and an address; each has to be
// in one of the places before. They are looked for as they are, in other case,
// and as hexadecimal, base64, JSON and URLs have them. What is encrypted is not
// found: that its key is gone is another test. No marker is printed.
func LeavesNothing(t testing.TB, markers []string, places []Place, erase func(context.Context) error) {
	t.Helper()
	needles := make([]needle, len(markers))
	for i, m := range markers {
		if len(m) < minMarker {
			t.Fatalf("privacytest: marker %d has %d bytes, want at least %d", i, len(m), minMarker)
		}
		needles[i] = newNeedle(i, m)
	}
	if len(needles) == 0 || len(places) == 0 {
		t.Fatalf("privacytest: without markers and places nothing is looked for")
	}
	before := make(map[int]bool)
	look(t, needles, places, func(n needle, _, _ string) { before[n.number] = true })
	for _, n := range needles {
		if !before[n.number] {
			t.Errorf("marker %d is in none of the places before: its absence would say nothing", n.number)
		}
	}
	if err := erase(t.Context()); err != nil {
		t.Fatalf("the erasure: %v", err)
	}
	look(t, needles, places, func(n needle, where, form string) {
		t.Errorf("marker %d is left in %s, as %s", n.number, where, form)
	})
}

// look scans all places for all markers.
func look(t testing.TB, needles []needle, places []Place, found func(n needle, where, form string)) {
	t.Helper()
	for _, p := range places {
		err := p.Scan(t.Context(), func(where string, content []byte) {
			folded := bytes.ToLower(content)
			for _, n := range needles {
				if form := n.in(content, folded); form != "" {
					found(n, p.Name()+" "+hide(needles, where), form)
				}
			}
		})
		if err != nil {
			t.Fatalf("privacytest: %s: %v", p.Name(), err)
		}
	}
}

// hide keeps markers out of messages, which a file's name may hold.
func hide(needles []needle, where string) string {
	for _, n := range needles {
		if n.in([]byte(where), []byte(strings.ToLower(where))) != "" {
			return "(its name holds a marker)"
		}
	}
	return where
}

// A needle is a marker in the forms in which it may be stored.
type needle struct {
	number int
	folded []byte            // for content in lower case
	exact  map[string][]byte // by the form's name
}

func newNeedle(number int, marker string) needle {
	n := needle{number: number, folded: []byte(strings.ToLower(marker)), exact: map[string][]byte{}}
	n.exact["hexadecimal"] = []byte(hex.EncodeToString([]byte(marker)))
	if escaped, err := json.Marshal(marker); err == nil { // strings always marshal
		n.exact["JSON"] = bytes.Trim(escaped, `"`)
	}
	n.exact["a URL's query"] = []byte(url.QueryEscape(marker))
	n.exact["a URL's path"] = []byte(url.PathEscape(marker))
	// In base64 a text looks different at each of three offsets; what its
	// neighbours have a part in is left out.
	for offset := range 3 {
		padded := append(make([]byte, offset), marker...)
		from := (offset*8 + 5) / 6
		to := len(padded) * 8 / 6
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 of URLs": base64.RawURLEncoding} {
			n.exact[fmt.Sprint(name, ", offset ", offset)] = []byte(enc.EncodeToString(padded))[from:to]
		}
	}
	return n
}

// in names the form in which a marker is in a content, or returns nothing.
func (n *needle) in(content, folded []byte) string {
	if bytes.Contains(folded, n.folded) {
		return "text"
	}
	for form, b := range n.exact {
		if bytes.Contains(content, b) {
			return form
		}
	}
	return ""
}

// SQL is the place of all rows and columns of tables.
func SQL(db *sql.DB, tables ...string) Place { return sqlPlace{db, tables} }

type sqlPlace struct {
	db     *sql.DB
	tables []string
}

// validTable is the form of names that are put into a query.
var validTable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

func (sqlPlace) Name() string { return "table" }

func (p sqlPlace) Scan(ctx context.Context, visit func(string, []byte)) error {
	if len(p.tables) == 0 {
		return fmt.Errorf("no tables are named")
	}
	for _, table := range p.tables {
		if !validTable.MatchString(table) {
			return fmt.Errorf("%.64q is no name of a table", table)
		}
		if err := p.table(ctx, table, visit); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	return nil
}

func (p sqlPlace) table(ctx context.Context, table string, visit func(string, []byte)) error {
	rows, err := p.db.QueryContext(ctx, "SELECT * FROM "+table) //nolint:gosec // a valid name
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			visit(table+"."+columns[i], v)
		}
	}
	return rows.Err()
}

// Dir is the place of all files below a directory, and of their names.
func Dir(path string) Place { return dirPlace(path) }

type dirPlace string

func (dirPlace) Name() string { return "file" }

func (p dirPlace) Scan(ctx context.Context, visit func(string, []byte)) error {
	root, err := os.OpenRoot(string(p))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		visit(path, []byte(path))
		if !d.Type().IsRegular() {
			return ctx.Err()
		}
		b, err := root.ReadFile(path)
		if err == nil {
			visit(path, b)
		}
		return err
	})
}
