package sqldb

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Set is one package's migrations: files named NNNN_words.sqlite.sql and
// NNNN_words.postgres.sql, numbered from 0001 without gaps. A file without a
// dialect, NNNN_words.sql, serves both. They are forward-only: an applied file
// must never change.
//
// A file holds statements that end in semicolons, and none that begins or ends
// a transaction. A statement with semicolons inside that are neither in quotes
// nor in dollar quotes, as SQLite's triggers have, stands between the lines
// "-- begin" and "-- end".
type Set struct {
	Name string // the package's name, unique in a database
	FS   fs.FS  // usually an embed.FS
	Dir  string // the folder in FS; empty is its root
}

type migration struct {
	number     int
	name       string
	statements []string
	checksum   string // SHA-256 of the file, in hexadecimal
}

func (m migration) String() string { return fmt.Sprintf("%04d_%s", m.number, m.name) }

var fileName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+?)(?:\.(sqlite|postgres))?\.sql$`)

// read lists a set's migrations for a dialect, by number.
func (s Set) read(d Dialect) ([]migration, error) {
	list, err := s.readAll(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMigration, s.Name, err)
	}
	return list, nil
}

func (s Set) readAll(d Dialect) ([]migration, error) {
	if s.Name == "" || s.FS == nil {
		return nil, errors.New("a set needs a Name and an FS")
	}
	dir := path.Join(".", s.Dir)
	entries, err := fs.ReadDir(s.FS, dir)
	if err != nil {
		return nil, err //nolint:wrapcheck // read wraps it
	}
	var list []migration
	for _, e := range entries {
		part := fileName.FindStringSubmatch(e.Name())
		if part == nil {
			return nil, fmt.Errorf("file name %q: want 0001_words.sql, .sqlite.sql or .postgres.sql", e.Name())
		}
		if part[3] == "sqlite" && d != SQLite || part[3] == "postgres" && d != PostgreSQL {
			continue
		}
		m, err := s.file(path.Join(dir, e.Name()), part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b migration) int { return a.number - b.number })
	for i, m := range list {
		if m.number != i+1 {
			return nil, fmt.Errorf("number %04d for %v, want %04d", m.number, d, i+1)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no files for %v", d)
	}
	return list, nil
}

// file reads one migration; part is what fileName found.
func (s Set) file(name string, part []string) (migration, error) {
	text, err := fs.ReadFile(s.FS, name)
	if err != nil {
		return migration{}, err //nolint:wrapcheck // read wraps it
	}
	list, err := statements(string(text))
	if err != nil {
		return migration{}, err
	}
	for _, statement := range list {
		if word := firstWord(statement); slices.Contains(transactional, word) {
			return migration{}, fmt.Errorf("a statement begins with %s: a file is applied in one transaction", word)
		}
	}
	number, _ := strconv.Atoi(part[1]) // four digits
	sum := sha256.Sum256(text)
	return migration{number, part[2], list, hex.EncodeToString(sum[:])}, nil
}

// transactional are the words that begin statements which would end, or nest
// in, a migration's transaction and give up its lock.
var transactional = []string{"ABORT", "BEGIN", "COMMIT", "END", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"}

func firstWord(statement string) string {
	s := strings.TrimSpace(uncomment(statement))
	return strings.ToUpper(s[:len(s)-len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))])
}
