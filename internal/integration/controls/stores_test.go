// Package controls tests the stores of controls on real databases and its
// OSCAL output against NIST's schema.
package controls

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/findings/findingssql"
	"github.com/surety-go/surety/controls/findings/findingstest"
	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/controls/monitor/monitorsql"
	"github.com/surety-go/surety/controls/monitor/monitortest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

// The runtime role may append to the history and not change it.
var tables = servers.Schema{
	Migrate: func(ctx context.Context, owner *sql.DB) error {
		return errors.Join(findingssql.Migrate(ctx, owner), monitorsql.Migrate(ctx, owner))
	},
	Tables: sqldb.Tables{AppendOnly: monitorsql.Tables(), ReadWrite: findingssql.Tables()},
}

func findingStore(t *testing.T, pool *sql.DB) *findingssql.Store {
	t.Helper()
	s, err := findingssql.New(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func historyStore(t *testing.T, pool *sql.DB) *monitorsql.Store {
	t.Helper()
	s, err := monitorsql.New(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFindings(t *testing.T) {
	tables.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		findingstest.Run(t, func(t *testing.T) findings.Store { return findingStore(t, open(t)) })
	})
}

func TestHistory(t *testing.T) {
	tables.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		monitortest.Run(t, func(t *testing.T) monitor.Store { return historyStore(t, open(t)) })
	})
}

// A row that was changed past the store does not pass for a finding.
func TestTamperedFinding(t *testing.T) {
	tables.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		pool := open(t)
		s := findingStore(t, pool)
		if _, _, err := s.Create(t.Context(), "t1", findingstest.Finding("f-1", "a.b", "x")); err != nil {
			t.Fatal(err)
		}
		db, err := sqldb.Open(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []string{"state = 'closed'", "control = 'a.c'", "version = 9", "body = '{}'"} {
			err := db.Tx(t.Context(), "t1", func(tx *sqldb.Tx) error {
				if n, err := tx.Exec(t.Context(), "UPDATE controls_findings SET "+change+" WHERE tenant = 't1'"); err != nil || n != 1 {
					t.Errorf("%s: %d rows, %v", change, n, err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), "t1", "f-1"); !errors.Is(err, findingssql.ErrTampered) {
				t.Errorf("%s: Get = %v, want ErrTampered", change, err)
			}
			if _, err := s.List(t.Context(), "t1", "", 10); !errors.Is(err, findingssql.ErrTampered) {
				t.Errorf("%s: List = %v, want ErrTampered", change, err)
			}
		}
	})
}

// A deleted run shows as a gap. PostgreSQL's runtime role can't even delete.
func TestDeletedRun(t *testing.T) {
	tables.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		pool := open(t)
		s := historyStore(t, pool)
		from := time.Now()
		for range 5 {
			if _, err := s.Append(t.Context(), "t1", monitor.Entry{Kind: monitor.Heartbeat, At: time.Now().UTC(), Every: time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
		db, err := sqldb.Open(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Tx(t.Context(), "t1", func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), "DELETE FROM controls_history WHERE tenant = 't1' AND seq = 3")
			return err
		})
		if db.Dialect == sqldb.PostgreSQL {
			if err == nil {
				t.Error("the runtime role deleted history")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var list []monitor.Entry
		if err := s.Range(t.Context(), "t1", from, time.Now(), func(e monitor.Entry) bool { list = append(list, e); return true }); err != nil {
			t.Fatal(err)
		}
		gaps := monitor.Gaps(list, from, time.Now())
		if len(gaps) != 1 || gaps[0].Kind != monitor.Lost {
			t.Errorf("gaps %v, want one lost entry", gaps)
		}
	})
}

// A tracker and a monitor over one database, from failure to closure.
func TestLifeOverSQL(t *testing.T) {
	tables.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		pool := open(t)
		log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
		cat, err := catalogue.Default()
		if err != nil {
			t.Fatal(err)
		}
		tracker, err := findings.New(findingStore(t, pool), log, cat.Owner, findings.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d := &door{open: true}
		m, err := monitor.New(cat, log, monitor.Options{Store: historyStore(t, pool), Findings: tracker}, d)
		if err != nil {
			t.Fatal(err)
		}
		run := func() {
			t.Helper()
			if _, err := m.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		run()
		run()
		list, err := tracker.All(t.Context(), "system", findings.Open)
		if err != nil || len(list) != 2 { // the door, and the monitor that is not running
			t.Fatalf("findings %v, %v", list, err)
		}
		var id string
		for _, f := range list {
			if f.Control == "authz.policy" {
				id = f.ID
				if f.Seen != 2 {
					t.Errorf("seen %d times", f.Seen)
				}
			}
		}
		as := func(who string) context.Context {
			return auditlog.WithActor(t.Context(), auditlog.Actor{ID: who, Kind: auditlog.User})
		}
		step := func(_ findings.Finding, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		d.open = false
		step(tracker.Acknowledge(as("ann"), "system", id, ""))
		step(tracker.Remediate(as("ann"), "system", id, "closed the door"))
		if _, err := tracker.Verify(as("bob"), "system", id, m); !errors.Is(err, findings.ErrNotVerified) {
			t.Errorf("verified before a probe passed: %v", err)
		}
		run()
		step(tracker.Verify(as("bob"), "system", id, m))
		step(tracker.Close(as("bob"), "system", id, "history"))
	})
}
