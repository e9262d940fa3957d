package auditlog_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogsql"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var boxKey = []byte(strings.Repeat("k", 32))

// A bank is a database with an outbox, as its runtime role and as someone who
// may tamper sees it.
type bank struct {
	pool, admin *sql.DB
	dialect     sqldb.Dialect
}

// each runs a test on SQLite and on PostgreSQL.
func each(t *testing.T, test func(*testing.T, bank)) {
	t.Run("sqlite", func(t *testing.T) {
		db := servers.SQLite(t)
		prepare(t, db)
		test(t, bank{db, db, sqldb.SQLite})
	})
	t.Run("postgres", func(t *testing.T) {
		db := servers.Postgres(t)
		prepare(t, db.Owner)
		tables := sqldb.Tables{ReadWrite: append(auditlogsql.Tables(), "accounts")}
		if err := sqldb.GrantRuntime(t.Context(), db.Owner, db.RuntimeRole, tables); err != nil {
			t.Fatal(err)
		}
		test(t, bank{db.Runtime, db.Admin, sqldb.PostgreSQL})
	})
}

func prepare(t *testing.T, owner *sql.DB) {
	t.Helper()
	for range 2 {
		if err := auditlogsql.Migrate(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []string{`CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER NOT NULL)`, `INSERT INTO accounts VALUES ('a', 0)`} {
		if _, err := owner.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
}

func (b bank) outbox(t *testing.T, o auditlogsql.Options) *auditlogsql.Outbox {
	t.Helper()
	box, err := auditlogsql.New(t.Context(), b.pool, boxKey, o)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// pay changes the account and records it, in one transaction.
func (b bank) pay(ctx context.Context, box *auditlogsql.Outbox, n int, commit bool) error {
	for try := 0; ; try++ {
		err := b.payOnce(ctx, box, n, commit)
		if !sqldb.Transient(err) || try == 50 {
			return err
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
}

func (b bank) payOnce(ctx context.Context, box *auditlogsql.Outbox, n int, commit bool) error {
	tx, err := b.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, b.dialect.Rebind(`UPDATE accounts SET balance = balance + ? WHERE id = 'a'`), n); err != nil {
		return err
	}
	err = box.RecordTx(ctx, tx, auditlog.Event{
		Action: "accounts.update", Outcome: auditlog.Success, Tenant: "acme",
		Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}, Attrs: []auditlog.Attr{auditlog.Int("n", n)},
	})
	if err != nil || !commit {
		return err
	}
	return tx.Commit()
}

func (b bank) balance(t *testing.T) (sum int) {
	t.Helper()
	if err := b.pool.QueryRowContext(t.Context(), `SELECT balance FROM accounts`).Scan(&sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

func openLog(t *testing.T, dir string) *auditlog.Log {
	t.Helper()
	const origin = "example.org/audit"
	path := filepath.Join(filepath.Dir(dir), "key")
	signer, _, err := auditlog.KeyFile(path, origin)
	if err != nil {
		if signer, _, err = auditlog.NewKeyFile(path, origin); err != nil {
			t.Fatal(err)
		}
	}
	l, err := auditlog.Open(dir, signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func sequencer(t *testing.T, b bank, l auditlogsql.Log) *auditlogsql.Sequencer {
	t.Helper()
	s, err := auditlogsql.NewSequencer(t.Context(), b.pool, boxKey, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func drain(t *testing.T, s *auditlogsql.Sequencer) {
	t.Helper()
	for {
		n, err := s.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// logged adds up the amounts in the log and checks that no event is there
// twice.
func logged(t *testing.T, l *auditlog.Log) (sum, count int) {
	t.Helper()
	ids := make(map[auditlog.ID]bool)
	for e, err := range l.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ids[e.ID] {
			t.Errorf("entry %d is there twice", e.Index)
		}
		ids[e.ID] = true
		if e.Action == "accounts.update" {
			var n int
			text, _ := auditlogtest.Attr(e.Entry, "n")
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
			sum += n
			count++
		}
	}
	return sum, count
}

func TestOutboxConformance(t *testing.T) {
	each(t, func(t *testing.T, b bank) {
		auditlogtest.TestRecorder(t, func(t *testing.T) auditlogtest.Store {
			if _, err := b.admin.ExecContext(t.Context(), `DELETE FROM auditlog_sequencer`); err != nil {
				t.Fatal(err)
			}
			l := openLog(t, filepath.Join(t.TempDir(), "log"))
			s := sequencer(t, b, l)
			return auditlogtest.Store{Recorder: retrying{b.outbox(t, auditlogsql.Options{})}, Entries: func(ctx context.Context) (list []auditlog.Entry, err error) {
				drain(t, s)
				for e, err := range l.Entries(ctx, 0) {
					if err != nil {
						return nil, err
					}
					list = append(list, e.Entry)
				}
				return list, nil
			}}
		})
	})
}

// retrying does again what SQLite refuses while it is busy.
type retrying struct{ *auditlogsql.Outbox }

func (r retrying) Record(ctx context.Context, ev auditlog.Event) error {
	for try := 0; ; try++ {
		err := r.Outbox.Record(ctx, ev)
		if !sqldb.Transient(err) || try == 50 {
			return err
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
}

// What was rolled back is not in the log, what was committed is, once, while
// several instances write and the sequencer runs.
func TestTheLogIsWhatWasCommitted(t *testing.T) {
	each(t, func(t *testing.T, b bank) {
		l := openLog(t, filepath.Join(t.TempDir(), "log"))
		s := sequencer(t, b, l)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		var wg sync.WaitGroup
		for instance := range 4 {
			box := b.outbox(t, auditlogsql.Options{})
			wg.Go(func() {
				for i := range 25 {
					if err := b.pay(t.Context(), box, 1+instance*1000, i%3 != 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		s = sequencer(t, b, l) // the lease was given back
		drain(t, s)
		sum, count := logged(t, l)
		if want := b.balance(t); sum != want || count != 4*16 {
			t.Errorf("the log adds up to %d in %d events, the account has %d", sum, count, want)
		}
	})
}

// crashing fails around an append.
type crashing struct {
	*auditlog.Log
	before, after bool
}

var errCrash = errors.New("crash")

func (c *crashing) AppendEntries(ctx context.Context, entries []auditlog.Entry) ([]auditlog.Receipt, error) {
	if c.before {
		return nil, errCrash
	}
	r, err := c.Log.AppendEntries(ctx, entries[:(len(entries)+1)/2])
	if c.after && err == nil {
		return nil, errCrash // half of the batch is in the log
	}
	if err != nil {
		return nil, err
	}
	more, err := c.Log.AppendEntries(ctx, entries[(len(entries)+1)/2:])
	return append(r, more...), err
}

// The sequencer dies before, in and after appending. The next one goes on.
func TestExactlyOnceAcrossCrashes(t *testing.T) {
	each(t, func(t *testing.T, b bank) {
		box := b.outbox(t, auditlogsql.Options{})
		dir := filepath.Join(t.TempDir(), "log")
		l := openLog(t, dir)
		for round := range 6 {
			for range 11 {
				if err := b.pay(t.Context(), box, 1, true); err != nil {
					t.Fatal(err)
				}
			}
			c := &crashing{Log: l, before: round%3 == 0, after: round%3 == 1}
			s := sequencer(t, b, c)
			if _, err := s.Step(t.Context()); c.before || c.after {
				if !errors.Is(err, errCrash) {
					t.Fatalf("round %d: %v", round, err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			// Others write to the log directly meanwhile, and it is opened anew.
			if err := l.Record(t.Context(), auditlog.Event{Action: "other.event", Outcome: auditlog.Denied}); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openLog(t, dir)
			expire(t, b)
		}
		drain(t, sequencer(t, b, l))
		if sum, count := logged(t, l); sum != 66 || count != 66 || b.balance(t) != 66 {
			t.Errorf("66 payments: %d events, sum %d, balance %d", count, sum, b.balance(t))
		}
	})
}

// expire ends the lease of a sequencer that died.
func expire(t *testing.T, b bank) {
	t.Helper()
	if _, err := b.admin.ExecContext(t.Context(), `UPDATE auditlog_sequencer SET expires = 0`); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyOneSequencer(t *testing.T) {
	each(t, func(t *testing.T, b bank) {
		l := openLog(t, filepath.Join(t.TempDir(), "log"))
		first := sequencer(t, b, l)
		if _, err := auditlogsql.NewSequencer(t.Context(), b.pool, boxKey, l); !errors.Is(err, auditlogsql.ErrFenced) {
			t.Errorf("second sequencer: %v", err)
		}
		expire(t, b) // the first one was paused for long
		sequencer(t, b, l)
		if _, err := first.Step(t.Context()); !errors.Is(err, auditlogsql.ErrFenced) {
			t.Errorf("the first one goes on: %v", err)
		}
		if err := first.Run(t.Context()); !errors.Is(err, auditlogsql.ErrFenced) {
			t.Errorf("the first one runs on: %v", err)
		}
	})
}

// Someone with access to the database, and without the key, forges, changes
// and replays rows.
func TestRowsOfOthersAreRejected(t *testing.T) {
	each(t, func(t *testing.T, b bank) {
		box := b.outbox(t, auditlogsql.Options{})
		l := openLog(t, filepath.Join(t.TempDir(), "log"))
		s := sequencer(t, b, l)
		for range 3 {
			if err := b.pay(t.Context(), box, 1, true); err != nil {
				t.Fatal(err)
			}
		}
		var entry, body, mac string
		if err := b.admin.QueryRowContext(t.Context(), `SELECT entry, body, mac FROM auditlog_outbox ORDER BY id LIMIT 1`).Scan(&entry, &body, &mac); err != nil {
			t.Fatal(err)
		}
		insert := b.dialect.Rebind(`INSERT INTO auditlog_outbox (entry, body, mac) VALUES (?, ?, ?)`)
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := b.admin.ExecContext(t.Context(), query, args...); err != nil {
				t.Fatal(err)
			}
		}
		exec(b.dialect.Rebind(`UPDATE auditlog_outbox SET body = ? WHERE entry = ?`), strings.Replace(body, `"n":1`, `"n":9`, 1), entry)
		exec(insert, "forged", `{"v":1}`, mac)
		drain(t, s)
		if sum, count := logged(t, l); sum != 2 || count != 2 {
			t.Errorf("%d events, sum %d, want the 2 that were not touched", count, sum)
		}
		rejected := 0
		for e, err := range l.Entries(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Action == "auditlog.outbox.reject" {
				rejected++
			}
		}
		if rejected != 2 {
			t.Errorf("%d rejections are in the log, want 2", rejected)
		}
		// A row that was sequenced is put back, now and after a restart.
		if err := b.pay(t.Context(), box, 1, true); err != nil {
			t.Fatal(err)
		}
		if err := b.admin.QueryRowContext(t.Context(), `SELECT entry, body, mac FROM auditlog_outbox WHERE rejected = 0`).Scan(&entry, &body, &mac); err != nil {
			t.Fatal(err)
		}
		drain(t, s)
		exec(insert, entry, body, mac)
		drain(t, s)
		expire(t, b)
		exec(insert, entry, body, mac)
		drain(t, sequencer(t, b, l))
		if sum, count := logged(t, l); sum != 3 || count != 3 {
			t.Errorf("after replays: %d events, sum %d, want 3", count, sum)
		}
	})
}

func TestOutboxSealsAndBeats(t *testing.T) {
	each(t, func(t *testing.T, b bank) {
		var keys auditlogtest.Keys
		box := b.outbox(t, auditlogsql.Options{Sealer: &keys, Instance: "web-1"})
		l := openLog(t, filepath.Join(t.TempDir(), "log"))
		s := sequencer(t, b, l)
		ev := auditlog.Event{
			Action: "accounts.open", Outcome: auditlog.Success, Tenant: "acme",
			Attrs: []auditlog.Attr{auditlog.Personal("u-1", "mail", "alice@example.org")},
		}
		if err := box.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		if err := box.Heartbeat(t.Context()); err != nil {
			t.Fatal(err)
		}
		var body string
		if err := b.admin.QueryRowContext(t.Context(), `SELECT body FROM auditlog_outbox ORDER BY id LIMIT 1`).Scan(&body); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(body, "alice") {
			t.Error("the outbox holds a personal value in the clear")
		}
		drain(t, s)
		beat := false
		for e, err := range l.Entries(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Action == "auditlog.outbox.heartbeat" {
				n, _ := auditlogtest.Attr(e.Entry, "recorded")
				beat = n == "1" && e.Targets[0].ID == "web-1"
			}
		}
		if !beat {
			t.Error("no heartbeat with the number of events")
		}
		keys.FailWith(errors.New("keeper is down"))
		if err := box.Record(t.Context(), ev); err == nil {
			t.Error("an event that can't be sealed was recorded")
		}
	})
}

// On PostgreSQL the runtime role can't read other tenants' events out of the
// outbox, nor add one that looks sequenced.
func TestOutboxRowSecurity(t *testing.T) {
	db := servers.Postgres(t)
	prepare(t, db.Owner)
	tables := sqldb.Tables{ReadWrite: append(auditlogsql.Tables(), "accounts")}
	if err := sqldb.GrantRuntime(t.Context(), db.Owner, db.RuntimeRole, tables); err != nil {
		t.Fatal(err)
	}
	b := bank{db.Runtime, db.Admin, sqldb.PostgreSQL}
	if err := b.pay(t.Context(), b.outbox(t, auditlogsql.Options{}), 1, true); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.Runtime.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM auditlog_outbox`).Scan(&n); err != nil || n != 0 {
		t.Errorf("the runtime role sees %d rows, %v", n, err)
	}
	if _, err := db.Runtime.ExecContext(t.Context(), `INSERT INTO auditlog_outbox (entry, body, mac, claimed) VALUES ('x', 'x', 'x', 0)`); err == nil {
		t.Error("a row was added as if it were claimed")
	}
}

// The database is killed while payments go on.
func TestDatabaseCrash(t *testing.T) {
	pg := servers.StartPostgres(t)
	db := pg.Database(t)
	prepare(t, db.Owner)
	if err := sqldb.GrantRuntime(t.Context(), db.Owner, db.RuntimeRole, sqldb.Tables{ReadWrite: append(auditlogsql.Tables(), "accounts")}); err != nil {
		t.Fatal(err)
	}
	b := bank{db.Runtime, db.Admin, sqldb.PostgreSQL}
	box := b.outbox(t, auditlogsql.Options{})
	l := openLog(t, filepath.Join(t.TempDir(), "log"))
	s := sequencer(t, b, l)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = b.pay(t.Context(), box, 1, true) // fails while the database is down
			}
		}
	})
	for range 3 {
		for range 5 {
			_, _ = s.Step(t.Context())
		}
		pg.Kill()
		_, _ = s.Step(t.Context())
		pg.Restart()
	}
	close(stop)
	wg.Wait()
	drain(t, s)
	if sum, count := logged(t, l); sum != b.balance(t) || count == 0 {
		t.Errorf("the log has %d events and adds up to %d, the account to %d", count, sum, b.balance(t))
	}
}
