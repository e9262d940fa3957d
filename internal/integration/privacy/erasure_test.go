package privacy

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/privacy/erasure"
	"github.com/surety-go/surety/privacy/erasure/erasuresql"
	"github.com/surety-go/surety/privacy/record"
)

// company has what makes erasing hard: a chain of keys, a key of two columns,
// people who manage people, a cycle, and someone else's documents that the
// person approved.
var company = []string{
	`CREATE TABLE people (tenant TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, manager TEXT REFERENCES people (id), "na""me" TEXT, favourite INTEGER)`,
	`CREATE INDEX people_manager ON people (manager)`,
	`CREATE TABLE orders (id INTEGER NOT NULL, region INTEGER NOT NULL, person TEXT NOT NULL REFERENCES people (id), PRIMARY KEY (id, region))`,
	`CREATE INDEX orders_person ON orders (person)`,
	`CREATE TABLE items (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, region INTEGER NOT NULL, text TEXT, FOREIGN KEY (order_id, region) REFERENCES orders (id, region))`,
	`CREATE INDEX items_order ON items (order_id, region)`,
	`CREATE TABLE notes (text TEXT, item INTEGER REFERENCES items (id))`,
	`CREATE INDEX notes_item ON notes (item)`,
	`CREATE TABLE documents (id INTEGER PRIMARY KEY, owner TEXT NOT NULL REFERENCES people (id), approved_by TEXT REFERENCES people (id))`,
	`CREATE INDEX documents_owner ON documents (owner)`,
	`CREATE INDEX documents_approved ON documents (approved_by)`,
	`CREATE TABLE logins (tenant TEXT, account TEXT, at TEXT)`,
	`CREATE INDEX logins_account ON logins (account)`,
}

var companyOptions = erasuresql.Options{
	Roots:    []erasuresql.Root{{Table: "people", Subject: "id", Tenant: "tenant"}, {Table: "logins", Subject: "account", Tenant: "tenant"}},
	Rules:    map[string]erasuresql.Rule{"documents.approved_by": erasuresql.Unlink},
	Personal: []string{"people", "notes", "logins"},
	Batch:    2,
}

func exec(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func fill(t testing.TB, db *sql.DB) {
	t.Helper()
	exec(t, db, `INSERT INTO people VALUES ('acme', 'u-0', NULL, 'Boss', NULL), ('acme', 'u-1', 'u-0', 'Ann', NULL), ('acme', 'u-2', 'u-1', 'Bob', NULL), ('globex', 'g-1', NULL, 'Gil', NULL)`,
		`INSERT INTO orders VALUES (1, 1, 'u-1'), (1, 2, 'u-2'), (2, 1, 'u-1')`,
		`INSERT INTO items VALUES (1, 1, 1, 'a'), (2, 1, 1, 'b'), (3, 1, 2, 'bobs'), (4, 2, 1, 'c'), (5, 2, 1, 'd'), (6, 2, 1, 'e')`,
		`INSERT INTO notes VALUES ('x', 1), ('y', 1), ('z', 3)`,
		`INSERT INTO documents VALUES (1, 'u-1', NULL), (2, 'u-2', 'u-1')`,
		`INSERT INTO logins VALUES ('acme', 'u-1', 'x'), ('acme', 'u-1', 'y'), ('acme', 'u-2', 'z'), ('globex', 'u-1', 'other')`)
}

func both(t *testing.T, f func(t *testing.T, db *sql.DB)) {
	t.Run("SQLite", func(t *testing.T) {
		db := servers.SQLite(t)
		exec(t, db, "PRAGMA foreign_keys = ON")
		f(t, db)
	})
	t.Run("PostgreSQL", func(t *testing.T) { f(t, servers.Postgres(t).Owner) })
}

func count(t *testing.T, db *sql.DB, query string) int {
	t.Helper()
	n := 0
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

type noKeys struct{}

func (noKeys) DestroySubject(context.Context, string, string, string) error { return nil }

func open(t *testing.T, db *sql.DB, o erasuresql.Options) *erasuresql.Place {
	t.Helper()
	p, err := erasuresql.Open(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestErasingFollowsForeignKeys(t *testing.T) {
	both(t, func(t *testing.T, db *sql.DB) {
		exec(t, db, company...)
		fill(t, db)
		p := open(t, db, companyOptions)
		counts, err := p.DryRun(t.Context(), "acme", "u-1")
		if err != nil || count(t, db, "SELECT COUNT(*) FROM items") != 6 {
			t.Fatalf("a dry run changed something, or %v", err)
		}
		total := 0
		for _, c := range counts {
			total += c.Rows
		}
		if total != 15 {
			t.Errorf("%d rows: %+v", total, counts)
		}
		eraser, err := erasure.New(noKeys{}, &auditlogtest.Recorder{}, erasure.Options{}, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eraser.Erase(t.Context(), "acme", "u-1", "request 1"); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]int{
			"SELECT COUNT(*) FROM people": 3, "SELECT COUNT(*) FROM people WHERE id = 'u-2' AND manager IS NULL": 1, "SELECT COUNT(*) FROM orders": 1,
			"SELECT COUNT(*) FROM items": 1, "SELECT COUNT(*) FROM notes": 1, "SELECT COUNT(*) FROM documents WHERE id = 2 AND approved_by IS NULL": 1,
			"SELECT COUNT(*) FROM documents": 1, "SELECT COUNT(*) FROM logins": 2,
		} {
			if got := count(t, db, query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
		if n, err := p.Remains(t.Context(), "acme", "u-1"); n != 0 || err != nil {
			t.Errorf("%d remain, %v", n, err)
		}
	})
}

// Batch after batch, with a stop after each: what was left off is taken up.
func TestErasingResumesAfterAnyBatch(t *testing.T) {
	both(t, func(t *testing.T, db *sql.DB) {
		exec(t, db, company...)
		fill(t, db)
		for range 100 {
			done, err := open(t, db, companyOptions).EraseBatch(t.Context(), "acme", "u-1") // a new process each time
			if err != nil {
				t.Fatal(err)
			}
			if count(t, db, "SELECT COUNT(*) FROM items WHERE text = 'bobs'") != 1 {
				t.Fatal("someone else's row is gone")
			}
			if done {
				break
			}
		}
		if n := count(t, db, "SELECT COUNT(*) FROM people WHERE id = 'u-1'"); n != 0 {
			t.Errorf("%d left", n)
		}
	})
}

// Yesterday's backup brings a person back; the ledger, kept elsewhere, knows.
func TestARestoredBackupIsErasedAgain(t *testing.T) {
	both(t, func(t *testing.T, db *sql.DB) {
		exec(t, db, company...)
		fill(t, db)
		ledger, err := erasure.NewLedger(record.NewMemory(), bytes.Repeat([]byte{7}, record.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		p := open(t, db, companyOptions)
		e, err := erasure.New(noKeys{}, &auditlogtest.Recorder{}, erasure.Options{Ledger: ledger}, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Erase(t.Context(), "acme", "u-1", "request 1"); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"notes", "items", "orders", "documents", "logins", "people"} {
			exec(t, db, "DELETE FROM "+table)
		}
		fill(t, db)
		n, err := e.Replay(t.Context(), "acme", erasure.All(t.Context(), "acme", p.Subjects))
		if err != nil || n != 1 {
			t.Errorf("%d replayed, %v", n, err)
		}
		if got := count(t, db, "SELECT COUNT(*) FROM people"); got != 3 {
			t.Errorf("%d people, want 3", got)
		}
		if _, err := e.Verify(t.Context(), "acme", "u-1"); err != nil {
			t.Error(err)
		}
	})
}

func TestExportReadsThePersonsRowsOnce(t *testing.T) {
	both(t, func(t *testing.T, db *sql.DB) {
		exec(t, db, company...)
		fill(t, db)
		rows := map[string]int{}
		err := open(t, db, companyOptions).Export(t.Context(), "acme", "u-1", func(table string, _ []string, row []any) error {
			rows[table]++
			if strings.Contains(fmt.Sprint(row), "bobs") {
				t.Errorf("someone else's row: %v", row)
			}
			return nil
		})
		if got := fmt.Sprint(rows); err != nil || got != "map[documents:1 items:5 logins:2 notes:2 orders:2 people:1]" {
			t.Errorf("%s, %v", got, err)
		}
	})
}

func TestProblemsOfASchemaAreReported(t *testing.T) {
	both(t, func(t *testing.T, db *sql.DB) {
		exec(t, db, `CREATE TABLE a (id TEXT PRIMARY KEY, b TEXT)`, `CREATE TABLE b (a TEXT NOT NULL REFERENCES a (id))`, `CREATE TABLE alone (id TEXT PRIMARY KEY, email TEXT)`)
		o := erasuresql.Options{Roots: []erasuresql.Root{{Table: "a", Subject: "id"}}, Personal: []string{"alone"}}
		plan, err := erasuresql.Inspect(t.Context(), db, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"unreachable alone", "no-index b.a"} {
			if !slices.ContainsFunc(plan.Problems, func(p erasuresql.Problem) bool { return p.String() == want }) {
				t.Errorf("%q is missing in %v", want, plan.Problems)
			}
		}
		if _, err := erasuresql.Open(t.Context(), db, o); !errors.Is(err, erasuresql.ErrPlan) {
			t.Errorf("opened all the same: %v", err)
		}
		for _, p := range plan.Problems {
			o.Waive = append(o.Waive, p.String())
		}
		if _, err := erasuresql.Open(t.Context(), db, o); err != nil {
			t.Errorf("waived: %v", err)
		}
		for _, bad := range []erasuresql.Options{{}, {Roots: []erasuresql.Root{{Table: "x", Subject: "id"}}}, {Roots: []erasuresql.Root{{Table: "a", Subject: "x"}}}, {Roots: o.Roots, Personal: []string{"x"}}} {
			if _, err := erasuresql.Inspect(t.Context(), db, bad); err == nil {
				t.Errorf("%+v was accepted", bad)
			}
		}
	})
}

func TestCyclesAndUnindexedColumnsAreReported(t *testing.T) {
	db := servers.SQLite(t) // which takes keys to tables that come later
	exec(t, db, `CREATE TABLE a (id TEXT PRIMARY KEY, c TEXT NOT NULL REFERENCES c (id))`, `CREATE TABLE b (id TEXT PRIMARY KEY, a TEXT REFERENCES a)`,
		`CREATE TABLE c (id TEXT PRIMARY KEY, b TEXT REFERENCES b (id))`)
	plan, err := erasuresql.Inspect(t.Context(), db, erasuresql.Options{Roots: []erasuresql.Root{{Table: "a", Subject: "id"}}})
	if got, want := fmt.Sprint(plan.Problems), "[cycle a.c no-index a.c no-index b.a no-index c.b not-null a.c]"; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// A plan over 200 tables, and the promise that no step reads a whole table.
func TestPlanOfALargeSchemaAndItsQueries(t *testing.T) {
	db := servers.SQLite(t)
	exec(t, db, `CREATE TABLE t0 (id TEXT PRIMARY KEY)`)
	for i := 1; i < 200; i++ {
		exec(t, db, fmt.Sprintf(`CREATE TABLE t%d (id TEXT PRIMARY KEY, up TEXT REFERENCES t%d (id))`, i, (i-1)/3), fmt.Sprintf(`CREATE INDEX x%d ON t%d (up)`, i, i))
	}
	start := time.Now()
	p := open(t, db, erasuresql.Options{Roots: []erasuresql.Root{{Table: "t0", Subject: "id"}}})
	t.Logf("schema read and planned in %v", time.Since(start))
	if n := len(p.Plan().Steps); n != 200 {
		t.Errorf("%d steps", n)
	}
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+p.Statement(0), "u-1", 500)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, x int
		var detail string
		if err := rows.Scan(&id, &parent, &x, &detail); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(detail, "SCAN") {
			t.Errorf("reads a whole table: %s", detail)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// One of 300,000 on PostgreSQL: every statement goes by indexes.
func TestOneOfManyIsFoundByIndex(t *testing.T) {
	db := servers.Postgres(t).Owner
	exec(t, db, company...)
	exec(t, db, `INSERT INTO people SELECT 'acme', 'u-' || n, NULL, 'x', NULL FROM generate_series(1, 300000) n`,
		`INSERT INTO orders SELECT n, 1, 'u-' || n FROM generate_series(1, 300000) n`, `ANALYZE`)
	p := open(t, db, companyOptions)
	start := time.Now()
	if err := p.Erase(t.Context(), "acme", "u-77777"); err != nil {
		t.Fatal(err)
	}
	t.Logf("one of 300,000 people in %v", time.Since(start))
	for i := range p.Plan().Steps {
		s := p.Plan().Steps[i]
		if s.Table != "orders" && s.Table != "people" {
			continue // the others are empty: reading an empty table is right
		}
		args := []any{"acme", "u-7", 500}
		rows, err := db.QueryContext(t.Context(), "EXPLAIN "+p.Statement(i), args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(line, "Seq Scan") {
				t.Errorf("%s: %s", s.Path, line)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
