// Package cryptosql keeps wrapped data keys and tombstones in SQLite and
// PostgreSQL.
//
//	err := cryptosql.Migrate(ctx, owner)        // as the tables' owner
//	store, err := cryptosql.New(ctx, pool)      // as the runtime role
//	keeper, err := crypto.NewKeeper(kek, store, log, crypto.Options{})
//
// Whoever writes the tables can destroy keys, which is denial of service, and
// with a backup put destroyed ones back, which crypto.Keeper.Replay undoes;
// they can't read a key, nor have one used in another's place. Destroying
// overwrites the wrapped form in the row; SQLite should run with PRAGMA
// secure_delete = ON so that its pages don't keep it.
package cryptosql

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the tables.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "crypto", FS: migrations, Dir: "migrations"})
}

// Tables lists the tables, which the runtime role reads and writes.
func Tables() []string { return []string{"crypto_keys", "crypto_tombstones"} }

// A Store is a [crypto.KeyStore] in SQL.
type Store struct {
	db *sqldb.DB
	// The questions that a cold key costs, prepared. On SQLite only, where one
	// statement needs no transaction to see one state, nor for its tenant.
	get, latest *sql.Stmt
}

var _ crypto.KeyStore = (*Store)(nil)

// New uses a migrated database. The pool stays the caller's.
func New(ctx context.Context, pool *sql.DB) (*Store, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("cryptosql: %w", err)
	}
	s := &Store{db: db}
	if db.Dialect != sqldb.SQLite {
		return s, nil
	}
	// They live as long as the pool.
	if s.get, err = pool.PrepareContext(ctx, getSQL); err == nil {
		s.latest, err = pool.PrepareContext(ctx, latestSQL)
	}
	if err != nil {
		return nil, fmt.Errorf("cryptosql: prepare: %w", err)
	}
	return s, nil
}

// lock keeps an insertion and a destruction of the same subject, or of the
// tenant, apart: without it, an insertion that looked for a tombstone before
// there was one could commit after the destruction. SQLite has one writer.
func lock(ctx context.Context, tx *sqldb.Tx, tenant, subject string, exclusive bool) error {
	if tx.Dialect() != sqldb.PostgreSQL {
		return nil
	}
	const shared = "SELECT pg_advisory_xact_lock_shared(hashtextextended(CAST(? AS TEXT), 0))"
	const whole = "SELECT pg_advisory_xact_lock(hashtextextended(CAST(? AS TEXT), 0))"
	name := "surety crypto " + tenant
	locks := [][2]string{{shared, name}, {shared, name + "\x01" + subject}}
	if exclusive {
		locks[1][0] = whole
	}
	if subject == "" {
		locks = locks[:1]
		if exclusive {
			locks[0][0] = whole
		}
	}
	for _, l := range locks {
		if _, err := tx.Exec(ctx, l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}

// erased reports whether a tombstone stands for the subject or the tenant.
func erased(ctx context.Context, tx *sqldb.Tx, tenant, subject string) (bool, error) {
	var n int
	err := tx.Row(ctx, "SELECT COUNT(*) FROM crypto_tombstones WHERE tenant = ? AND subject IN (?, '') AND allowed <= at", tenant, subject).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("cryptosql: tombstones: %w", err)
	}
	return n > 0, nil
}

// Insert adds a key.
func (s *Store) Insert(ctx context.Context, r crypto.Record) error {
	return s.db.Tx(ctx, r.Tenant, func(tx *sqldb.Tx) error {
		if err := lock(ctx, tx, r.Tenant, r.Subject, false); err != nil {
			return err
		}
		gone, err := erased(ctx, tx, r.Tenant, r.Subject)
		if err != nil {
			return err
		}
		if gone {
			return crypto.ErrShredded
		}
		_, err = tx.Exec(ctx, `INSERT INTO crypto_keys
			(tenant, id, subject, use_for, version, algorithm, kek, wrapped, created, reserved)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.Tenant, r.ID[:], r.Subject, r.Use, r.Version, int(r.Algorithm), r.KEK, r.Wrapped, r.Created.UnixMicro(), int64(r.Reserved))
		if sqldb.Duplicate(err) {
			return crypto.ErrExists
		}
		return err
	})
}

const columns = "id, subject, use_for, version, algorithm, kek, wrapped, created, reserved, destroyed"

func scan(tenant string, row interface{ Scan(...any) error }, more ...any) (crypto.Record, error) {
	r := crypto.Record{Scope: crypto.Scope{Tenant: tenant}}
	var id []byte
	var algorithm, created, reserved, destroyed int64
	err := row.Scan(append([]any{&id, &r.Subject, &r.Use, &r.Version, &algorithm, &r.KEK, &r.Wrapped, &created, &reserved, &destroyed}, more...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return crypto.Record{}, crypto.ErrNotFound
	}
	if err != nil {
		return crypto.Record{}, fmt.Errorf("cryptosql: scan: %w", err)
	}
	if len(id) != len(r.ID) || algorithm < 0 || algorithm > 255 || reserved < 0 {
		return crypto.Record{}, fmt.Errorf("cryptosql: %w: a stored key has an id of %d bytes and algorithm %d", crypto.ErrTampered, len(id), algorithm)
	}
	r.ID, r.Algorithm, r.Reserved = crypto.KeyID(id), crypto.Algorithm(algorithm), uint64(reserved)
	r.Created = time.UnixMicro(created).UTC()
	if destroyed != 0 {
		r.Destroyed = time.UnixMicro(destroyed).UTC()
	}
	return r, nil
}

const (
	getSQL = "SELECT " + columns + " FROM crypto_keys WHERE tenant = ? AND id = ?"
	// One query answers for the key and its tombstones; without a key, the
	// tombstones are asked for alone.
	latestSQL = "SELECT " + columns + `,
		(SELECT COUNT(*) FROM crypto_tombstones WHERE tenant = ? AND subject IN (?, '') AND allowed <= at)
		FROM crypto_keys WHERE tenant = ? AND subject = ? AND use_for = ? ORDER BY version DESC LIMIT 1`
)

// Get returns a key by id.
func (s *Store) Get(ctx context.Context, tenant string, id crypto.KeyID) (r crypto.Record, err error) {
	if s.get != nil && tenant != "" {
		if r, err = scan(tenant, s.get.QueryRowContext(ctx, tenant, id[:])); !sqldb.Transient(err) {
			return r, err
		}
	}
	err = s.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		r, err = scan(tenant, tx.Row(ctx, getSQL, tenant, id[:]))
		return err
	})
	return r, err
}

// Latest returns the scope's highest version that is not destroyed.
func (s *Store) Latest(ctx context.Context, sc crypto.Scope) (crypto.Record, error) {
	args := []any{sc.Tenant, sc.Subject, sc.Tenant, sc.Subject, sc.Use}
	if s.latest != nil && sc.Tenant != "" {
		var gone int
		got, err := scan(sc.Tenant, s.latest.QueryRowContext(ctx, args...), &gone)
		if !errors.Is(err, crypto.ErrNotFound) && !sqldb.Transient(err) {
			return standing(got, gone, err)
		}
	}
	var r crypto.Record
	err := s.db.View(ctx, sc.Tenant, func(tx *sqldb.Tx) error {
		var gone int
		got, err := scan(sc.Tenant, tx.Row(ctx, latestSQL, args...), &gone)
		if errors.Is(err, crypto.ErrNotFound) {
			buried, err := erased(ctx, tx, sc.Tenant, sc.Subject)
			if err != nil {
				return err
			}
			if buried {
				return crypto.ErrShredded
			}
		}
		r, err = standing(got, gone, err)
		return err
	})
	return r, err
}

// standing is what Latest returns of a key and the number of its tombstones.
func standing(got crypto.Record, gone int, err error) (crypto.Record, error) {
	switch {
	case err != nil:
		return crypto.Record{}, err
	case gone > 0:
		return crypto.Record{}, crypto.ErrShredded
	case !got.Destroyed.IsZero():
		return crypto.Record{Version: got.Version}, crypto.ErrNotFound
	}
	return got, nil
}

// Versions returns the scope's keys that are not destroyed, latest first.
func (s *Store) Versions(ctx context.Context, sc crypto.Scope) ([]crypto.Record, error) {
	return s.list(ctx, sc.Tenant, "WHERE tenant = ? AND subject = ? AND use_for = ? AND destroyed = 0 ORDER BY version DESC", sc.Tenant, sc.Subject, sc.Use)
}

// List returns a page of a tenant's keys in the order of ids.
func (s *Store) List(ctx context.Context, tenant string, after crypto.KeyID, limit int) ([]crypto.Record, error) {
	return s.list(ctx, tenant, "WHERE tenant = ? AND id > ? AND destroyed = 0 ORDER BY id LIMIT ?", tenant, after[:], max(limit, 0))
}

func (s *Store) list(ctx context.Context, tenant, where string, args ...any) (list []crypto.Record, err error) {
	err = s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil // a retry starts over
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			r, err := scan(tenant, rows)
			list = append(list, r)
			return err
		}, "SELECT "+columns+" FROM crypto_keys "+where, args...)
	})
	return list, err
}

// Reserve adds n to a key's uses.
func (s *Store) Reserve(ctx context.Context, tenant string, id crypto.KeyID, n uint64) (total uint64, err error) {
	err = s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		var sum, destroyed int64
		err := tx.Row(ctx, `UPDATE crypto_keys SET reserved = reserved + ? WHERE tenant = ? AND id = ?
			RETURNING reserved, destroyed`, int64(n), tenant, id[:]).Scan(&sum, &destroyed)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return crypto.ErrNotFound
		case err != nil:
			return fmt.Errorf("cryptosql: reserve: %w", err)
		case destroyed != 0:
			return crypto.ErrShredded
		case sum < 0:
			return fmt.Errorf("cryptosql: reserve: the count of uses is %d", sum)
		}
		total = uint64(sum)
		return nil
	})
	return total, err
}

// Rewrap replaces the wrapped key.
func (s *Store) Rewrap(ctx context.Context, tenant string, id crypto.KeyID, old []byte, kek string, wrapped []byte) error {
	return s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE crypto_keys SET kek = ?, wrapped = ?
			WHERE tenant = ? AND id = ? AND wrapped = ? AND destroyed = 0`, kek, wrapped, tenant, id[:], old)
		if err == nil && n == 0 {
			return crypto.ErrConflict
		}
		return err
	})
}

// Destroy removes keys and leaves a tombstone.
func (s *Store) Destroy(ctx context.Context, ts crypto.Tombstone) ([]crypto.Destroyed, error) {
	return s.destroy(ctx, ts, false)
}

// Replay removes keys that were created before a tombstone.
func (s *Store) Replay(ctx context.Context, ts crypto.Tombstone) ([]crypto.Destroyed, error) {
	return s.destroy(ctx, ts, true)
}

func (s *Store) destroy(ctx context.Context, ts crypto.Tombstone, replay bool) (list []crypto.Destroyed, err error) {
	err = s.db.Tx(ctx, ts.Tenant, func(tx *sqldb.Tx) error {
		list = nil // a retry starts over
		if err := lock(ctx, tx, ts.Tenant, ts.Subject, true); err != nil {
			return err
		}
		if err := bury(ctx, tx, ts, replay); err != nil {
			return err
		}
		where, args := "WHERE tenant = ? AND destroyed = 0", []any{ts.Tenant}
		if ts.Subject != "" {
			// The condition on use_for, always true, makes SQLite take the
			// index of scopes instead of reading all of the tenant's keys.
			where, args = where+" AND subject = ? AND use_for >= ''", append(args, ts.Subject)
		}
		if replay {
			where, args = where+" AND created <= ?", append(args, ts.At.UnixMicro())
		}
		err := tx.Rows(ctx, func(rows *sql.Rows) error {
			var id, wrapped []byte
			if err := rows.Scan(&id, &wrapped); err != nil {
				return fmt.Errorf("cryptosql: scan: %w", err)
			}
			if len(id) != len(crypto.KeyID{}) {
				return fmt.Errorf("cryptosql: %w: a stored key has an id of %d bytes", crypto.ErrTampered, len(id))
			}
			list = append(list, crypto.Destroyed{ID: crypto.KeyID(id), WrappedHash: sha256.Sum256(wrapped)})
			return nil
		}, "SELECT id, wrapped FROM crypto_keys "+where, args...)
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b crypto.Destroyed) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		_, err = tx.Exec(ctx, "UPDATE crypto_keys SET destroyed = ?, wrapped = ? "+where, append([]any{ts.At.UnixMicro(), []byte{}}, args...)...)
		return err
	})
	return list, err
}

// bury makes a tombstone stand. A destruction ends every earlier allowance; a
// replayed one only those before it.
func bury(ctx context.Context, tx *sqldb.Tx, ts crypto.Tombstone, replay bool) error {
	keep := "0"
	if replay {
		keep = "crypto_tombstones.allowed"
	}
	_, err := tx.Exec(ctx, `INSERT INTO crypto_tombstones (tenant, subject, at) VALUES (?, ?, ?)
		ON CONFLICT (tenant, subject) DO UPDATE SET
		at = CASE WHEN excluded.at > crypto_tombstones.at THEN excluded.at ELSE crypto_tombstones.at END,
		allowed = `+keep, ts.Tenant, ts.Subject, ts.At.UnixMicro())
	return err
}

// Allow ends a tombstone.
func (s *Store) Allow(ctx context.Context, tenant, subject string, at time.Time) error {
	return s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE crypto_tombstones SET allowed = ? WHERE tenant = ? AND subject = ? AND allowed < ?",
			at.UnixMicro(), tenant, subject, at.UnixMicro())
		return err
	})
}
