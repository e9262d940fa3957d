package crypto

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
	"github.com/surety-go/surety/crypto/field"
	"github.com/surety-go/surety/internal/integration/servers"
)

// person is a row as sqlc would generate it, with Sealed for its types.
type person struct {
	ID        int64                `sec:"class=internal"`
	Subject   string               `sec:"class=internal"`
	Email     field.Sealed[string] `sec:"pii,encrypt,index=email_bidx,norm=lower"`
	EmailBidx []byte               `sec:"class=internal"`
	Salary    field.Sealed[int64]  `sec:"class=restricted,encrypt"`
}

// app is an application with a table of people.
type app struct {
	db     *sql.DB
	kek    *cryptotest.KEK
	rec    *auditlogtest.Recorder
	keeper *crypto.Keeper
	people *field.Codec[person]
}

func newApp(t *testing.T, db *sql.DB, kek *cryptotest.KEK, rec *auditlogtest.Recorder) *app {
	t.Helper()
	a := &app{db: db, kek: kek, rec: rec}
	var err error
	a.keeper, err = crypto.NewKeeper(kek, store(t, db), rec, crypto.Options{
		Cache: crypto.CachePolicy{RevokeCheck: 100 * time.Millisecond},
		Clear: func(ctx context.Context, _, subject string) error {
			_, err := db.ExecContext(ctx, "UPDATE people SET email_bidx = NULL WHERE subject = ?", subject)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.keeper.Close() })
	a.people, err = field.New[person](a.keeper, rec, "people", field.Options{Distinct: map[string]int{"Email": 1_000_000}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func idOf(p *person) field.ID {
	return field.ID{Tenant: "acme", Subject: p.Subject, Row: fmt.Sprint(p.ID)}
}

func (a *app) insert(t *testing.T, p person) {
	t.Helper()
	const statement = "INSERT INTO people (id, subject, email, email_bidx, salary) VALUES (?, ?, ?, ?, ?)"
	if _, err := a.db.ExecContext(t.Context(), statement, p.ID, p.Subject, p.Email, p.EmailBidx, p.Salary); !errors.Is(err, field.ErrUnsealed) {
		t.Errorf("a plain row was stored: %v", err)
	}
	id := idOf(&p)
	if err := a.people.SealStruct(t.Context(), id, &p); err != nil {
		t.Fatal(err)
	}
	if _, err := a.db.ExecContext(t.Context(), statement, p.ID, p.Subject, p.Email, p.EmailBidx, p.Salary); err != nil {
		t.Fatal(err)
	}
}

// find returns the people with the address, opened.
func (a *app) find(t *testing.T, email string) (found []person) {
	t.Helper()
	values, err := a.people.Search(t.Context(), "acme", "Email", email)
	if err != nil {
		t.Fatal(err)
	}
	args := make([]any, len(values))
	for i := range values {
		args[i] = values[i]
	}
	rows, err := a.db.QueryContext(t.Context(), "SELECT id, subject, email, email_bidx, salary FROM people WHERE email_bidx IN (?"+strings.Repeat(", ?", len(args)-1)+") ORDER BY id", args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var p person
		if err := rows.Scan(&p.ID, &p.Subject, &p.Email, &p.EmailBidx, &p.Salary); err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for i := range found {
		if err := a.people.OpenStruct(t.Context(), idOf(&found[i]), &found[i]); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// salaries are the sealed salaries after a row, as a job reads them.
func (a *app) salaries(ctx context.Context, after string) iter.Seq2[crypto.Stored, error] {
	return func(yield func(crypto.Stored, error) bool) {
		for {
			var p person
			var sealed []byte
			err := a.db.QueryRowContext(ctx, "SELECT id, subject, salary FROM people WHERE id > CAST(? AS INTEGER) ORDER BY id LIMIT 1", after).Scan(&p.ID, &p.Subject, &sealed)
			if errors.Is(err, sql.ErrNoRows) {
				return
			}
			after = fmt.Sprint(p.ID)
			s := crypto.Stored{
				Binding: crypto.Binding{Tenant: "acme", Subject: p.Subject, Table: "people", Column: "salary", Row: after}, Sealed: sealed,
				Replace: func(ctx context.Context, fresh []byte) error {
					_, err := a.db.ExecContext(ctx, "UPDATE people SET salary = ? WHERE id = ? AND salary = ?", fresh, p.ID, sealed)
					return err
				},
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

func newPeople(t *testing.T) (*app, *sql.DB) {
	t.Helper()
	db := sqlite(t)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE people (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, email BLOB, email_bidx BLOB, salary BLOB)"); err != nil {
		t.Fatal(err)
	}
	a := newApp(t, db, cryptotest.NewKEK("kek"), &auditlogtest.Recorder{})
	for i := range int64(12) {
		a.insert(t, person{ID: i + 1, Subject: fmt.Sprint("u-", i%4), Email: field.Of(fmt.Sprintf("Person%d@Example.org", i+1)), Salary: field.Of(1000 * (i + 1))})
	}
	return a, db
}

// Rotating data keys and index keys while the application reads and writes.
func TestRotationInAnApplication(t *testing.T) {
	a, _ := newPeople(t)
	for _, s := range []crypto.Scope{{Tenant: "acme", Subject: "u-0"}, {Tenant: "acme", Subject: "u-1"}, crypto.IndexScope("acme", "people", "email")} {
		if err := a.keeper.Rotate(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	a.insert(t, person{ID: 20, Subject: "u-0", Email: field.Of("person1@example.org"), Salary: field.Of(int64(5))})
	found := a.find(t, " PERSON1@example.org")
	if len(found) != 2 || found[0].ID != 1 || found[1].ID != 20 {
		t.Fatalf("found %v", found)
	}
	if v, err := found[0].Salary.Get(); err != nil || v != 1000 {
		t.Errorf("%d, %v", v, err)
	}

	rep, err := a.keeper.ResealAll(t.Context(), a.salaries(t.Context(), "0"), crypto.ResealOptions{})
	if err != nil || rep.Seen != 13 || rep.Resealed != 6 || rep.Last.Row != "20" {
		t.Errorf("%+v, %v", rep, err)
	}
	rep, err = a.keeper.ResealAll(t.Context(), a.salaries(t.Context(), "0"), crypto.ResealOptions{})
	if err != nil || rep.Resealed != 0 {
		t.Errorf("again: %+v, %v", rep, err)
	}
}

// A person is erased, then a backup of the day before is restored.
func TestErasureSurvivesARestore(t *testing.T) {
	a, db := newPeople(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if _, err := db.ExecContext(t.Context(), "VACUUM INTO ?", backup); err != nil {
		t.Fatal(err)
	}
	receipt, err := a.keeper.Destroy(t.Context(), "acme", "u-1", "request 17")
	if err != nil || !receipt.Cleared || !receipt.OpenFailed || len(receipt.Destroyed) != 1 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	if found := a.find(t, "person2@example.org"); len(found) != 0 {
		t.Errorf("an erased person is found: %v", found)
	}

	old, err := sql.Open("sqlite", servers.SQLiteDSN(backup))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	restored := newApp(t, old, a.kek, a.rec)
	if found := restored.find(t, "person2@example.org"); len(found) != 1 {
		t.Fatalf("the backup holds %d such people: the test shows nothing", len(found))
	}
	entries := a.rec.Entries()
	for i := range entries {
		if err := restored.keeper.Replay(t.Context(), &entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	if found := restored.find(t, "person2@example.org"); len(found) != 0 {
		t.Error("the restored blind index still finds the person")
	}
	var email field.Sealed[string]
	if err := old.QueryRowContext(t.Context(), "SELECT email FROM people WHERE id = 2").Scan(&email); err != nil {
		t.Fatal(err)
	}
	p := person{ID: 2, Subject: "u-1", Email: email}
	if err := restored.people.OpenStruct(t.Context(), idOf(&p), &p); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("the restored person opens: %v", err)
	}
	if found := restored.find(t, "person1@example.org"); len(found) != 1 {
		t.Errorf("others are gone too: %d", len(found))
	}
	if err := restored.people.SealStruct(t.Context(), idOf(&p), &person{Email: field.Of("x")}); !errors.Is(err, crypto.ErrShredded) {
		t.Errorf("a new key was made for an erased person: %v", err)
	}
}

// Somebody with access to the database exchanges two people's salaries, and
// puts plaintext in a third.
func TestEditedRows(t *testing.T) {
	a, db := newPeople(t)
	for _, edit := range []string{
		"UPDATE people SET salary = (SELECT salary FROM people WHERE id = 9) WHERE id = 1", // of the same person, even
		"UPDATE people SET salary = email WHERE id = 2",
		"UPDATE people SET salary = X'3939393939' WHERE id = 3",
	} {
		if _, err := db.ExecContext(t.Context(), edit); err != nil {
			t.Fatal(err)
		}
	}
	for id := int64(1); id <= 3; id++ {
		var p person
		err := db.QueryRowContext(t.Context(), "SELECT id, subject, salary FROM people WHERE id = ?", id).Scan(&p.ID, &p.Subject, &p.Salary)
		if err == nil {
			err = a.people.OpenStruct(t.Context(), idOf(&p), &p)
		}
		if !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("row %d: %v", id, err)
		}
	}
}

// Sealed goes through pgx as it goes through SQLite's driver.
func TestSealedOnPostgres(t *testing.T) {
	db := postgres(t)
	a := newApp(t, db, cryptotest.NewKEK("kek"), &auditlogtest.Recorder{})
	p := person{ID: 1, Subject: "u-1", Email: field.Of("ada@example.org")}
	if err := db.QueryRowContext(t.Context(), "SELECT CAST($1 AS BYTEA)", p.Email).Scan(&p.Email); !errors.Is(err, field.ErrUnsealed) {
		t.Errorf("a plain value was sent: %v", err)
	}
	if err := a.people.SealStruct(t.Context(), idOf(&p), &p); err != nil {
		t.Fatal(err)
	}
	q := person{ID: 1, Subject: "u-1"}
	if err := db.QueryRowContext(t.Context(), "SELECT CAST($1 AS BYTEA), CAST($2 AS BYTEA)", p.Email, p.Salary).Scan(&q.Email, &q.Salary); err != nil {
		t.Fatal(err)
	}
	if err := a.people.OpenStruct(t.Context(), idOf(&q), &q); err != nil {
		t.Fatal(err)
	}
	if v, err := q.Email.Get(); err != nil || v != "ada@example.org" || !q.Salary.IsNull() {
		t.Errorf("%q, %v", v, err)
	}
}
