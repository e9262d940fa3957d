package service

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/blindindex"
	"github.com/surety-go/surety/integrity"
	"github.com/surety-go/surety/privacy/erasure"
)

const peopleTable = `CREATE TABLE IF NOT EXISTS people (
	tenant      TEXT    NOT NULL CHECK (tenant <> ''),
	id          TEXT    NOT NULL CHECK (id <> ''),
	manager     TEXT    NOT NULL,
	title       TEXT    NOT NULL,
	departed    TEXT    NOT NULL,
	name        BLOB    NOT NULL,
	email       BLOB    NOT NULL,
	national_id BLOB    NOT NULL,
	version     INTEGER NOT NULL,
	erased      INTEGER NOT NULL,
	mac         BLOB    NOT NULL,
	email_bidx  BLOB,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS people_email ON people (tenant, email_bidx)`

// A Person is one employee's file. The tags say what the fields are; purposes
// decide which of them a reader sees.
type Person struct {
	Tenant     string `sec:"class=internal"`
	ID         string `sec:"class=internal"`
	Manager    string `sec:"class=internal"`
	Title      string `sec:"class=internal"`
	Departed   string `sec:"class=internal"` // the last day of work; empty: still here
	Name       string `sec:"pii,category=user.name,purpose=directory|payroll|benefits,retention=P7Y,encrypt"`
	Email      string `sec:"pii,category=user.contact.email,purpose=payroll|benefits,retention=P7Y,encrypt,index=email_bidx,norm=lower"`
	NationalID string `sec:"pii,class=restricted,category=user.government_id,purpose=payroll,retention=P7Y,encrypt" db:"national_id"`
	Version    int64  `sec:"class=internal"`
	Erased     bool   `sec:"class=internal"`
}

// Errors of the store.
var (
	errNoPerson = errors.New("records: there is no such file")
	errStale    = errors.New("records: the file has changed since it was read")
)

// people keeps files with their personal fields sealed under the person's key
// and every row under a MAC.
type people struct {
	db    *sql.DB
	vault vault
	keys  erasure.Destroyer
	rows  *integrity.Rows
	// emails makes what a file is found by. The row's MAC leaves it out: what is
	// found is opened and compared, and erasing empties it first of all.
	emails *blindindex.Index
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
	mac                     []byte
	emailIndex              []byte // written, never read
}

const columns = "id, manager, title, departed, name, email, national_id, version, erased, mac"

func (s *sealed) scan(tenant string, row interface{ Scan(...any) error }) error {
	s.Tenant = tenant
	return row.Scan(&s.ID, &s.Manager, &s.Title, &s.Departed, &s.name, &s.email, &s.nationalID, &s.Version, &s.Erased, &s.mac)
}

// integrity is the row as the seal of rows sees it.
func (s *sealed) integrity() integrity.Row {
	r := integrity.Row{Tenant: s.Tenant, Table: "people", Key: s.ID, Version: s.Version, Columns: []integrity.Column{
		{Name: "manager", Value: []byte(s.Manager)},
		{Name: "title", Value: []byte(s.Title)},
		{Name: "departed", Value: []byte(s.Departed)},
		{Name: "name", Value: s.name},
		{Name: "email", Value: s.email},
		{Name: "national_id", Value: s.nationalID},
		{Name: "erased", Value: []byte(strconv.FormatBool(s.Erased))},
	}}
	copy(r.MAC[:], s.mac)
	return r
}

// write stores a row in place of the old one, or as a new one, with its MAC
// and the table's head, in one transaction.
func (p *people) write(ctx context.Context, old *sealed, s sealed) error {
	row := s.integrity()
	row.MAC = p.rows.Seal(row)
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	var removed *integrity.Row
	if old == nil {
		_, err = tx.ExecContext(ctx, "INSERT INTO people (tenant, "+columns+", email_bidx) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			s.Tenant, s.ID, s.Manager, s.Title, s.Departed, s.name, s.email, s.nationalID, s.Version, s.Erased, row.MAC[:], s.emailIndex)
	} else {
		before := old.integrity()
		removed = &before
		err = p.replace(ctx, tx, old, s, row.MAC)
	}
	if err != nil {
		return err
	}
	if err := p.setHead(ctx, tx, s.Tenant, removed, &row); err != nil {
		return err
	}
	return tx.Commit()
}

func (p *people) replace(ctx context.Context, tx *sql.Tx, old *sealed, s sealed, mac integrity.MAC) error {
	r, err := tx.ExecContext(ctx, `UPDATE people SET title = ?, departed = ?, name = ?, email = ?, national_id = ?, version = ?, erased = ?, mac = ?, email_bidx = ?
		WHERE tenant = ? AND id = ? AND mac = ?`,
		s.Title, s.Departed, s.name, s.email, s.nationalID, s.Version, s.Erased, mac[:], s.emailIndex, s.Tenant, s.ID, old.mac)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errStale, err)
	}
	return nil
}

// insert stores a new file.
func (p *people) insert(ctx context.Context, person Person) error {
	s, err := p.seal(ctx, person)
	if err != nil {
		return err
	}
	return p.write(ctx, nil, s)
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

// row reads one file as it is stored, and checks that the service wrote it.
func (p *people) row(ctx context.Context, tenant, id string) (sealed, error) {
	var s sealed
	err := s.scan(tenant, p.db.QueryRowContext(ctx, "SELECT "+columns+" FROM people WHERE tenant = ? AND id = ?", tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return sealed{}, errNoPerson
	}
	if err != nil {
		return sealed{}, err
	}
	return s, p.rows.Verify(ctx, s.integrity())
}

// read opens one file.
func (p *people) read(ctx context.Context, tenant, id string) (Person, error) {
	s, err := p.row(ctx, tenant, id)
	if err != nil {
		return Person{}, err
	}
	return p.openAll(ctx, &s)
}

func (p *people) openAll(ctx context.Context, s *sealed) (Person, error) {
	if err := p.openName(ctx, s); err != nil || s.Erased {
		return s.Person, err
	}
	var err error
	if s.Email, err = p.open(ctx, s, "email", s.email); err != nil {
		return Person{}, err
	}
	s.NationalID, err = p.open(ctx, s, "national_id", s.nationalID)
	return s.Person, err
}

// update changes a file by a function, if nobody else has changed it
// meanwhile.
func (p *people) update(ctx context.Context, tenant, id string, change func(*Person)) (Person, error) {
	old, err := p.row(ctx, tenant, id)
	if err != nil {
		return Person{}, err
	}
	person, err := p.openAll(ctx, &old)
	if err != nil {
		return Person{}, err
	}
	if person.Erased {
		return Person{}, errNoPerson
	}
	change(&person)
	person.Version++
	s, err := p.seal(ctx, person)
	if err != nil {
		return Person{}, err
	}
	return person, p.write(ctx, &old, s)
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
	var err error
	s.emailIndex, err = p.emails.Value(ctx, person.Tenant, person.Email)
	return s, err
}

// find returns the ids of the files with an e-mail address. Only rows that the
// index names are opened, and compared, because a truncated hash may match
// others.
func (p *people) find(ctx context.Context, tenant, email string) (found []string, err error) {
	values, err := p.emails.Search(ctx, tenant, email)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		ids, err := p.query(ctx, "SELECT id FROM people WHERE tenant = ? AND email_bidx = ? ORDER BY id LIMIT 100", tenant, v)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			person, err := p.read(ctx, tenant, id)
			if err != nil {
				return nil, err
			}
			if !person.Erased && strings.EqualFold(person.Email, strings.TrimSpace(email)) {
				found = append(found, id)
			}
		}
	}
	return found, nil
}

func (p *people) open(ctx context.Context, s *sealed, column string, value []byte) (string, error) {
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
	s.Name, err = p.open(ctx, s, "name", s.name)
	return err
}

// A filePlace is the table as erasure sees it.
type filePlace struct{ *people }

// Name is the place's name in reports.
func (filePlace) Name() string { return "people" }

// Erase empties a person's row; the row itself stays, so that references to
// it keep meaning something.
func (p filePlace) Erase(ctx context.Context, tenant, id string) error {
	old, err := p.row(ctx, tenant, id)
	if errors.Is(err, errNoPerson) || err == nil && old.Erased {
		return nil
	}
	if err != nil {
		return err
	}
	empty := sealed{Person: Person{Tenant: tenant, ID: id, Manager: old.Manager, Departed: old.Departed, Version: old.Version + 1, Erased: true}}
	empty.name, empty.email, empty.nationalID = []byte{}, []byte{}, []byte{}
	return p.write(ctx, &old, empty)
}

// Remains counts fields of a person that still hold something.
func (p filePlace) Remains(ctx context.Context, tenant, id string) (int, error) {
	s, err := p.row(ctx, tenant, id)
	if errors.Is(err, errNoPerson) {
		return 0, nil
	}
	n := 0
	for _, value := range [][]byte{[]byte(s.Title), s.name, s.email, s.nationalID} {
		if len(bytes.TrimSpace(value)) > 0 {
			n++
		}
	}
	return n, err
}
