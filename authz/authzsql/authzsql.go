// Package authzsql keeps the changes of a policy, who did which part of a duty,
// and access reviews, in SQLite and PostgreSQL.
//
//	err := authzsql.Migrate(ctx, owner)   // as the tables' owner
//	db, err := authzsql.Open(ctx, pool)   // as the runtime role
//	keeper, err := change.Open(ctx, engine, db, "platform", key, log, change.Options{})
//	go keeper.Watch(ctx, authzsql.Listen(connect))
//
// The runtime role appends entries and replaces the head; it can neither
// change nor delete entries (PostgreSQL). Whoever can write the tables past
// the application can't make an entry that a keeper takes: entries carry MACs.
package authzsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/change"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the tables.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "authz", FS: migrations, Dir: "migrations"}) //nolint:wrapcheck // says where it comes from
}

// AppendOnly lists the tables that the runtime role reads and appends to.
func AppendOnly() []string { return []string{"authz_entry", "authz_duty", "authz_review"} }

// ReadWrite lists the tables that the runtime role reads and changes.
func ReadWrite() []string { return []string{"authz_head"} }

// A DB is a migrated database: a change.Store and a change.History.
type DB struct{ db *sqldb.DB }

var (
	_ change.Store   = (*DB)(nil)
	_ change.History = (*DB)(nil)
)

// Open uses a migrated database. The pool stays the caller's.
func Open(ctx context.Context, pool *sql.DB) (*DB, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("authzsql: %w", err)
	}
	return &DB{db}, nil
}

// errBehind rolls a transaction back that builds on another sequence.
var errBehind = errors.New("authzsql: the sequence is another one")

// batch is how many entries one statement inserts.
const batch = 50

// Append implements change.Store. On PostgreSQL it notifies the channel
// surety_authz with the tenant.
func (d *DB) Append(ctx context.Context, tenant string, list []change.Entry, head change.Head) (bool, error) {
	if len(list) == 0 {
		return false, nil
	}
	err := d.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		if err := advance(ctx, tx, tenant, list[0].Sequence-1, head); err != nil {
			return err
		}
		for rest := list; len(rest) > 0; {
			n := min(batch, len(rest))
			if err := insert(ctx, tx, tenant, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		if tx.Dialect() != sqldb.PostgreSQL {
			return nil
		}
		_, err := tx.Exec(ctx, `SELECT pg_notify('`+channel+`', ?)`, tenant)
		return err //nolint:wrapcheck // says where it comes from
	})
	if errors.Is(err, errBehind) || sqldb.Duplicate(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("authzsql: append: %w", err)
	}
	return true, nil
}

// advance moves the head on from a sequence. It comes first, so that writers
// wait for each other there.
func advance(ctx context.Context, tx *sqldb.Tx, tenant string, from int64, head change.Head) error {
	var n int64
	var err error
	if from == 0 {
		n, err = tx.Exec(ctx, `INSERT INTO authz_head (tenant, sequence, mac) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			tenant, head.Sequence, head.MAC[:])
	} else {
		n, err = tx.Exec(ctx, `UPDATE authz_head SET sequence = ?, mac = ? WHERE tenant = ? AND sequence = ?`,
			head.Sequence, head.MAC[:], tenant, from)
	}
	if err == nil && n != 1 {
		err = errBehind
	}
	return err //nolint:wrapcheck // says where it comes from
}

func insert(ctx context.Context, tx *sqldb.Tx, tenant string, list []change.Entry) error {
	const row = ", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	query := `INSERT INTO authz_entry (tenant, sequence, op, kind, fields, starts, ends, made_by, approver, ticket, reason, made, mac) VALUES` +
		strings.Repeat(row, len(list))[1:]
	args := make([]any, 0, 13*len(list))
	for i := range list {
		e := &list[i]
		fields, err := json.Marshal(e.Rule.Fields)
		if err != nil {
			return err //nolint:wrapcheck // strings are always JSON
		}
		args = append(args, tenant, e.Sequence, int64(e.Op), e.Rule.Kind, string(fields), e.Rule.From, e.Rule.Until,
			e.By, e.Approver, e.Ticket, e.Reason, e.At.UnixMicro(), e.MAC[:])
	}
	_, err := tx.Exec(ctx, query, args...)
	return err //nolint:wrapcheck // says where it comes from
}

// Read implements change.Store.
func (d *DB) Read(ctx context.Context, tenant string, after int64, f func(change.Entry) error) (change.Head, error) {
	var head change.Head
	var list []change.Entry
	err := d.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = list[:0]
		var err error
		if head, err = readHead(ctx, tx, tenant); err != nil {
			return err
		}
		// The entries come with the head of the same moment: one that a
		// change moved on in between would look like entries that are missing,
		// or like some that nobody wrote.
		return tx.Rows(ctx, func(rows *sql.Rows) error { //nolint:wrapcheck // says where it comes from
			e, h, err := scan(rows)
			list, head = append(list, e), h
			return err
		}, `SELECT e.sequence, e.op, e.kind, e.fields, e.starts, e.ends, e.made_by, e.approver, e.ticket, e.reason, e.made, e.mac, h.sequence, h.mac
			FROM authz_entry e LEFT JOIN authz_head h ON h.tenant = e.tenant
			WHERE e.tenant = ? AND e.sequence > ? ORDER BY e.sequence`, tenant, after)
	})
	if err != nil {
		return change.Head{}, fmt.Errorf("authzsql: read: %w", err)
	}
	for _, e := range list {
		if err := f(e); err != nil {
			return head, err
		}
	}
	return head, nil
}

func readHead(ctx context.Context, tx *sqldb.Tx, tenant string) (head change.Head, err error) {
	var mac []byte
	err = tx.Row(ctx, `SELECT sequence, mac FROM authz_head WHERE tenant = ?`, tenant).Scan(&head.Sequence, &mac)
	if errors.Is(err, sql.ErrNoRows) {
		return change.Head{}, nil
	}
	copy(head.MAC[:], mac)
	return head, err //nolint:wrapcheck // the caller says what failed
}

func scan(rows *sql.Rows) (e change.Entry, h change.Head, err error) {
	var op, made int64
	var fields string
	var mac, headMAC []byte
	var sequence sql.NullInt64
	err = rows.Scan(&e.Sequence, &op, &e.Rule.Kind, &fields, &e.Rule.From, &e.Rule.Until,
		&e.By, &e.Approver, &e.Ticket, &e.Reason, &made, &mac, &sequence, &headMAC)
	if err != nil {
		return e, h, err //nolint:wrapcheck // the caller says what failed
	}
	h.Sequence = sequence.Int64
	copy(h.MAC[:], headMAC)
	// What is not what we write is left empty: its MAC then fails.
	if json.Unmarshal([]byte(fields), &e.Rule.Fields) != nil || op < 0 || op > 255 {
		return change.Entry{Sequence: e.Sequence}, h, nil
	}
	e.Op, e.At = change.Op(op), time.UnixMicro(made).UTC()
	copy(e.MAC[:], mac)
	return e, h, nil
}

// Sequence implements change.Store.
func (d *DB) Sequence(ctx context.Context, tenant string) (int64, error) {
	var head change.Head
	err := d.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		head, err = readHead(ctx, tx, tenant)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("authzsql: sequence: %w", err)
	}
	return head.Sequence, nil
}

// Do implements change.History.
func (d *DB) Do(ctx context.Context, tenant, duty, object, subject, action string) (bool, error) {
	done := ""
	err := d.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO authz_duty (tenant, duty, object, subject, act) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			tenant, duty, object, subject, action)
		if err != nil {
			return err //nolint:wrapcheck // says where it comes from
		}
		return tx.Row(ctx, `SELECT act FROM authz_duty WHERE tenant = ? AND duty = ? AND object = ? AND subject = ?`,
			tenant, duty, object, subject).Scan(&done)
	})
	if err != nil {
		return false, fmt.Errorf("authzsql: duty: %w", err)
	}
	return done == action, nil
}

// Rules reads all rules of a table of casbin's SQL adapters: columns ptype
// and v0 to v5. It is for moving in; the table is not changed. The name is
// the application's, of letters, digits and underscores.
func Rules(ctx context.Context, pool *sql.DB, table string) ([]authz.Rule, error) {
	if table == "" || strings.Trim(strings.ToLower(table), "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return nil, errors.New("authzsql: the table's name has letters, digits and underscores")
	}
	rows, err := pool.QueryContext(ctx, "SELECT ptype, v0, v1, v2, v3, v4, v5 FROM "+table+" ORDER BY id") //nolint:gosec // checked above
	if err != nil {
		return nil, fmt.Errorf("authzsql: %s: %w", table, err)
	}
	defer rows.Close() //nolint:errcheck // Err is asked below
	var list []authz.Rule
	for rows.Next() {
		var kind string
		var v [6]sql.NullString
		if err := rows.Scan(&kind, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]); err != nil {
			return nil, fmt.Errorf("authzsql: %s: %w", table, err)
		}
		r := authz.Rule{Kind: kind}
		for _, s := range v {
			if s.String == "" {
				break
			}
			r.Fields = append(r.Fields, s.String)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("authzsql: %s: %w", table, err)
	}
	return list, nil
}
