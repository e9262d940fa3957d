package privacy

import (
	"database/sql"
	"testing"

	"github.com/surety-go/surety/internal/sqldb"
	"github.com/surety-go/surety/privacy/privacysql"
	"github.com/surety-go/surety/privacy/record"
	"github.com/surety-go/surety/privacy/record/recordtest"
)

func records(t *testing.T, pool *sql.DB) *privacysql.Records {
	t.Helper()
	s, err := privacysql.NewRecords(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRecordStoresConform(t *testing.T) {
	schema.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		recordtest.Run(t, func(t *testing.T) record.Store { return records(t, open(t)) })
	})
}

// The runtime role can't rewrite history, and sees no other tenant's.
func TestRowsOutsideOfATransactionAreNotSeen(t *testing.T) {
	pool := schema.Postgres(t)
	s := records(t, pool)
	if err := s.Append(t.Context(), record.Record{Tenant: "acme", Kind: "k", ID: "1", Version: 1, Data: []byte("{}"), MAC: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := pool.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM privacy_record").Scan(&n); err != nil || n != 0 {
		t.Errorf("a query without a tenant sees %d rows, %v", n, err)
	}
	for _, q := range []string{"UPDATE privacy_record SET open = 0", "DELETE FROM privacy_record"} {
		db, err := sqldb.Open(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Tx(t.Context(), "acme", func(tx *sqldb.Tx) error { _, err := tx.Exec(t.Context(), q); return err }); err == nil {
			t.Errorf("%s: allowed", q)
		}
	}
}
