// Package federationsql remembers in SQLite and PostgreSQL what may be used
// once, such as proofs of possession and logout tokens, for all instances of a
// service.
//
//	err := federationsql.Migrate(ctx, owner)     // as the table's owner
//	seen, err := federationsql.Open(ctx, pool)   // as the runtime role
//	v, err := bearer.New(…, bearer.Options{Proofs: seen})
//
// Only hashes are kept. Whoever can write this table can have a proof used
// twice or refused: keep the runtime role to the service.
package federationsql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/surety-go/surety/authn/federation"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the table.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "authn_federation", FS: migrations, Dir: "migrations"}) //nolint:wrapcheck // says where it comes from
}

// Tables lists the tables that the runtime role reads and writes, for grants
// and probes.
func Tables() []string { return []string{"authn_federation_replay"} }

// Replay is a federation.Replay in SQL.
type Replay struct {
	db  *sqldb.DB
	now func() time.Time
}

var _ federation.Replay = (*Replay)(nil)

// Open uses a migrated database. The pool stays the caller's.
func Open(ctx context.Context, pool *sql.DB) (*Replay, error) {
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("federationsql: %w", err)
	}
	return &Replay{db, time.Now}, nil
}

// sweepEvery is how many uses share one removal of what is over.
const sweepEvery = 64

// Use implements federation.Replay: of several at once, one is the first.
func (s *Replay) Use(ctx context.Context, tenant, key string, until time.Time) (bool, error) {
	now, used := s.now().UnixMicro(), sha256.Sum256([]byte(key))
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		if rand.IntN(sweepEvery) == 0 {
			if _, err := tx.Exec(ctx, `DELETE FROM authn_federation_replay WHERE tenant = ? AND until <= ?`, tenant, now); err != nil {
				return err //nolint:wrapcheck // says where it comes from
			}
		}
		n, err = tx.Exec(ctx, `INSERT INTO authn_federation_replay (tenant, used, until) VALUES (?, ?, ?)
			ON CONFLICT (tenant, used) DO UPDATE SET until = excluded.until WHERE authn_federation_replay.until <= ?`,
			tenant, used[:], until.UnixMicro(), now)
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}

// Forget implements federation.Replay.
func (s *Replay) Forget(ctx context.Context, tenant, key string) error {
	used := sha256.Sum256([]byte(key))
	return s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) error { //nolint:wrapcheck // says where it comes from
		_, err := tx.Exec(ctx, `DELETE FROM authn_federation_replay WHERE tenant = ? AND used = ?`, tenant, used[:])
		return err //nolint:wrapcheck // says where it comes from
	})
}
