package erasuresql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/surety-go/surety/internal/sqldb"
)

// Options are the options of a [Place].
type Options struct {
	Name  string // the place's name in reports; empty is "sql"
	Roots []Root // at least one
	// Rules are by referring column, "table.column", or "table.a,b" for keys
	// of several columns.
	Rules map[string]Rule
	// Personal lists the tables that hold personal data, as the inventory
	// knows them: each must be reached.
	Personal []string
	// Waive lists problems, as [Problem.String] writes them, that someone
	// looked at and takes responsibility for.
	Waive []string
	// Batch is how many rows a transaction changes; 0 is 500.
	Batch int

	sqlite bool
}

// A Place is a database as an erasure.Place. It is safe for concurrent use.
type Place struct {
	db   *sqldb.DB
	o    Options
	plan Plan
	s    *schema
}

// Open reads the schema and makes the plan. The pool stays the caller's.
// Problems that are not waived are an [ErrPlan]; [Inspect] lists them.
func Open(ctx context.Context, pool *sql.DB, o Options) (*Place, error) {
	p, err := open(ctx, pool, o)
	if err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(p.plan.Problems), func(x Problem) bool { return slices.Contains(o.Waive, x.String()) })
	if len(left) > 0 {
		return nil, fmt.Errorf("%w: %v", ErrPlan, left)
	}
	return p, nil
}

// Inspect returns the plan for a schema, with its problems.
func Inspect(ctx context.Context, pool *sql.DB, o Options) (Plan, error) {
	p, err := open(ctx, pool, o)
	if err != nil {
		return Plan{}, err
	}
	return p.plan, nil
}

func open(ctx context.Context, pool *sql.DB, o Options) (*Place, error) {
	if len(o.Roots) == 0 || o.Batch < 0 {
		return nil, errors.New("erasuresql: Options need a root and no negative batch")
	}
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("erasuresql: %w", err)
	}
	if o.Name == "" {
		o.Name = "sql"
	}
	if o.Batch == 0 {
		o.Batch = 500
	}
	o.sqlite = db.Dialect == sqldb.SQLite
	p := &Place{db: db, o: o}
	err = db.View(ctx, "schema", func(tx *sqldb.Tx) error { // the catalogue is the same for all tenants
		p.s, err = readSchema(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.plan, err = newPlan(p.s, o)
	return p, err
}

// Name is the place's name.
func (p *Place) Name() string { return p.o.Name }

// Plan returns what an erasure does.
func (p *Place) Plan() Plan { return p.plan }

func (s *Step) args(tenant, subject string) []any {
	if s.tenant {
		return []any{tenant, subject}
	}
	return []any{subject}
}

// A Count is how many rows a step finds.
type Count struct {
	Step Step
	Rows int
}

// DryRun counts what an erasure would change, and changes nothing.
func (p *Place) DryRun(ctx context.Context, tenant, subject string) ([]Count, error) {
	var counts []Count
	err := p.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		counts = nil
		for _, s := range p.plan.Steps {
			n := 0
			if err := tx.Row(ctx, "SELECT COUNT(*) FROM "+quote(s.Table)+" WHERE "+s.where, s.args(tenant, subject)...).Scan(&n); err != nil {
				return fmt.Errorf("erasuresql: %s: %w", s.Path, err)
			}
			counts = append(counts, Count{s, n})
		}
		return nil
	})
	return counts, err
}

// Remains counts the person's rows.
func (p *Place) Remains(ctx context.Context, tenant, subject string) (int, error) {
	counts, err := p.DryRun(ctx, tenant, subject)
	n := 0
	for _, c := range counts {
		n += c.Rows
	}
	return n, err
}

// Erase removes the person's rows, batch by batch.
func (p *Place) Erase(ctx context.Context, tenant, subject string) error {
	for {
		done, err := p.EraseBatch(ctx, tenant, subject)
		if done || err != nil {
			return err
		}
	}
}

// EraseBatch removes one batch and reports whether nothing is left. An
// erasure.Eraser looks for legal holds before each.
func (p *Place) EraseBatch(ctx context.Context, tenant, subject string) (done bool, err error) {
	for _, s := range p.plan.Steps {
		var n int64
		err := p.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
			n, err = tx.Exec(ctx, p.statement(s), append(s.args(tenant, subject), p.o.Batch)...)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("erasuresql: %s: %w", s.Path, err)
		}
		if n > 0 {
			return false, nil
		}
	}
	return true, nil
}

// statement changes at most a batch of a step's rows.
func (p *Place) statement(s Step) string {
	t := p.s.tables[s.Table]
	key := tuple(t.key)
	switch {
	case p.db.Dialect == sqldb.PostgreSQL:
		key = "ctid"
	case len(t.key) == 0 || t.rowid:
		key = "rowid"
	}
	rows := key
	if key != "ctid" && key != "rowid" {
		rows = list(t.key)
	}
	in := " WHERE " + key + " IN (SELECT " + rows + " FROM " + quote(s.Table) + " WHERE " + s.where + " LIMIT ?)"
	if key == "ctid" { // an array is looked up row by row, where IN would read the table
		in = " WHERE ctid = ANY (ARRAY (SELECT ctid FROM " + quote(s.Table) + " WHERE " + s.where + " LIMIT ?))"
	}
	if s.Rule == Unlink {
		return "UPDATE " + quote(s.Table) + " SET " + quote(s.columns[0]) + " = NULL" + in
	}
	return "DELETE FROM " + quote(s.Table) + in
}

// Statement is the statement of a step of the plan, for a look at how the
// database would run it. Its arguments are the tenant, if the root has one,
// the subject and the size of a batch.
func (p *Place) Statement(step int) string {
	return p.db.Dialect.Rebind(p.statement(p.plan.Steps[step]))
}

// Subjects lists the account ids in the first root, behind one of them, for
// erasure.Eraser.Replay.
func (p *Place) Subjects(ctx context.Context, tenant, after string, limit int) ([]string, error) {
	r := p.o.Roots[0]
	query, args := "SELECT "+quote(r.Subject)+" FROM "+quote(r.Table)+" WHERE 1 = 1", []any(nil)
	if after != "" {
		query, args = query+" AND "+quote(r.Subject)+" > ?", []any{after}
	}
	if r.Tenant != "" {
		query, args = query+" AND "+quote(r.Tenant)+" = ?", append(args, tenant)
	}
	var ids []string
	err := p.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		ids = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}, query+" ORDER BY 1 LIMIT ?", append(args, limit)...)
	})
	if err != nil {
		return nil, fmt.Errorf("erasuresql: %w", err)
	}
	return ids, nil
}

// Export reads the person's rows, table by table, for export.Bundle. Rows that
// would be unlinked are someone else's and are left out.
func (p *Place) Export(ctx context.Context, tenant, subject string, yield func(table string, columns []string, row []any) error) error {
	return p.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		for _, name := range p.deleted() {
			where, args := p.rowsOf(name, tenant, subject)
			columns := p.s.tables[name].order
			err := tx.Rows(ctx, func(rows *sql.Rows) error {
				row, to := make([]any, len(columns)), make([]any, len(columns))
				for i := range row {
					to[i] = &row[i]
				}
				if err := rows.Scan(to...); err != nil {
					return err
				}
				return yield(name, columns, row)
			}, "SELECT "+list(columns)+" FROM "+quote(name)+" WHERE "+where, args...)
			if err != nil {
				return fmt.Errorf("erasuresql: %s: %w", name, err)
			}
		}
		return nil
	})
}

// deleted lists the tables whose rows are the person's, from the roots.
func (p *Place) deleted() []string {
	var names []string
	for i := len(p.plan.Steps) - 1; i >= 0; i-- {
		if s := p.plan.Steps[i]; s.Rule == Delete && !slices.Contains(names, s.Table) {
			names = append(names, s.Table)
		}
	}
	return names
}

// rowsOf is the condition for a person's rows of a table, by whichever way
// they are found.
func (p *Place) rowsOf(table, tenant, subject string) (where string, args []any) {
	for _, s := range p.plan.Steps {
		if s.Table != table || s.Rule != Delete {
			continue
		}
		if where != "" {
			where += " OR "
		}
		where += "(" + s.where + ")"
		args = append(args, s.args(tenant, subject)...)
	}
	return where, args
}
