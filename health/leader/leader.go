// Package leader elects one of several instances by a lease in a database, and
// refuses what a leader writes that has been replaced without noticing.
//
//	err := leader.Migrate(ctx, owner)                  // as the table's owner
//	e, err := leader.New(ctx, pool, "operator", "payroll-run", log, leader.Options{})
//	err = e.Run(ctx, func(ctx context.Context, token int64) error {
//		tx, err := pool.BeginTx(ctx, nil)
//		…
//		if err := e.Fence(ctx, tx, token); err != nil { // leader.ErrFenced: somebody else leads
//			return errors.Join(err, tx.Rollback())
//		}
//		… writes …
//		return tx.Commit()
//	})
//
// A lease alone does not keep two leaders apart: one that was paused, by the
// scheduler, by a virtual machine's move or by garbage collection, wakes up
// after its lease has ended and goes on with what it was about to write. So
// each term has a fencing token that only grows, and [Elector.Fence] holds the
// token against the table inside of the transaction that writes: while it is
// open nobody else can become leader, and a token that was replaced is refused
// by the database. Writes to other systems are fenced if those systems compare
// tokens: hand them the token.
//
// Leases run by the database's clock. A leader counts by its own monotonic
// clock from before it asked, and stops an eighth of the lease early.
//
// Electing a leader promotes no database: health/sqlfailover finds a primary,
// and operators promote one.
package leader

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Errors of elections.
var (
	// ErrFenced says that a write is a former leader's.
	ErrFenced = errors.New("leader: somebody else leads")
	// ErrLost is the cause of a leader's context ending: the lease could not
	// be renewed in time.
	ErrLost = errors.New("leader: the lease is lost")
)

// Migrate creates or updates the table.
func Migrate(ctx context.Context, owner *sql.DB) error {
	return sqldb.Migrate(ctx, owner, sqldb.Set{Name: "health_leader", FS: migrations, Dir: "migrations"})
}

// Tables lists the tables that the runtime role reads and writes, for grants
// and probes.
func Tables() []string { return []string{"health_leader"} }

// Options are the settings of an [Elector].
type Options struct {
	// Lease is how long a leader leads without renewing; default 15 s, 100 ms
	// to 1 h. It is renewed three times as often, and is how long nobody leads
	// after a leader has died.
	Lease time.Duration
	// Instance names this candidate in evidence; default random.
	Instance string
}

// An Elector is one candidate. It is safe for concurrent use; [Elector.Run] is
// called once at a time.
type Elector struct {
	db       *sqldb.DB
	tenant   string
	election string
	rec      auditlog.Recorder
	o        Options

	mu    sync.Mutex
	token int64 // of the present term, or 0
}

// New returns a candidate for an election, in a migrated database. The tenant
// is whose election it is, such as "operator". The pool stays the caller's.
func New(ctx context.Context, pool *sql.DB, tenant, election string, rec auditlog.Recorder, o Options) (*Elector, error) {
	if tenant == "" || election == "" || rec == nil {
		return nil, errors.New("leader: want a tenant, the election's name and a recorder")
	}
	if o.Lease == 0 {
		o.Lease = 15 * time.Second
	}
	if o.Lease < 100*time.Millisecond || o.Lease > time.Hour {
		return nil, fmt.Errorf("leader: Options.Lease is %s, want 100ms to 1h", o.Lease)
	}
	if o.Instance == "" {
		o.Instance = rand.Text()
	}
	if len(o.Instance) > auditlog.MaxName || len(election) > auditlog.MaxName {
		return nil, fmt.Errorf("leader: the election's and the instance's name have at most %d bytes", auditlog.MaxName)
	}
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	return &Elector{db: db, tenant: tenant, election: election, rec: rec, o: o}, nil
}

// Run stands for election until the context ends, and calls lead while it
// leads, each time with a token that is greater than all before it. The context
// that lead gets ends, with the cause [ErrLost], before the lease does; Run
// waits for lead to return, and stands again. If lead returns while it leads,
// the lease is given back and Run returns lead's error. A database that can't
// be reached elects nobody; Run tries again.
func (e *Elector) Run(ctx context.Context, lead func(ctx context.Context, token int64) error) error {
	for {
		t, err := e.acquire(ctx)
		if err == nil && t.token != 0 {
			lost, err := e.term(ctx, t, lead)
			if !lost {
				return err
			}
		}
		// Candidates don't ask in step.
		wait := e.o.Lease/4 + mathrand.N(e.o.Lease/8)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// A term is one time of leading.
type term struct {
	token int64
	asked time.Time // before the lease was asked for, with a monotonic reading
}

// acquire takes the lease if nobody has it. The token is at least the database's
// time, so that it grows even if the row was removed.
func (e *Elector) acquire(ctx context.Context) (term, error) {
	t := term{asked: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, e.o.Lease)
	defer cancel()
	now := clock[e.db.Dialect]
	err := e.db.Tx(ctx, e.tenant, func(tx *sqldb.Tx) error {
		t.token = 0
		err := tx.Row(ctx, `INSERT INTO health_leader (tenant, election, holder, token, expires) VALUES (?, ?, ?, `+now+`, `+now+` + ?)
			ON CONFLICT (tenant, election) DO UPDATE SET holder = excluded.holder,
				token = CASE WHEN excluded.token > health_leader.token THEN excluded.token ELSE health_leader.token + 1 END, expires = excluded.expires
			WHERE health_leader.expires <= `+now+` RETURNING token`,
			e.tenant, e.election, e.o.Instance, e.o.Lease.Microseconds()).Scan(&t.token)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // somebody else leads
		}
		return err
	})
	return t, err
}

// clock is the database's time in microseconds since 1970.
var clock = map[sqldb.Dialect]string{
	sqldb.SQLite:     `CAST(unixepoch('subsec') * 1000000 AS INTEGER)`,
	sqldb.PostgreSQL: `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`,
}

// term leads once. It reports whether the lease was lost, rather than given
// back.
func (e *Elector) term(ctx context.Context, t term, lead func(context.Context, int64) error) (lost bool, err error) {
	if err := e.record(ctx, "health.leader.acquire", auditlog.Success, t.token); err != nil {
		return false, errors.Join(err, e.resign(ctx, t)) // nobody leads without a trace
	}
	e.leads(t.token)
	defer e.leads(0)
	leading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, 1)
	go func() { done <- lead(leading, t.token) }()
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		e.renew(leading, t, stop)
	}()
	err = <-done
	lost = errors.Is(context.Cause(leading), ErrLost)
	stop(nil)
	<-renewed
	if lost {
		return true, e.record(context.WithoutCancel(ctx), "health.leader.lose", auditlog.Failed, t.token)
	}
	return false, errors.Join(err, e.resign(context.WithoutCancel(ctx), t))
}

func (e *Elector) leads(token int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.token = token
}

// renew renews the lease until the context ends, or stops the leader before
// the lease ends.
func (e *Elector) renew(ctx context.Context, t term, stop context.CancelCauseFunc) {
	usable := e.o.Lease - e.o.Lease/8
	end := time.AfterFunc(time.Until(t.asked.Add(usable)), func() { stop(ErrLost) })
	defer end.Stop()
	tick := time.NewTicker(e.o.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		ok, err := e.extend(ctx, t.token)
		switch {
		case err != nil: // unreachable: the timer decides
		case !ok:
			stop(ErrLost)
			return
		default:
			// A timer that has fired has ended the context; this changes nothing.
			end.Reset(time.Until(asked.Add(usable)))
		}
	}
}

// extend renews a lease that has not ended.
func (e *Elector) extend(ctx context.Context, token int64) (bool, error) {
	return e.update(ctx, `UPDATE health_leader SET expires = `+clock[e.db.Dialect]+` + ?
		WHERE tenant = ? AND election = ? AND holder = ? AND token = ? AND expires > `+clock[e.db.Dialect],
		e.o.Lease.Microseconds(), e.tenant, e.election, e.o.Instance, token)
}

// resign gives the lease back, so that another leads at once.
func (e *Elector) resign(ctx context.Context, t term) error {
	ctx, cancel := context.WithTimeout(ctx, e.o.Lease)
	defer cancel()
	if _, err := e.update(ctx, `UPDATE health_leader SET expires = 0 WHERE tenant = ? AND election = ? AND holder = ? AND token = ?`,
		e.tenant, e.election, e.o.Instance, t.token); err != nil {
		return fmt.Errorf("leader: give the lease back: %w", err)
	}
	return e.record(ctx, "health.leader.resign", auditlog.Success, t.token)
}

func (e *Elector) update(ctx context.Context, query string, args ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, e.o.Lease/3)
	defer cancel()
	var n int64
	err := e.db.Tx(ctx, e.tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, query, args...)
		return err
	})
	return n == 1, err
}

// Fence holds a token against the election inside of the caller's transaction.
// It returns [ErrFenced] if somebody else has led since, and the caller rolls
// back. After nil nobody can become leader before the transaction ends; on
// SQLite, with transactions that don't begin IMMEDIATE, its first write fails
// instead. It is called first, in each transaction that only a leader may make. A table that
// can't be read is an error too: nothing is written then.
func (e *Elector) Fence(ctx context.Context, tx *sql.Tx, token int64) error {
	var last int64
	err := e.inTenant(ctx, tx, func() error {
		query := `SELECT token FROM health_leader WHERE tenant = ? AND election = ?`
		if e.db.Dialect == sqldb.PostgreSQL {
			query += ` FOR SHARE` // held until the transaction ends
		}
		return tx.QueryRowContext(ctx, e.db.Dialect.Rebind(query), e.tenant, e.election).Scan(&last)
	})
	if errors.Is(err, sql.ErrNoRows) {
		last, err = -1, nil // nobody leads, and this token is nobody's
	}
	if err != nil {
		return fmt.Errorf("leader: fence: %w", err)
	}
	if last == token {
		return nil
	}
	return errors.Join(ErrFenced, e.record(ctx, "health.leader.fence", auditlog.Denied, token))
}

// inTenant runs a query under the election's tenant in a transaction that may
// be another's.
func (e *Elector) inTenant(ctx context.Context, tx *sql.Tx, query func() error) error {
	if e.db.Dialect != sqldb.PostgreSQL {
		return query()
	}
	var before sql.NullString
	if err := tx.QueryRowContext(ctx, `SELECT current_setting('surety.tenant', true)`).Scan(&before); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `SELECT set_config('surety.tenant', $1, true)`, e.tenant); err != nil {
		return err
	}
	err := query()
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err // the transaction is over
	}
	_, reset := tx.ExecContext(ctx, `SELECT set_config('surety.tenant', $1, true)`, before.String)
	return errors.Join(err, reset)
}

func (e *Elector) record(ctx context.Context, action string, o auditlog.Outcome, token int64) error {
	ev := auditlog.Event{
		Action: action, Outcome: o, Tenant: e.tenant, Actor: auditlog.Actor{ID: e.o.Instance, Kind: auditlog.System},
		Targets: []auditlog.Target{{Type: "election", ID: e.election}}, Attrs: []auditlog.Attr{auditlog.Int("token", token)},
	}
	if o != auditlog.Success {
		ev.Reason = "health.leader"
	}
	if err := e.rec.Record(ctx, ev); err != nil {
		return fmt.Errorf("leader: record %s: %w", action, err)
	}
	return nil
}

// Token is the token of the present term, or 0 when this instance does not
// lead.
func (e *Elector) Token() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.token
}

// Controls describes the election. Its probe fails when nobody leads, and tries
// a token that was replaced.
func (e *Elector) Controls() []controls.Control {
	return []controls.Control{{
		ID: "health.leader", Instance: e.election,
		Parameters: []controls.Parameter{controls.Duration("lease", e.o.Lease)},
		Probe:      e.probe,
	}}
}

func (e *Elector) probe(ctx context.Context) controls.Result {
	var holder string
	var token, left int64
	err := e.db.View(ctx, e.tenant, func(tx *sqldb.Tx) error {
		return tx.Row(ctx, `SELECT holder, token, expires - `+clock[e.db.Dialect]+` FROM health_leader WHERE tenant = ? AND election = ?`,
			e.tenant, e.election).Scan(&holder, &token, &left)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return controls.Failed("nobody has ever led")
	case err != nil:
		return controls.Failed("the election can't be read: %v", err)
	case left <= 0:
		return controls.Failed("nobody leads: the last lease ended %s ago", (time.Duration(-left) * time.Microsecond).Round(time.Millisecond))
	}
	if err := e.probeFence(ctx, token-1); err != nil {
		return controls.Failed("%v", err)
	}
	return controls.Passed("%s leads with token %d, and the token before it is refused", holder, token)
}

// probeFence tries a token of before, without a trace.
func (e *Elector) probeFence(ctx context.Context, token int64) error {
	quiet := Elector{db: e.db, tenant: e.tenant, election: e.election, o: e.o, rec: auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })}
	tx, err := e.db.Pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("leader: probe: %w", err)
	}
	err = quiet.Fence(ctx, tx, token)
	if rollback := tx.Rollback(); rollback != nil {
		return fmt.Errorf("leader: probe: %w", rollback)
	}
	if !errors.Is(err, ErrFenced) {
		return fmt.Errorf("leader: a token that was replaced is not refused: %w", err)
	}
	return nil
}
