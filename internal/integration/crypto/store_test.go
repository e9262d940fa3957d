// Package crypto tests crypto's stores on real databases, and its formats
// against other implementations.
package crypto

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptosql"
	"github.com/surety-go/surety/crypto/cryptotest"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var (
	schema = servers.Schema{Migrate: cryptosql.Migrate, Tables: sqldb.Tables{ReadWrite: cryptosql.Tables()}}

	sqlite, postgres = schema.SQLite, schema.Postgres
)

func store(t testing.TB, pool *sql.DB) *cryptosql.Store {
	t.Helper()
	s, err := cryptosql.New(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeyStoresConform(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		cryptotest.TestKeyStore(t, func(t *testing.T) crypto.KeyStore { return store(t, sqlite(t)) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		cryptotest.TestKeyStore(t, func(t *testing.T) crypto.KeyStore { return store(t, postgres(t)) })
	})
}

// What a writer of the table does is noticed when the key is used.
func TestUpdatePastTheKeeper(t *testing.T) {
	for name, change := range map[string]string{
		"swapped":   "UPDATE crypto_keys SET wrapped = (SELECT wrapped FROM crypto_keys o WHERE o.subject = 'bob') WHERE subject = 'ada'",
		"emptied":   "UPDATE crypto_keys SET wrapped = X'' WHERE subject = 'ada'",
		"relabeled": "UPDATE crypto_keys SET subject = 'bob', version = 2 WHERE subject = 'ada'",
		"algorithm": "UPDATE crypto_keys SET algorithm = 2 WHERE subject = 'ada'",
		"no such":   "UPDATE crypto_keys SET algorithm = 999 WHERE subject = 'ada'",
		"deleted":   "DELETE FROM crypto_keys WHERE subject = 'ada'",
	} {
		t.Run(name, func(t *testing.T) {
			pool := sqlite(t)
			kek := cryptotest.NewKEK("k")
			keeper := func() *crypto.Keeper {
				k, err := crypto.NewKeeper(kek, store(t, pool), &auditlogtest.Recorder{}, crypto.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { k.Close() })
				return k
			}
			ada := crypto.Binding{Tenant: "acme", Subject: "ada", Table: "people", Column: "email", Row: "1"}
			bob := crypto.Binding{Tenant: "acme", Subject: "bob", Table: "people", Column: "email", Row: "2"}
			k := keeper()
			sealed, err := k.Seal(t.Context(), nil, []byte("v"), ada)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.Seal(t.Context(), nil, []byte("v"), bob); err != nil {
				t.Fatal(err)
			}
			if _, err := pool.ExecContext(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			got, err := keeper().Open(t.Context(), nil, sealed, ada)
			if got != nil || !errors.Is(err, crypto.ErrTampered) && !errors.Is(err, crypto.ErrKeyUnavailable) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
