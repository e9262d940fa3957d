// Package health tests health's stores, servers and failovers for real.
package health

import (
	"bytes"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/health/healthsql"
	"github.com/surety-go/surety/health/slo"
	"github.com/surety-go/surety/health/slo/slotest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

// The runtime role may append counts and no more.
var schema = servers.Schema{Migrate: healthsql.Migrate, Tables: sqldb.Tables{AppendOnly: healthsql.Tables()}}

func sloStore(t *testing.T, pool *sql.DB) *healthsql.SLO {
	t.Helper()
	s, err := healthsql.NewSLO(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSLOStoresConform(t *testing.T) {
	schema.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		slotest.Run(t, func(t *testing.T) slo.Store { return sloStore(t, open(t)) })
	})
}

// A SQL writer turns bad requests into good ones before the monthly report.
func TestReportOverForgedCounts(t *testing.T) {
	pool := schema.SQLite(t)
	key, log := bytes.Repeat([]byte{7}, 32), new(auditlogtest.Recorder)
	tr, err := slo.New("operator", sloStore(t, pool), key, log, []slo.Objective{{Name: "files", Actions: []string{"files.*"}, Target: 0.99}}, slo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	minute := time.Now().UTC().Truncate(time.Minute).Add(-time.Hour)
	if err := sloStore(t, pool).Put(t.Context(), "operator", []slo.Count{{Objective: "files", Source: "x", Minute: minute, Good: 1000}}); err != nil {
		t.Fatal(err)
	}
	if r, err := tr.Report(t.Context(), "files", minute.Add(-time.Hour), minute.Add(time.Hour)); !errors.Is(err, slo.ErrTampered) {
		t.Errorf("report %+v, %v; want ErrTampered", r, err)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}
