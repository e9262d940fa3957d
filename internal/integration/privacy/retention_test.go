package privacy

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/privacy/hold"
	"github.com/surety-go/surety/privacy/record"
	"github.com/surety-go/surety/privacy/retention"
	"github.com/surety-go/surety/privacy/retention/retentionsql"
)

func TestRowsGoAfterTheirPeriod(t *testing.T) {
	both(t, func(t *testing.T, db *sql.DB) {
		exec(t, db, `CREATE TABLE "log""ins" (id TEXT PRIMARY KEY, tenant TEXT, account TEXT, at BIGINT)`)
		insert := func(id, tenant string, account any, at time.Time) {
			t.Helper()
			query := `INSERT INTO "log""ins" VALUES ($1, $2, $3, $4)`
			if _, err := db.ExecContext(t.Context(), query, id, tenant, account, at.Unix()); err != nil {
				t.Fatal(err)
			}
		}
		old := time.Now().AddDate(0, 0, -8)
		insert("a", "acme", "u-1", old)
		insert("b", "acme", nil, old)
		insert("c", "acme", "u-2", time.Now())
		insert("d", "globex", "u-1", old)
		insert("e", "acme", "u-3", old)
		target, err := retentionsql.Open(t.Context(), db, retentionsql.Table{
			Name: `log"ins`, ID: "id", Time: "at", Subject: "account", Tenant: "tenant", Moment: func(at time.Time) any { return at.Unix() },
		})
		if err != nil {
			t.Fatal(err)
		}
		rec := &auditlogtest.Recorder{}
		tenants := func(context.Context) ([]string, error) { return []string{"acme"}, nil }
		holds, err := hold.New(record.NewMemory(), make([]byte, record.KeySize), rec, tenants)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := holds.Place(t.Context(), "acme", hold.Hold{Subjects: []string{"u-3"}, Reason: "case 17", Review: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		p, err := retention.New(holds, rec, tenants, retention.Options{Batch: 1}, retention.Schedule{Target: target, Period: classify.Period{Days: 7}})
		if err != nil {
			t.Fatal(err)
		}
		reports, err := p.Run(t.Context())
		if err != nil || reports[0].Disposed != 2 || reports[0].Held != 1 {
			t.Errorf("%+v, %v", reports, err)
		}
		if n := count(t, db, `SELECT COUNT(*) FROM "log""ins" WHERE id IN ('c', 'd', 'e')`); n != 3 {
			t.Errorf("%d of 3 rows that must stay are left", n)
		}
	})
}
