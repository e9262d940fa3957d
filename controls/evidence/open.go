package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/internal/strictjson"
)

// ErrBundle says that a file is no well-formed bundle.
var ErrBundle = errors.New("evidence: not a bundle")

// Limits of a bundle that is read.
const (
	MaxFiles = 10_000
	MaxFile  = 256 << 20 // bytes of one file, unpacked
	MaxTotal = 512 << 20 // bytes of all files, unpacked
)

// A Bundle is a well-formed bundle. Until [Bundle.Check] says so, nothing in
// it is true.
type Bundle struct {
	Content
	Manifest  Manifest
	files     map[string][]byte
	text      []byte // the manifest as it was signed
	signature []byte
	counts    map[string][2]int // columns and rows of each population
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBundle}, args...)...)
}

// nameForm leaves no room for separators of other systems, hidden files or
// names that differ only in case.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){0,7}$`)

func validName(name string) error {
	if len(name) > 200 || !nameForm.MatchString(name) || !fs.ValidPath(name) || strings.Contains(name, "..") {
		return malformed("a file name of %d bytes is not a plain lower-case path", len(name))
	}
	return nil
}

// Open reads a bundle into memory. The error wraps [ErrBundle] when its form
// is wrong.
func Open(r io.ReaderAt, size int64) (*Bundle, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, malformed("%v", err)
	}
	files, err := unpack(z)
	if err != nil {
		return nil, err
	}
	b := &Bundle{files: files, text: files[manifestName]}
	if b.text == nil || files[signatureName] == nil {
		return nil, malformed("%s or %s is missing", manifestName, signatureName)
	}
	b.signature, err = base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(files[signatureName])))
	if err != nil || len(b.signature) != ed25519.SignatureSize {
		return nil, malformed("%s is no Ed25519 signature", signatureName)
	}
	if err := strictjson.Unmarshal(b.text, &b.Manifest); err != nil {
		return nil, malformed("%s: %v", manifestName, err)
	}
	if b.Manifest.Version != 1 {
		return nil, malformed("version %d, this program reads version 1", b.Manifest.Version)
	}
	return b, b.decode()
}

// unpack reads all files within the limits.
func unpack(z *zip.Reader) (map[string][]byte, error) {
	if len(z.File) > MaxFiles {
		return nil, malformed("%d files, limit %d", len(z.File), MaxFiles)
	}
	if z.Comment != "" {
		return nil, malformed("the archive has a comment")
	}
	files := make(map[string][]byte, len(z.File))
	total := int64(0)
	for _, f := range z.File {
		if err := validName(f.Name); err != nil {
			return nil, err
		}
		if _, ok := files[f.Name]; ok {
			return nil, malformed("%s is there twice", f.Name)
		}
		if !f.Mode().IsRegular() || f.Flags&1 != 0 {
			return nil, malformed("%s is no plain file", f.Name)
		}
		data, err := unpackOne(f, min(MaxFile, MaxTotal-total))
		if err != nil {
			return nil, err
		}
		total += int64(len(data))
		files[f.Name] = data
	}
	return files, nil
}

// unpackOne does not believe the size that the archive states.
func unpackOne(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, malformed("%s: %v", f.Name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, malformed("%s: %v", f.Name, err)
	}
	if int64(len(data)) > limit {
		return nil, malformed("%s is too large, limits %d and %d bytes", f.Name, MaxFile, MaxTotal)
	}
	return data, nil
}

// decode reads the files this package knows.
func (b *Bundle) decode() error {
	m := &b.Manifest
	b.System, b.Demo, b.From, b.To, b.Created = m.System, m.Demo, m.From, m.To, m.Created
	cat, err := catalogue.Parse("catalogue.json", b.files["catalogue.json"])
	if err != nil {
		return malformed("%v", err)
	}
	b.Catalogue = cat
	var list []stated
	for name, into := range map[string]any{"controls.json": &list, "history.json": &b.History, "findings.json": &b.Findings} {
		if err := strictjson.Unmarshal(b.files[name], into); err != nil {
			return malformed("%s: %v", name, err)
		}
	}
	b.Controls = fromStated(list)
	b.Registers, b.Extra, b.counts = map[string]json.RawMessage{}, map[string][]byte{}, map[string][2]int{}
	for name, data := range b.files {
		if err := b.decodeFurther(name, data); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bundle) decodeFurther(name string, data []byte) error {
	switch {
	case name == manifestName, name == signatureName:
	case name == auditLogName:
		b.AuditLog = data
	case strings.HasPrefix(name, "registers/"):
		if err := strictjson.Unmarshal(data, new(any)); err != nil {
			return malformed("%s: %v", name, err)
		}
		b.Registers[strings.TrimSuffix(strings.TrimPrefix(name, "registers/"), ".json")] = data
	case strings.HasPrefix(name, "populations/"):
		rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil || len(rows) == 0 {
			return malformed("%s is no CSV with a header", name)
		}
		p := Population{Name: strings.TrimSuffix(strings.TrimPrefix(name, "populations/"), ".csv"), Header: rows[0], Rows: rows[1:]}
		b.counts[p.Name] = [2]int{len(p.Header), len(p.Rows)}
		b.Populations = append(b.Populations, p)
	case !reserved.MatchString(name):
		b.Extra[name] = data
	}
	return nil
}

// signed says what is wrong with the signature.
func (b *Bundle) signed(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("a public key of %d bytes is wanted, got %d", ed25519.PublicKeySize, len(key))
	}
	if !ed25519.Verify(key, append([]byte(signatureContext), b.text...), b.signature) {
		return errors.New("the signature over the manifest is not by this key")
	}
	return nil
}

// listed says how the files differ from the manifest.
func (b *Bundle) listed() (problems []string) {
	known := map[string]bool{manifestName: true, signatureName: true}
	for _, f := range b.Manifest.Files {
		data, ok := b.files[f.Name]
		sum := sha256.Sum256(data)
		switch {
		case known[f.Name]:
			problems = append(problems, fmt.Sprintf("%s is listed twice", clip(f.Name)))
		case !ok:
			problems = append(problems, fmt.Sprintf("%s is listed and missing", clip(f.Name)))
		case int64(len(data)) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256:
			problems = append(problems, fmt.Sprintf("%s is not the file that was listed", f.Name))
		}
		known[f.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		if !known[name] {
			problems = append(problems, fmt.Sprintf("%s is not listed", name))
		}
	}
	return problems
}

// ParsePublicKey reads an Ed25519 public key: PEM (PKIX), or 32 bytes in
// base64.
func ParsePublicKey(text []byte) (ed25519.PublicKey, error) {
	if block, _ := pem.Decode(text); block != nil {
		k, err := x509.ParsePKIXPublicKey(block.Bytes)
		if key, ok := k.(ed25519.PublicKey); ok && err == nil {
			return key, nil
		}
		return nil, errors.New("evidence: the PEM block holds no Ed25519 public key")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, errors.New("evidence: an Ed25519 public key is wanted: PEM, or 32 bytes in base64")
	}
	return b, nil
}

func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
