// Package export answers a request for access or portability: it reads what
// the stores hold about a person and writes one file, with JSON and CSV for
// machines and HTML for people, encrypted to the person.
//
//	seal := func(w io.Writer) (io.WriteCloser, error) { return bundle.NewWriter(w, recipient, binding) }
//	manifest, err := export.Write(ctx, file, "acme", subject, requestID, seal, log, mainDB, files)
//
// There is no way to write it in the clear. A source that can't be read fails
// the whole export: half of an answer must not pass for all of it. Cells that
// a spreadsheet would take for formulas are neutralised in the CSV, and HTML is
// escaped: what is in the stores was written by strangers.
package export

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/internal/textsafe"
)

// A Source holds data about people; *erasuresql.Place is one.
type Source interface {
	Name() string
	// Export calls yield for every row about a person. Tables may come in any
	// order; a table's columns are the same for all its rows.
	Export(ctx context.Context, tenant, subject string, yield func(table string, columns []string, row []any) error) error
}

// A Sealer encrypts to the person: what is written to the result arrives
// sealed at w, once the result is closed. crypto/bundle has one.
type Sealer func(w io.Writer) (io.WriteCloser, error)

// A Manifest says what is in a bundle.
type Manifest struct {
	Request string            `json:"request"`
	Made    time.Time         `json:"made"`
	Rows    map[string]int    `json:"rows"`  // by "source/table"
	Files   map[string]string `json:"files"` // name to SHA-256
}

// maxRows bounds what is kept in memory at once.
const maxRows = 1_000_000

type table struct {
	Name    string
	Columns []string
	Rows    [][]any
}

// Write writes a person's bundle to w: a ZIP archive, sealed. The event comes
// first: an export that nobody recorded is not made.
func Write(ctx context.Context, w io.Writer, tenant, subject, request string, seal Sealer, rec auditlog.Recorder, sources ...Source) (Manifest, error) {
	if tenant == "" || subject == "" || request == "" || seal == nil || rec == nil || len(sources) == 0 {
		return Manifest{}, errors.New("export: tenant, subject, request, sealer, recorder and a source must be given")
	}
	tables, err := collect(ctx, tenant, subject, sources)
	if err != nil {
		return Manifest{}, errors.Join(err, record(ctx, rec, auditlog.Failed, tenant, subject, request, 0))
	}
	m := Manifest{Request: request, Made: time.Now().UTC().Truncate(time.Second), Rows: map[string]int{}, Files: map[string]string{}}
	n := 0
	for _, t := range tables {
		m.Rows[t.Name] = len(t.Rows)
		n += len(t.Rows)
	}
	if err := record(ctx, rec, auditlog.Success, tenant, subject, request, n); err != nil {
		return Manifest{}, err
	}
	sealed, err := seal(w)
	if err != nil {
		return Manifest{}, fmt.Errorf("export: %w", err)
	}
	if err := archive(sealed, tables, &m); err != nil {
		return Manifest{}, err
	}
	if err := sealed.Close(); err != nil {
		return Manifest{}, fmt.Errorf("export: %w", err)
	}
	return m, nil
}

func record(ctx context.Context, rec auditlog.Recorder, o auditlog.Outcome, tenant, subject, request string, rows int) error {
	err := rec.Record(ctx, auditlog.Event{
		Action: "privacy.export.create", Outcome: o, Tenant: tenant, Targets: []auditlog.Target{{Type: "subject", ID: subject}},
		Attrs: []auditlog.Attr{auditlog.String("request", request), auditlog.Int("rows", rows)},
	})
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func collect(ctx context.Context, tenant, subject string, sources []Source) ([]*table, error) {
	var tables []*table
	rows := 0
	for _, s := range sources {
		byName := map[string]*table{}
		err := s.Export(ctx, tenant, subject, func(name string, columns []string, row []any) error {
			if rows++; rows > maxRows || len(row) != len(columns) {
				return fmt.Errorf("more than %d rows, or a row that does not fit its columns", maxRows)
			}
			t := byName[name]
			if t == nil {
				t = &table{Name: s.Name() + "/" + name, Columns: slices.Clone(columns)}
				byName[name] = t
				tables = append(tables, t)
			}
			t.Rows = append(t.Rows, slices.Clone(row))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("export: %s: %w", s.Name(), err)
		}
	}
	return tables, nil
}

func archive(w io.Writer, tables []*table, m *Manifest) error {
	z := zip.NewWriter(w)
	add := func(name string, data []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: m.Made})
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			return fmt.Errorf("export: %s: %w", name, err)
		}
		sum := sha256.Sum256(data)
		m.Files[name] = hex.EncodeToString(sum[:])
		return nil
	}
	data, err := asJSON(tables)
	if err != nil {
		return err
	}
	if err := add("data.json", data); err != nil {
		return err
	}
	for i, t := range tables {
		// Numbered, because names of tables may not be names of files.
		if err := add(fmt.Sprintf("%02d-%s.csv", i+1, fileName(t.Name)), asCSV(t)); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, struct {
		*Manifest
		Tables []*table
	}{m, tables}); err != nil {
		return fmt.Errorf("export: page: %w", err)
	}
	if err := add("index.html", page.Bytes()); err != nil {
		return err
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := add("manifest.json", manifest); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, s)
}

func asJSON(tables []*table) ([]byte, error) {
	out := make(map[string][]map[string]any, len(tables))
	for _, t := range tables {
		for _, row := range t.Rows {
			m := make(map[string]any, len(row))
			for i, c := range t.Columns {
				m[c] = plain(row[i])
			}
			out[t.Name] = append(out[t.Name], m)
		}
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return data, nil
}

// plain shows bytes that are text as text: drivers hand either out.
func plain(v any) any {
	if b, ok := v.([]byte); ok && strings.ToValidUTF8(string(b), "") == string(b) {
		return string(b)
	}
	return v
}

func asCSV(t *table) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	cells := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cells[i] = textsafe.CSV(c)
	}
	_ = w.Write(cells) // a buffer takes everything
	for _, row := range t.Rows {
		for i := range cells {
			cells[i] = textsafe.CSV(text(row[i]))
		}
		_ = w.Write(cells)
	}
	w.Flush()
	return b.Bytes()
}

func text(v any) string {
	switch x := plain(v).(type) {
	case nil:
		return ""
	case time.Time:
		return x.Format(time.RFC3339Nano)
	case []byte:
		return hex.EncodeToString(x)
	default:
		return fmt.Sprint(x)
	}
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"text": text}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Your data</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;display:block;overflow-x:auto}th,td{border:1px solid #ccc;padding:.25rem .5rem;text-align:left;vertical-align:top}th{background:#f3f3f3}</style>
</head><body><main><h1>Your data</h1>
<p>Request {{.Request}}, made on {{.Made.Format "2 January 2006"}}. The same data is in data.json and in the CSV files.</p>
{{range .Tables}}<h2>{{.Name}}</h2><table><thead><tr>{{range .Columns}}<th scope="col">{{.}}</th>{{end}}</tr></thead>
<tbody>{{range .Rows}}<tr>{{range .}}<td>{{text .}}</td>{{end}}</tr>{{end}}</tbody></table>
{{else}}<p>We hold no data about you.</p>{{end}}</main></body></html>
`))
