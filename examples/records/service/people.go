package service

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/surety-go/surety/crypto"
)

const peopleTable = `CREATE TABLE IF NOT EXISTS people (
	tenant      TEXT    NOT NULL CHECK (tenant <> ''),
	id          TEXT    NOT NULL CHECK (id <> ''),
	manager     TEXT    NOT NULL,
	title       TEXT    NOT NULL,
	name        BLOB    NOT NULL,
	email       BLOB    NOT NULL,
	national_id BLOB    NOT NULL,
	version     INTEGER NOT NULL,
	erased      INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID`

// A Person is one employee's file. The tags say what the fields are; the data
// map, the encryption and the tests read them.
type Person struct {
	Tenant     string `sec:"class=internal"`
	ID         string `sec:"class=internal"`
	Manager    string `sec:"class=internal"`
	Title      string `sec:"class=internal"`
	Name       string `sec:"pii,category=user.name,purpose=directory|payroll|benefits,retention=P7Y,encrypt"`
	Email      string `sec:"pii,category=user.contact.email,purpose=payroll|benefits,retention=P7Y,encrypt"`
	NationalID string `sec:"pii,class=restricted,category=user.government_id,purpose=payroll,retention=P7Y,encrypt" db:"national_id"`
	Version    int64  `sec:"class=internal"`
	Erased     bool   `sec:"class=internal"`
}

// Errors of the store.
var (
	errNoPerson = errors.New("records: there is no such file")
	errStale    = errors.New("records: the file has changed since it was read")
)

// people keeps files with their personal fields sealed under the person's key.
type people struct {
	db    *sql.DB
	vault vault
}

// A vault seals and opens single values; the keeper of keys is one.
type vault interface {
	Seal(ctx context.Context, dst, plain []byte, b crypto.Binding) ([]byte, error)
	Open(ctx context.Context, dst, sealed []byte, b crypto.Binding) ([]byte, error)
}

// binding ties a ciphertext to its place: moved to another row, column or
// tenant it does not open.
func binding(tenant, id, column string) crypto.Binding {
	return crypto.Binding{Tenant: tenant, Subject: id, Table: "people", Column: column, Row: id}
}

// sealed is a row as it stands in the database.
type sealed struct {
	Person
	name, email, nationalID []byte
}

const columns = "id, manager, title, name, email, national_id, version, erased"

func (s *sealed) scan(tenant string, row interface{ Scan(...any) error }) error {
	s.Tenant = tenant
	return row.Scan(&s.ID, &s.Manager, &s.Title, &s.name, &s.email, &s.nationalID, &s.Version, &s.Erased)
}

// insert stores a new file.
func (p *people) insert(ctx context.Context, person Person) error {
	s, err := p.seal(ctx, person)
	if err != nil {
		return err
	}
	_, err = p.db.ExecContext(ctx, "INSERT INTO people (tenant, "+columns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		s.Tenant, s.ID, s.Manager, s.Title, s.name, s.email, s.nationalID, s.Version, s.Erased)
	return err
}

// list returns the files of a tenant with what the directory shows: names and
// titles. Other fields stay sealed.
func (p *people) list(ctx context.Context, tenant string) ([]Person, error) {
	rows, err := p.db.QueryContext(ctx, "SELECT "+columns+" FROM people WHERE tenant = ? ORDER BY id", tenant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Person
	for rows.Next() {
		var s sealed
		if err := s.scan(tenant, rows); err != nil {
			return nil, err
		}
		if err := p.openName(ctx, &s); err != nil {
			return nil, err
		}
		list = append(list, s.Person)
	}
	return list, rows.Err()
}

// row reads one file as it is stored.
func (p *people) row(ctx context.Context, tenant, id string) (sealed, error) {
	var s sealed
	err := s.scan(tenant, p.db.QueryRowContext(ctx, "SELECT "+columns+" FROM people WHERE tenant = ? AND id = ?", tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return sealed{}, errNoPerson
	}
	return s, err
}

// read opens one file.
func (p *people) read(ctx context.Context, tenant, id string) (Person, error) {
	s, err := p.row(ctx, tenant, id)
	if err != nil {
		return Person{}, err
	}
	if err := p.openName(ctx, &s); err != nil || s.Erased {
		return s.Person, err
	}
	if s.Email, err = p.open(ctx, s, "email", s.email); err != nil {
		return Person{}, err
	}
	s.NationalID, err = p.open(ctx, s, "national_id", s.nationalID)
	return s.Person, err
}

// update replaces a file if it is still at the version that was read.
func (p *people) update(ctx context.Context, person Person) (Person, error) {
	s, err := p.seal(ctx, person)
	if err != nil {
		return Person{}, err
	}
	r, err := p.db.ExecContext(ctx, `UPDATE people SET title = ?, name = ?, email = ?, national_id = ?, version = version + 1
		WHERE tenant = ? AND id = ? AND version = ? AND erased = 0`,
		s.Title, s.name, s.email, s.nationalID, s.Tenant, s.ID, s.Version)
	if err != nil {
		return Person{}, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return Person{}, errors.Join(errStale, err)
	}
	person.Version++
	return person, nil
}

func (p *people) seal(ctx context.Context, person Person) (sealed, error) {
	s := sealed{Person: person}
	for _, f := range []struct {
		column, value string
		dst           *[]byte
	}{{"name", person.Name, &s.name}, {"email", person.Email, &s.email}, {"national_id", person.NationalID, &s.nationalID}} {
		b, err := p.vault.Seal(ctx, nil, []byte(f.value), binding(person.Tenant, person.ID, f.column))
		if err != nil {
			return sealed{}, fmt.Errorf("records: seal %s: %w", f.column, err)
		}
		*f.dst = b
	}
	return s, nil
}

func (p *people) open(ctx context.Context, s sealed, column string, value []byte) (string, error) {
	b, err := p.vault.Open(ctx, nil, value, binding(s.Tenant, s.ID, column))
	if err != nil {
		return "", fmt.Errorf("records: open %s: %w", column, err)
	}
	return string(b), nil
}

func (p *people) openName(ctx context.Context, s *sealed) (err error) {
	if s.Erased {
		s.Name = "(erased)"
		return nil
	}
	s.Name, err = p.open(ctx, *s, "name", s.name)
	return err
}

// A filePlace is the table as erasure sees it.
type filePlace struct{ *people }

// Name is the place's name in reports.
func (filePlace) Name() string { return "people" }

// Erase empties a person's row; the row itself stays, so that references to
// it keep meaning something.
func (p filePlace) Erase(ctx context.Context, tenant, id string) error {
	_, err := p.db.ExecContext(ctx, `UPDATE people SET title = '', name = x'', email = x'', national_id = x'',
		erased = 1, version = version + 1 WHERE tenant = ? AND id = ? AND erased = 0`, tenant, id)
	return err
}

// Remains counts fields of a person that still hold something.
func (p filePlace) Remains(ctx context.Context, tenant, id string) (n int, err error) {
	err = p.db.QueryRowContext(ctx, `SELECT COALESCE(SUM((title <> '') + (length(name) > 0) + (length(email) > 0)
		+ (length(national_id) > 0)), 0) FROM people WHERE tenant = ? AND id = ?`, tenant, id).Scan(&n)
	return n, err
}
