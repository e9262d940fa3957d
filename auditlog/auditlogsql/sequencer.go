package auditlogsql

import (
	"context"
	"crypto/hmac"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/internal/sqldb"
)

// ErrFenced says that another sequencer took over, or that the outbox belongs
// to a log of another origin.
var ErrFenced = errors.New("auditlogsql: another sequencer has the outbox")

// A Log is where the rows go. *auditlog.Log is one.
type Log interface {
	Origin() string
	Size() uint64
	At(index uint64) (auditlog.Indexed, error)
	Has(ctx context.Context, id auditlog.ID, at time.Time) (bool, error)
	AppendEntries(ctx context.Context, entries []auditlog.Entry) ([]auditlog.Receipt, error)
	Record(ctx context.Context, ev auditlog.Event) error
}

const (
	scope    = "*sequencer*" // the tenant that the tables' policies know
	maxBatch = 500           // rows at once
	lease    = 15 * time.Second
	pause    = 50 * time.Millisecond // between looks at an empty outbox
	fresh    = time.Minute           // how long ids are kept in memory
)

// A Sequencer moves rows of the outbox into the log, each exactly once.
type Sequencer struct {
	db    *sqldb.DB
	key   []byte
	log   Log
	token int64
	// ids that were appended lately, in two generations, and since when. An
	// older entry is looked for in the log: whoever can write to the database
	// can put a row back that was removed.
	recent, before map[auditlog.ID]bool
	since          time.Time
}

// NewSequencer takes over the outbox for a log. It fails with [ErrFenced]
// while another sequencer has it, at most 15 s after that one's end, and for
// ever if the outbox has been sequenced into a log of another origin.
func NewSequencer(ctx context.Context, pool *sql.DB, key []byte, log Log) (*Sequencer, error) {
	if len(key) < minKey || log == nil {
		return nil, fmt.Errorf("auditlogsql: want a log and a key of at least %d bytes", minKey)
	}
	db, err := sqldb.Open(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("auditlogsql: %w", err)
	}
	s := &Sequencer{db: db, key: append([]byte(nil), key...), log: log, since: time.Now()}
	return s, s.takeOver(ctx)
}

// takeOver gets the next fencing token.
func (s *Sequencer) takeOver(ctx context.Context) error {
	err := s.db.Tx(ctx, scope, func(tx *sqldb.Tx) error {
		now := time.Now().UnixMilli()
		_, err := tx.Exec(ctx, `INSERT INTO auditlog_sequencer (one, origin, token, expires) VALUES (1, ?, 0, 0) ON CONFLICT DO NOTHING`, s.log.Origin())
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE auditlog_sequencer SET token = token + 1, expires = ? WHERE one = 1 AND origin = ? AND expires < ?`,
			now+lease.Milliseconds(), s.log.Origin(), now)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrFenced
		}
		return tx.Row(ctx, `SELECT token FROM auditlog_sequencer WHERE one = 1`).Scan(&s.token)
	})
	if err != nil {
		return fmt.Errorf("auditlogsql: take over the outbox: %w", err)
	}
	return nil
}

// Run moves rows until the context ends. It returns nil then, and an error
// when it is fenced or the log or the database fails; start anew after that.
func (s *Sequencer) Run(ctx context.Context) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		n, err := s.Step(ctx)
		if ctx.Err() != nil {
			return s.release(context.WithoutCancel(ctx))
		}
		if err != nil {
			return err
		}
		if n == maxBatch {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s.release(context.WithoutCancel(ctx))
		}
	}
}

// release lets another sequencer take over at once.
func (s *Sequencer) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s.db.Tx(ctx, scope, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE auditlog_sequencer SET expires = 0 WHERE one = 1 AND token = ?`, s.token)
		return err
	})
}

// A row is a row of the outbox.
type row struct {
	id      int64
	entry   string
	body    string
	mac     string
	claimed uint64
}

// Step moves one batch and returns how many rows it removed.
func (s *Sequencer) Step(ctx context.Context) (int, error) {
	rows, err := s.claim(ctx, s.log.Size())
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	good, err := s.sift(ctx, rows)
	if err != nil {
		return 0, err
	}
	entries, err := s.missing(ctx, good)
	if err != nil {
		return 0, err
	}
	if _, err := s.log.AppendEntries(ctx, entries); err != nil {
		return 0, fmt.Errorf("auditlogsql: append %d entries: %w", len(entries), err)
	}
	s.remember(entries)
	return len(good), s.remove(ctx, good)
}

// hold proves within a transaction that the outbox is still ours.
func (s *Sequencer) hold(ctx context.Context, tx *sqldb.Tx) error {
	n, err := tx.Exec(ctx, `UPDATE auditlog_sequencer SET expires = ? WHERE one = 1 AND token = ?`,
		time.Now().Add(lease).UnixMilli(), s.token)
	if err == nil && n == 0 {
		err = ErrFenced
	}
	return err
}

// claim returns rows that are claimed already, which a crash left, or else
// claims some at the log's present size.
func (s *Sequencer) claim(ctx context.Context, size uint64) (rows []row, err error) {
	err = s.db.Tx(ctx, scope, func(tx *sqldb.Tx) error {
		if err := s.hold(ctx, tx); err != nil {
			return err
		}
		if rows, err = claimed(ctx, tx); err != nil || len(rows) > 0 {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE auditlog_outbox SET claimed = ? WHERE id IN (
			SELECT id FROM auditlog_outbox WHERE claimed IS NULL AND rejected = 0 ORDER BY id LIMIT ?)`, int64(size), maxBatch)
		if err != nil || n == 0 {
			return err
		}
		rows, err = claimed(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("auditlogsql: claim rows: %w", err)
	}
	return rows, nil
}

func claimed(ctx context.Context, tx *sqldb.Tx) (rows []row, err error) {
	err = tx.Rows(ctx, func(r *sql.Rows) error {
		var x row
		if err := r.Scan(&x.id, &x.entry, &x.body, &x.mac, &x.claimed); err != nil {
			return err
		}
		rows = append(rows, x)
		return nil
	}, `SELECT id, entry, body, mac, claimed FROM auditlog_outbox WHERE claimed IS NOT NULL AND rejected = 0 ORDER BY id`)
	return rows, err
}

// A parsed row is one whose MAC holds.
type parsed struct {
	row
	e auditlog.Entry
}

// sift sets rows aside that were not written by an outbox with the key.
func (s *Sequencer) sift(ctx context.Context, rows []row) (good []parsed, err error) {
	for _, r := range rows {
		e, err := auditlog.ParseEntry([]byte(r.body))
		if err == nil && hmac.Equal([]byte(macOf(s.key, r.body)), []byte(r.mac)) && e.ID.String() == r.entry {
			good = append(good, parsed{r, e})
			continue
		}
		if err := s.reject(ctx, r); err != nil {
			return nil, err
		}
	}
	return good, nil
}

// reject reports a forged row first and marks it then, so that a crash
// between the two reports it twice rather than never.
func (s *Sequencer) reject(ctx context.Context, r row) error {
	err := s.log.Record(ctx, auditlog.Event{
		Action: "auditlog.outbox.reject", Outcome: auditlog.Denied, Reason: "auditlog.outbox", Actor: auditlog.Actor{Kind: auditlog.System},
		Targets: []auditlog.Target{{Type: "outbox_row", ID: fmt.Sprint(r.id)}},
		Attrs:   []auditlog.Attr{auditlog.Int("bytes", len(r.body))},
	})
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, scope, func(tx *sqldb.Tx) error {
		if err := s.hold(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE auditlog_outbox SET rejected = 1 WHERE id = ?`, r.id)
		return err
	})
}

// missing returns the entries that are not in the log yet.
func (s *Sequencer) missing(ctx context.Context, rows []parsed) ([]auditlog.Entry, error) {
	there, err := s.sinceClaimed(rows)
	if err != nil {
		return nil, err
	}
	if time.Since(s.since) > fresh {
		s.before, s.recent, s.since = s.recent, nil, time.Now()
	}
	horizon := s.since // what is younger is in recent, or new
	if s.before != nil {
		horizon = horizon.Add(-fresh)
	}
	var entries []auditlog.Entry
	for _, r := range rows {
		known := there[r.e.ID] || s.recent[r.e.ID] || s.before[r.e.ID]
		if !known && r.e.Time.Before(horizon) {
			if known, err = s.log.Has(ctx, r.e.ID, r.e.Time); err != nil {
				return nil, err
			}
		}
		if !known {
			entries = append(entries, r.e)
		}
	}
	return entries, nil
}

// sinceClaimed returns what was added to the log since the rows were claimed:
// a crash may have come between appending and removing them.
func (s *Sequencer) sinceClaimed(rows []parsed) (map[auditlog.ID]bool, error) {
	there := make(map[auditlog.ID]bool)
	from, size := uint64(1<<63), s.log.Size()
	for _, r := range rows {
		from = min(from, r.claimed)
	}
	for ; from < size; from++ {
		e, err := s.log.At(from)
		if err != nil {
			return nil, err
		}
		there[e.ID] = true
	}
	return there, nil
}

// remember keeps the ids of entries that were appended.
func (s *Sequencer) remember(entries []auditlog.Entry) {
	if s.recent == nil {
		s.recent = make(map[auditlog.ID]bool)
	}
	for i := range entries {
		s.recent[entries[i].ID] = true
	}
}

// remove deletes rows that are in the log.
func (s *Sequencer) remove(ctx context.Context, rows []parsed) error {
	err := s.db.Tx(ctx, scope, func(tx *sqldb.Tx) error {
		if err := s.hold(ctx, tx); err != nil {
			return err
		}
		for _, r := range rows {
			if _, err := tx.Exec(ctx, `DELETE FROM auditlog_outbox WHERE id = ?`, r.id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("auditlogsql: remove rows: %w", err)
	}
	return nil
}
