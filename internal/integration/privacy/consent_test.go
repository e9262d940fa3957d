// Package privacy tests privacy's stores on real databases.
package privacy

import (
	"bytes"
	"database/sql"
	"errors"
	"testing"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
	"github.com/surety-go/surety/privacy/consent"
	"github.com/surety-go/surety/privacy/consent/consenttest"
	"github.com/surety-go/surety/privacy/privacysql"
)

// The runtime role may append to the ledger and no more.
var schema = servers.Schema{Migrate: privacysql.Migrate, Tables: sqldb.Tables{AppendOnly: privacysql.Tables()}}

func store(t *testing.T, pool *sql.DB) *privacysql.Consent {
	t.Helper()
	s, err := privacysql.NewConsent(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConsentStoresConform(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		consenttest.Run(t, func(t *testing.T) consent.Store { return store(t, schema.SQLite(t)) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		consenttest.Run(t, func(t *testing.T) consent.Store { return store(t, schema.Postgres(t)) })
	})
}

// A SQL writer turns a withdrawal into a consent.
func TestUpdatePastTheLedgerIsFound(t *testing.T) {
	pool := schema.SQLite(t)
	ledger, err := consent.New(store(t, pool), bytes.Repeat([]byte{7}, consent.KeySize), &auditlogtest.Recorder{}, consent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := consent.Choice{Tenant: "acme", Subject: "u-1", Purpose: "benefits", Notice: "1", Method: "web form"}
	if _, err := ledger.Withdraw(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.ExecContext(t.Context(), "UPDATE privacy_consent SET given = 1"); err != nil {
		t.Fatal(err)
	}
	if ok, err := ledger.Consented(t.Context(), "acme", "u-1", "benefits"); ok || !errors.Is(err, consent.ErrTampered) {
		t.Errorf("Consented = %t, %v; want ErrTampered", ok, err)
	}
}
