package auditlogsql

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate creates or updates the tables. It needs a role that may do that.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "auditlog_outbox", FS: migrations, Dir: "migrations"})
}

// Tables lists the tables the runtime role reads and writes, for grants.
func Tables() []string { return []string{"auditlog_outbox", "auditlog_sequencer"} }

// Options are the settings of an [Outbox].
type Options struct {
	// Sealer seals personal attributes; without one an event that has any is
	// refused.
	Sealer auditlog.Sealer
	// Instance names this instance of the service in heartbeats; default a
	// random name.
	Instance string
}

// minKey is the shortest key in bytes: as long as the MAC.
const minKey = sha256.Size

// An Outbox takes events in the caller's transactions. It is safe for
// concurrent use, and an auditlog.Recorder.
type Outbox struct {
	db       *sqldb.DB
	key      []byte
	opts     Options
	recorded atomic.Int64
}

// New uses a migrated database. The key, of at least 32 bytes and shared by
// all instances and the sequencer, is not kept in the database. The pool stays
// the caller's.
func New(ctx context.Context, pool *sql.DB, key []byte, o Options) (*Outbox, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("auditlogsql: key of %d bytes, want at least %d", len(key), minKey)
	}
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("auditlogsql: %w", err)
	}
	if o.Instance == "" {
		o.Instance = rand.Text()
	}
	return &Outbox{db: db, key: append([]byte(nil), key...), opts: o}, nil
}

// RecordTx records an event in the caller's transaction. On an error the
// caller rolls back.
func (o *Outbox) RecordTx(ctx context.Context, tx *sql.Tx, ev auditlog.Event) error {
	if o.opts.Sealer != nil {
		sealed, err := auditlog.Seal(ctx, o.opts.Sealer, ev)
		if err != nil {
			return err
		}
		ev = sealed
	}
	e, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		return err
	}
	body, err := e.AppendJSON(nil)
	if err != nil {
		return err
	}
	query := o.db.Dialect.Rebind(`INSERT INTO auditlog_outbox (entry, body, mac) VALUES (?, ?, ?)`)
	if _, err := tx.ExecContext(ctx, query, e.ID.String(), string(body), macOf(o.key, string(body))); err != nil {
		return fmt.Errorf("auditlogsql: record %s: %w", e.Action, err)
	}
	o.recorded.Add(1)
	return nil
}

// Record records an event in a transaction of its own. It returns after the
// commit: the event is on the database's disk and comes into the log soon.
func (o *Outbox) Record(ctx context.Context, ev auditlog.Event) error {
	tx, err := o.db.Pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("auditlogsql: record: %w", err)
	}
	if err := o.RecordTx(ctx, tx, ev); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("auditlogsql: record: %w", err)
	}
	return nil
}

// Heartbeat records that this instance is alive and how many events it has
// handed to transactions since it began. Call it on a schedule: an instance
// whose heartbeats go on and whose events stop, or that has no heartbeats
// while it serves, has stopped recording.
func (o *Outbox) Heartbeat(ctx context.Context) error {
	return o.Record(ctx, auditlog.Event{
		Action: "auditlog.outbox.heartbeat", Outcome: auditlog.Success, Actor: auditlog.Actor{Kind: auditlog.System},
		Targets: []auditlog.Target{{Type: "instance", ID: o.opts.Instance}},
		Attrs:   []auditlog.Attr{auditlog.Int("recorded", o.recorded.Load())},
	})
}

// macOf binds a row to the key. The entry's id is in the body.
func macOf(key []byte, body string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("surety outbox 1\x00"))
	m.Write([]byte(body))
	return base64.RawStdEncoding.EncodeToString(m.Sum(nil))
}
