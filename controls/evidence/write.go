package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/surety-go/surety/internal/textsafe"
)

// A Manifest lists what a bundle holds.
type Manifest struct {
	Version     int               `json:"v"` // 1
	System      string            `json:"system"`
	Demo        bool              `json:"demo"`
	From        time.Time         `json:"from"`
	To          time.Time         `json:"to"`
	Created     time.Time         `json:"created"`
	Populations []PopulationCount `json:"populations,omitempty"`
	Files       []File            `json:"files"` // by name; all but the manifest and its signature
}

// A PopulationCount says how many rows a population has.
type PopulationCount struct {
	Name    string `json:"name"`
	Control string `json:"control"`
	Source  string `json:"source"`
	Columns int    `json:"columns"`
	Rows    int    `json:"rows"`
}

// A File is one file of a bundle.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

const (
	manifestName  = "manifest.json"
	signatureName = "manifest.sig"
	auditLogName  = "auditlog.jsonl"
	// context separates the signature from all others the key may make.
	signatureContext = "surety evidence manifest v1\n"
)

// Write writes a bundle signed with the key. The same content and key give the
// same bytes.
func Write(w io.Writer, c *Content, key ed25519.PrivateKey) (*Manifest, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("evidence: Write: a private key of %d bytes is wanted, got %d", ed25519.PrivateKeySize, len(key))
	}
	files, err := c.files()
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	m := c.manifest(files)
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("evidence: manifest: %w", err)
	}
	signature := ed25519.Sign(key, append([]byte(signatureContext), text...))
	files[manifestName] = text
	files[signatureName] = []byte(base64.StdEncoding.EncodeToString(signature) + "\n")
	return m, writeZip(w, files, c.To)
}

func (c *Content) manifest(files map[string][]byte) *Manifest {
	m := &Manifest{
		Version: 1, System: c.System, Demo: c.Demo,
		From: c.From.UTC(), To: c.To.UTC(), Created: c.Created.UTC(),
	}
	for _, p := range c.Populations {
		m.Populations = append(m.Populations, PopulationCount{p.Name, p.Control, p.Source, len(p.Header), len(p.Rows)})
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[name])
		m.Files = append(m.Files, File{name, int64(len(files[name])), hex.EncodeToString(sum[:])})
	}
	return m
}

// files makes every file but the manifest and its signature.
func (c *Content) files() (map[string][]byte, error) {
	if c.System == "" || c.Catalogue == nil || !c.From.Before(c.To) {
		return nil, errors.New("the content needs a system name, a catalogue and a period")
	}
	files := map[string][]byte{}
	var errs []error
	add := func(name string, data []byte, err error) {
		if err == nil {
			err = validName(name)
		}
		if _, ok := files[name]; ok || name == manifestName || name == signatureName {
			err = fmt.Errorf("the name %q is taken", name)
		}
		if err != nil {
			errs = append(errs, err)
			return
		}
		files[name] = data
	}
	asJSON := func(name string, v any) {
		b, err := json.MarshalIndent(v, "", " ")
		add(name, b, err)
	}
	asJSON("catalogue.json", c.Catalogue)
	asJSON("controls.json", toStated(c.Controls))
	asJSON("history.json", c.History)
	asJSON("findings.json", c.Findings)
	for name, raw := range c.Registers {
		asJSON("registers/"+name+".json", raw)
	}
	for _, p := range c.Populations {
		b, err := p.csv()
		add("populations/"+p.Name+".csv", b, err)
	}
	if c.AuditLog != nil {
		add(auditLogName, c.AuditLog, nil)
	}
	for name, data := range c.Extra {
		if reserved.MatchString(name) {
			errs = append(errs, fmt.Errorf("the name %q is taken", name))
			continue
		}
		add(name, data, nil)
	}
	return files, errors.Join(errs...)
}

// reserved are the names this package gives.
var reserved = regexp.MustCompile(`^(catalogue|controls|history|findings)\.json$|^auditlog\.jsonl$|^registers/|^populations/`)

// csv writes a population so that a spreadsheet runs none of its cells.
func (p *Population) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for i, row := range slices.Concat([][]string{p.Header}, p.Rows) {
		if len(row) != len(p.Header) || len(row) == 0 {
			return nil, fmt.Errorf("population %s: row %d has %d columns, the header %d", p.Name, i, len(row), len(p.Header))
		}
		safe := make([]string, len(row))
		for j, cell := range row {
			safe[j] = textsafe.CSV(cell)
		}
		if err := w.Write(safe); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// writeZip puts the manifest first and the rest by name.
func writeZip(w io.Writer, files map[string][]byte, at time.Time) error {
	names := slices.Sorted(maps.Keys(files))
	slices.SortStableFunc(names, func(a, b string) int { return first(a) - first(b) })
	z := zip.NewWriter(w)
	for _, name := range names {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at.UTC().Truncate(2 * time.Second)})
		if err != nil {
			return fmt.Errorf("evidence: %s: %w", name, err)
		}
		if _, err := f.Write(files[name]); err != nil {
			return fmt.Errorf("evidence: %s: %w", name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return nil
}

func first(name string) int {
	switch name {
	case manifestName:
		return 0
	case signatureName:
		return 1
	}
	return 2
}
