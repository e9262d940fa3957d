package service

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/ratelimit/upload"
)

const documentsTable = `CREATE TABLE IF NOT EXISTS documents (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	person  TEXT NOT NULL CHECK (person <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	type    TEXT NOT NULL,
	content BLOB NOT NULL,
	PRIMARY KEY (tenant, person, id)
) WITHOUT ROWID`

// documents are what is kept beside a person's file: contracts, scans. Each is
// sealed under the person's key, and let in only after a scanner saw it.
type documents struct {
	db    *sql.DB
	vault vault
	gate  *upload.Gate
}

func (s *Service) openDocuments(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, documentsTable); err != nil {
		return fmt.Errorf("table of documents: %w", err)
	}
	scanner := s.o.Scanner
	if scanner == nil {
		scanner = noScanner{}
	}
	gate, err := upload.New(scanner, s.recorder, upload.Options{
		MaxBytes: 1 << 20, Types: []string{"application/pdf", "image/png", "image/jpeg", "text/plain"},
	})
	if err != nil {
		return err
	}
	s.documents = &documents{s.db, s.keys, gate}
	if s.o.Scanner != nil {
		s.mount(gate)
	}
	return nil
}

// noScanner stands where none is configured: nothing is let in.
type noScanner struct{}

var errNoScanner = errors.New("no scanner is configured (-clamd)")

// Scan gives no verdict.
func (noScanner) Scan(context.Context, io.Reader) (upload.Verdict, error) {
	return upload.Verdict{}, errNoScanner
}

// binding ties a ciphertext to its place.
func (d *documents) binding(tenant, person, id string) crypto.Binding {
	return crypto.Binding{Tenant: tenant, Subject: person, Table: "documents", Column: "content", Row: id}
}

// add stores a document that was let in.
func (d *documents) add(ctx context.Context, tenant, person, kind string, content []byte) (id string, err error) {
	b := make([]byte, 8)
	rand.Read(b)
	id = hex.EncodeToString(b)
	sealed, err := d.vault.Seal(ctx, nil, content, d.binding(tenant, person, id))
	if err != nil {
		return "", fmt.Errorf("records: seal document: %w", err)
	}
	_, err = d.db.ExecContext(ctx, "INSERT INTO documents (tenant, person, id, type, content) VALUES (?, ?, ?, ?, ?)", tenant, person, id, kind, sealed)
	return id, err
}

// addDocument takes a document for a file, behind the scanner. The person must
// be there and not be erased.
func (s *Service) addDocument(w http.ResponseWriter, r *http.Request) {
	p, _ := authn.FromContext(r.Context())
	person := r.PathValue("id")
	if !validID(person) {
		guard.Refuse(w, r, refusal(errNoPerson))
		return
	}
	target(r.Context(), person)
	row, err := s.people.row(r.Context(), p.Tenant, person)
	if err == nil && row.Erased {
		err = errNoPerson
	}
	if err == nil {
		err = s.gate.Check(r.Context(), p.Tenant, person)
	}
	if err != nil {
		guard.Refuse(w, r, refusal(err))
		return
	}
	content, err := io.ReadAll(r.Body) // the gate has bounded it
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	kind, _, _ := strings.Cut(http.DetectContentType(content), ";")
	id, err := s.documents.add(r.Context(), p.Tenant, person, kind, content)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, map[string]any{"id": id, "type": kind, "bytes": len(content)})
}

// Name is the place's name in reports and answers.
func (*documents) Name() string { return "documents" }

// Erase removes a person's documents.
func (d *documents) Erase(ctx context.Context, tenant, person string) error {
	_, err := d.db.ExecContext(ctx, "DELETE FROM documents WHERE tenant = ? AND person = ?", tenant, person)
	return err
}

// Remains counts a person's documents.
func (d *documents) Remains(ctx context.Context, tenant, person string) (n int, err error) {
	err = d.db.QueryRowContext(ctx, "SELECT count(*) FROM documents WHERE tenant = ? AND person = ?", tenant, person).Scan(&n)
	return n, err
}

// Export opens all of a person's documents: it is they who ask.
func (d *documents) Export(ctx context.Context, tenant, person string, yield func(string, []string, []any) error) error {
	rows, err := d.db.QueryContext(ctx, "SELECT id, type, content FROM documents WHERE tenant = ? AND person = ?", tenant, person)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, kind string
		var sealed []byte
		if err := rows.Scan(&id, &kind, &sealed); err != nil {
			return err
		}
		content, err := d.vault.Open(ctx, nil, sealed, d.binding(tenant, person, id))
		if err != nil {
			return fmt.Errorf("records: open document %s: %w", id, err)
		}
		if err := yield("documents", []string{"id", "type", "content"}, []any{id, kind, content}); err != nil {
			return err
		}
	}
	return rows.Err()
}
