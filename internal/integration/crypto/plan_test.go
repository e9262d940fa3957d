package crypto

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/crypto"
)

// Looking a key up, and destroying one subject's keys, must not depend on how
// many subjects there are.
func TestQueriesUseIndexes(t *testing.T) {
	pool := sqlite(t)
	for _, query := range []string{
		"SELECT * FROM crypto_keys WHERE tenant = 'a' AND id = X'00'",
		"SELECT * FROM crypto_keys WHERE tenant = 'a' AND subject = 's' AND use_for = '' ORDER BY version DESC LIMIT 1",
		"SELECT * FROM crypto_keys WHERE tenant = 'a' AND id > X'00' AND destroyed = 0 ORDER BY id LIMIT 100",
		"UPDATE crypto_keys SET destroyed = 1, wrapped = X'' WHERE tenant = 'a' AND destroyed = 0 AND subject = 's' AND use_for >= ''",
		"SELECT COUNT(*) FROM crypto_tombstones WHERE tenant = 'a' AND subject IN ('s', '') AND allowed <= at",
	} {
		if plan := explain(t, pool, query); !strings.Contains(plan, "SEARCH") || strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s", query, plan)
		}
	}
	for _, query := range []string{
		"SELECT id, wrapped FROM crypto_keys WHERE tenant = 'a' AND destroyed = 0 AND subject = 's' AND use_for >= ''",
		"UPDATE crypto_keys SET destroyed = 1, wrapped = X'' WHERE tenant = 'a' AND destroyed = 0 AND subject = 's' AND use_for >= ''",
	} {
		if plan := explain(t, pool, query); !strings.Contains(plan, "subject=?") {
			t.Errorf("destroying one subject reads all of the tenant's keys: %s", plan)
		}
	}
}

func explain(t *testing.T, pool *sql.DB, query string) string {
	t.Helper()
	rows, err := pool.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "; ")
}

// BenchmarkMillionSubjects measures, among 1,000,000 subjects' keys in SQLite,
// a cold lookup and the destruction of one subject.
func BenchmarkMillionSubjects(b *testing.B) {
	pool := sqlite(b)
	s := store(b, pool)
	const n = 1_000_000
	if _, err := pool.ExecContext(b.Context(), fmt.Sprintf(`WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < %d)
		INSERT INTO crypto_keys (tenant, id, subject, use_for, version, algorithm, kek, wrapped, created)
		SELECT 'acme', CAST(printf('%%032d', i) AS BLOB), 'u-' || i, '', 1, 1, 'kek-1', randomblob(150), 1 FROM c`, n-1)); err != nil {
		b.Fatal(err)
	}
	b.Run("lookup", func(b *testing.B) {
		i, times := 0, []time.Duration{}
		for b.Loop() {
			i = (i + 7919) % n
			start := time.Now()
			if _, err := s.Latest(b.Context(), crypto.Scope{Tenant: "acme", Subject: fmt.Sprint("u-", i)}); err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(start))
		}
		b.ReportMetric(float64(p99(times).Microseconds()), "p99-µs")
	})
	b.Run("destroy", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = (i + 104729) % n
			if _, err := s.Destroy(b.Context(), crypto.Tombstone{Tenant: "acme", Subject: fmt.Sprint("u-", i), At: time.Now()}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func p99(times []time.Duration) time.Duration {
	sorted := append([]time.Duration{}, times...)
	slices.Sort(sorted)
	return sorted[len(sorted)*99/100]
}
