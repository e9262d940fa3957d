package erasuresql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/surety-go/surety/internal/sqldb"
)

// A table is what a plan needs to know of one.
type table struct {
	name     string
	columns  map[string]bool // to whether it may be NULL
	order    []string        // the columns in their order
	key      []string        // primary key; empty for none
	rowid    bool            // SQLite: a table with row ids
	prefixes [][]string      // the columns of each index, in order
}

// A foreignKey is a reference of a child's columns to a parent's.
type foreignKey struct {
	child, parent     string
	columns, referred []string
}

func (f foreignKey) String() string { return f.child + "." + strings.Join(f.columns, ",") }

type schema struct {
	tables map[string]*table
	keys   []foreignKey
}

func readSchema(ctx context.Context, tx *sqldb.Tx) (*schema, error) {
	if tx.Dialect() == sqldb.PostgreSQL {
		return readPostgres(ctx, tx)
	}
	return readSQLite(ctx, tx)
}

func readSQLite(ctx context.Context, tx *sqldb.Tx) (*schema, error) {
	s := &schema{tables: map[string]*table{}}
	err := tx.Rows(ctx, func(r *sql.Rows) error {
		var name string
		var without bool
		if err := r.Scan(&name, &without); err != nil {
			return err
		}
		s.tables[name] = &table{name: name, columns: map[string]bool{}, rowid: !without}
		return nil
	}, `SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'`)
	if err != nil {
		return nil, fmt.Errorf("erasuresql: tables: %w", err)
	}
	err = tx.Rows(ctx, func(r *sql.Rows) error {
		var t, c string
		var notNull bool
		var pk int
		if err := r.Scan(&t, &c, &notNull, &pk); err != nil {
			return err
		}
		s.tables[t].columns[c] = !notNull && pk == 0
		s.tables[t].order = append(s.tables[t].order, c)
		if pk > 0 {
			s.tables[t].key = append(s.tables[t].key, c)
		}
		return nil
	}, `SELECT t.name, c.name, c."notnull", c.pk FROM pragma_table_list t JOIN pragma_table_info(t.name) c
		WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid`)
	if err != nil {
		return nil, fmt.Errorf("erasuresql: columns: %w", err)
	}
	if err := sqliteKeys(ctx, tx, s); err != nil {
		return nil, err
	}
	return s, s.indexes(ctx, tx, `SELECT t.name, i.name, c.name FROM pragma_table_list t JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c
		WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND i.partial = 0 AND c.name IS NOT NULL ORDER BY t.name, i.name, c.seqno`)
}

func sqliteKeys(ctx context.Context, tx *sqldb.Tx, s *schema) error {
	last := -1
	err := tx.Rows(ctx, func(r *sql.Rows) error {
		var child, parent, from string
		var to sql.NullString
		var id, seq int
		if err := r.Scan(&child, &id, &seq, &parent, &from, &to); err != nil {
			return err
		}
		parent = s.named(parent)
		if seq == 0 {
			s.keys = append(s.keys, foreignKey{child: child, parent: parent})
		}
		last = len(s.keys) - 1
		f := &s.keys[last]
		f.columns = append(f.columns, from)
		if !to.Valid && s.tables[parent] != nil && seq < len(s.tables[parent].key) { // the parent's primary key is meant
			to.String = s.tables[parent].key[seq]
		}
		f.referred = append(f.referred, to.String)
		return nil
	}, `SELECT t.name, f.id, f.seq, f."table", f."from", f."to" FROM pragma_table_list t JOIN pragma_foreign_key_list(t.name) f
		WHERE t.schema = 'main' AND t.type = 'table' ORDER BY t.name, f.id, f.seq`)
	if err != nil {
		return fmt.Errorf("erasuresql: foreign keys: %w", err)
	}
	return nil
}

// named finds a table by its name in whatever letter case SQLite accepts.
func (s *schema) named(name string) string {
	for t := range s.tables {
		if strings.EqualFold(t, name) {
			return t
		}
	}
	return name
}

func readPostgres(ctx context.Context, tx *sqldb.Tx) (*schema, error) {
	s := &schema{tables: map[string]*table{}}
	err := tx.Rows(ctx, func(r *sql.Rows) error {
		var t, c string
		var nullable, pk bool
		if err := r.Scan(&t, &c, &nullable, &pk); err != nil {
			return err
		}
		if s.tables[t] == nil {
			s.tables[t] = &table{name: t, columns: map[string]bool{}}
		}
		s.tables[t].columns[c] = nullable
		s.tables[t].order = append(s.tables[t].order, c)
		if pk {
			s.tables[t].key = append(s.tables[t].key, c)
		}
		return nil
	}, `SELECT c.relname, a.attname, NOT a.attnotnull, COALESCE(a.attnum = ANY(p.conkey), false)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname, a.attnum`)
	if err != nil {
		return nil, fmt.Errorf("erasuresql: columns: %w", err)
	}
	err = tx.Rows(ctx, func(r *sql.Rows) error {
		var name, child, parent, from, to string
		var n int
		if err := r.Scan(&name, &child, &parent, &n, &from, &to); err != nil {
			return err
		}
		if n == 1 {
			s.keys = append(s.keys, foreignKey{child: child, parent: parent})
		}
		f := &s.keys[len(s.keys)-1]
		f.columns, f.referred = append(f.columns, from), append(f.referred, to)
		return nil
	}, `SELECT f.conname, c.relname, p.relname, k.n, a.attname, b.attname
		FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
		CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k (x, y, n)
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.x JOIN pg_attribute b ON b.attrelid = p.oid AND b.attnum = k.y
		WHERE f.contype = 'f' AND f.conparentid = 0 AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname, f.conname, k.n`)
	if err != nil {
		return nil, fmt.Errorf("erasuresql: foreign keys: %w", err)
	}
	return s, s.indexes(ctx, tx, `SELECT c.relname, i.indexrelid::text, a.attname
		FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (x, n)
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.x
		WHERE c.relnamespace = current_schema()::regnamespace AND i.indpred IS NULL AND i.indisvalid ORDER BY c.relname, i.indexrelid, k.n`)
}

// indexes reads table, index, column in order.
func (s *schema) indexes(ctx context.Context, tx *sqldb.Tx, query string) error {
	last := ""
	err := tx.Rows(ctx, func(r *sql.Rows) error {
		var t, index, column string
		if err := r.Scan(&t, &index, &column); err != nil {
			return err
		}
		x := s.tables[t]
		if x == nil {
			return nil
		}
		if last != t+"\x00"+index {
			x.prefixes = append(x.prefixes, nil)
		}
		last = t + "\x00" + index
		x.prefixes[len(x.prefixes)-1] = append(x.prefixes[len(x.prefixes)-1], column)
		return nil
	}, query)
	if err != nil {
		return fmt.Errorf("erasuresql: indexes: %w", err)
	}
	return nil
}

// indexed reports whether rows can be found by the columns: an index or the
// primary key begins with them.
func (t *table) indexed(columns []string) bool {
	for _, p := range append(t.prefixes, t.key) {
		if len(p) < len(columns) {
			continue
		}
		all := true
		for _, c := range columns {
			all = all && slices.Contains(p[:len(columns)], c)
		}
		if all {
			return true
		}
	}
	return false
}
