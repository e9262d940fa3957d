package auditlogsql_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogsql"
)

// The tests with databases are in internal/integration/auditlog, since this
// module imports no driver.

func TestShortKeysAreRefused(t *testing.T) {
	if _, err := auditlogsql.New(t.Context(), nil, make([]byte, 31), auditlogsql.Options{}); err == nil {
		t.Error("a key of 31 bytes was taken")
	}
	if _, err := auditlogsql.NewSequencer(t.Context(), nil, make([]byte, 31), &auditlog.Log{}); err == nil {
		t.Error("a sequencer took a key of 31 bytes")
	}
	if _, err := auditlogsql.NewSequencer(t.Context(), nil, make([]byte, 32), nil); err == nil {
		t.Error("a sequencer without a log was made")
	}
}

var _ auditlogsql.Log = (*auditlog.Log)(nil)

func Example() {
	var pool *sql.DB            // the service's database, migrated with auditlogsql.Migrate
	var box *auditlogsql.Outbox // made by auditlogsql.New
	raise := func(ctx context.Context) error {
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, `UPDATE salaries SET amount = amount + 100 WHERE id = 'r-17'`); err != nil {
			return err
		}
		err = box.RecordTx(ctx, tx, auditlog.Event{
			Action: "salaries.update", Outcome: auditlog.Success, Targets: []auditlog.Target{{Type: "salary", ID: "r-17"}},
		})
		if err != nil {
			return err
		}
		return tx.Commit() // both or neither
	}
	_ = raise
}
