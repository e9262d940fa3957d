package authz_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/authz/authzredis"
	"github.com/surety-go/surety/authz/authzsql"
	"github.com/surety-go/surety/authz/authztest"
	"github.com/surety-go/surety/authz/change"
	"github.com/surety-go/surety/authz/review"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var schema = servers.Schema{
	Migrate: authzsql.Migrate,
	Tables:  sqldb.Tables{AppendOnly: authzsql.AppendOnly(), ReadWrite: authzsql.ReadWrite()},
}

func store(t *testing.T, pool *sql.DB) *authzsql.DB {
	t.Helper()
	return must[*authzsql.DB](t)(authzsql.Open(t.Context(), pool))
}

func TestStoresConform(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		authztest.RunStore(t, func(t *testing.T) change.Store { return store(t, schema.SQLite(t)) })
		authztest.RunReviews(t, func(t *testing.T) review.Store { return store(t, schema.SQLite(t)).Reviews() })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		authztest.RunStore(t, func(t *testing.T) change.Store { return store(t, schema.Postgres(t)) })
		authztest.RunReviews(t, func(t *testing.T) review.Store { return store(t, schema.Postgres(t)).Reviews() })
	})
}

var key = bytes.Repeat([]byte{7}, change.KeySize)

func keeper(t *testing.T, s change.Store) (*change.Keeper, *authz.Engine, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	e := must[*authz.Engine](t)(authz.New(authz.ModelRBAC, "p, admin, *, *, allow", rec, authz.Options{}))
	return must[*change.Keeper](t)(change.Open(t.Context(), e, s, "acme", key, rec, change.Options{})), e, rec
}

func boss(t *testing.T) context.Context {
	return auditlog.WithActor(t.Context(), auditlog.Actor{ID: "boss", Kind: auditlog.User})
}

func can(e *authz.Engine, who string) bool {
	return e.Decide(authz.Request{Subject: who, Object: "x", Action: "y"}).Allowed
}

// A SQL writer puts an admin into the table; or changes, deletes, or undoes
// what is there.
func TestASQLWriterIsRefused(t *testing.T) {
	for name, attack := range map[string][]string{
		"inserted":   {`INSERT INTO authz_entry SELECT tenant, 3, op, kind, '["mallory","admin"]', starts, ends, made_by, approver, ticket, reason, made, mac FROM authz_entry WHERE sequence = 2`},
		"with head":  {`INSERT INTO authz_entry SELECT tenant, 3, op, kind, '["mallory","admin"]', starts, ends, made_by, approver, ticket, reason, made, mac FROM authz_entry WHERE sequence = 2`, `UPDATE authz_head SET sequence = 3`},
		"copied":     {`INSERT INTO authz_entry SELECT tenant, 3, op, kind, fields, starts, ends, made_by, approver, ticket, reason, made, mac FROM authz_entry WHERE sequence = 1`},
		"updated":    {`UPDATE authz_entry SET fields = '["mallory","admin"]' WHERE sequence = 1`},
		"malformed":  {`UPDATE authz_entry SET fields = '{' WHERE sequence = 1`},
		"deleted":    {`DELETE FROM authz_entry WHERE sequence = 1`},
		"cut off":    {`DELETE FROM authz_entry WHERE sequence = 2`},
		"head gone":  {`DELETE FROM authz_head`},
		"other name": {`UPDATE authz_entry SET made_by = 'auditor' WHERE sequence = 2`},
	} {
		t.Run(name, func(t *testing.T) {
			pool := schema.SQLite(t)
			k, running, rec := keeper(t, store(t, pool))
			if err := k.Grant(boss(t), change.Grant{Subject: "u-1", Role: "admin"}); err != nil {
				t.Fatal(err)
			}
			if err := k.Grant(boss(t), change.Grant{Subject: "u-2", Role: "clerk"}); err != nil {
				t.Fatal(err)
			}
			for _, q := range attack {
				if _, err := pool.ExecContext(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			fresh := &auditlogtest.Recorder{}
			e := must[*authz.Engine](t)(authz.New(authz.ModelRBAC, "p, admin, *, *, allow", fresh, authz.Options{}))
			if _, err := change.Open(t.Context(), e, store(t, pool), "acme", key, fresh, change.Options{}); !errors.Is(err, change.ErrForged) {
				t.Errorf("opened: %v", err)
			}
			fresh.Want(t, "authz.policy.load", auditlog.Failed)
			if name == "inserted" {
				if _, err := k.Sync(t.Context()); !errors.Is(err, change.ErrForged) || k.Ready() == nil || len(rec.Find("authz.policy.load")) != 1 {
					t.Errorf("a running process: %v", err)
				}
			}
			if can(e, "mallory") || can(running, "mallory") {
				t.Error("mallory is an admin")
			}
			if !can(running, "u-1") {
				t.Error("the policy in force did not stay")
			}
		})
	}
}

// The runtime role of PostgreSQL can't rewrite history.
func TestEntriesAreAppendOnly(t *testing.T) {
	pool := schema.Postgres(t)
	k, _, _ := keeper(t, store(t, pool))
	if err := k.Grant(boss(t), change.Grant{Subject: "u-1", Role: "admin"}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE authz_entry SET made_by = 'x'", "DELETE FROM authz_entry", "TRUNCATE authz_entry"} {
		if _, err := pool.ExecContext(t.Context(), q); err == nil {
			t.Errorf("%s: done", q)
		}
	}
}

// pgxConnection shows how pgx is a Connection.
type pgxConnection struct{ *pgx.Conn }

func (c pgxConnection) Exec(ctx context.Context, query string) error {
	_, err := c.Conn.Exec(ctx, query)
	return err
}

func (c pgxConnection) Wait(ctx context.Context) (string, error) {
	n, err := c.WaitForNotification(ctx)
	if err != nil {
		return "", err
	}
	return n.Payload, nil
}

// eventually asks every few milliseconds, for some seconds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func watch(t *testing.T, k *change.Keeper, w change.Watcher) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.Watch(ctx, w); close(done) }()
	t.Cleanup(func() { stop(); <-done })
}

func TestListenHearsAndSubscribesAgain(t *testing.T) {
	db := servers.Postgres(t)
	if err := authzsql.Migrate(t.Context(), db.Owner); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.GrantRuntime(t.Context(), db.Owner, db.RuntimeRole, schema.Tables); err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int64
	var last atomic.Pointer[pgx.Conn]
	l := authzsql.Listen(func(ctx context.Context) (authzsql.Connection, error) {
		c, err := pgx.Connect(ctx, db.RuntimeDSN)
		if err != nil {
			return nil, err
		}
		connections.Add(1)
		last.Store(c)
		return pgxConnection{c}, nil
	})
	t.Cleanup(func() { _ = l.Close() })
	writer, _, _ := keeper(t, store(t, db.Runtime))
	reader, e, _ := keeper(t, store(t, db.Runtime))
	watch(t, reader, l)
	eventually(t, "never connected", func() bool { return connections.Load() == 1 })
	if err := writer.Grant(boss(t), change.Grant{Subject: "u-1", Role: "admin"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a grant was not heard of", func() bool { return can(e, "u-1") })

	pid := last.Load().PgConn().PID()
	if _, err := db.Admin.ExecContext(t.Context(), "SELECT pg_terminate_backend($1)", int64(pid)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Revoke(boss(t), "", "u-1", "admin", "leaves"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a revocation was not taken in after the connection was lost", func() bool { return !can(e, "u-1") })
	eventually(t, "not connected again", func() bool { return connections.Load() >= 2 })
}

func TestRedisRings(t *testing.T) {
	client := servers.Redis(t)
	bell := authzredis.New(func(ctx context.Context, args ...any) (any, error) {
		reply, err := client.Do(ctx, args...).Result()
		if errors.Is(err, redis.Nil) {
			return nil, nil
		}
		return reply, err
	})
	s := bell.Store(change.NewMemory())
	writer, _, _ := keeper(t, s)
	reader, e, _ := keeper(t, s)
	watch(t, reader, bell)
	if err := writer.Grant(boss(t), change.Grant{Subject: "u-1", Role: "admin"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a grant was not heard of", func() bool { return can(e, "u-1") })
	if n, err := client.XLen(t.Context(), "surety:authz:acme").Result(); n != 1 || err != nil {
		t.Errorf("%d rings, %v", n, err)
	}
}

func TestDutiesAreKept(t *testing.T) {
	for name, pool := range map[string]*sql.DB{"SQLite": schema.SQLite(t), "PostgreSQL": schema.Postgres(t)} {
		db := store(t, pool)
		try := func(tenant, who, act string) bool {
			return must[bool](t)(db.Do(t.Context(), tenant, "pay", "p-1", who, act))
		}
		if !try("acme", "u-1", "request") || try("acme", "u-1", "approve") || !try("acme", "u-2", "approve") || !try("globex", "u-1", "approve") || !try("acme", "u-1", "request") {
			t.Errorf("%s: duties are not separated", name)
		}
		if _, err := db.Do(t.Context(), "", "pay", "p-1", "u-1", "request"); err == nil {
			t.Errorf("%s: without a tenant", name)
		}
	}
}

func TestRulesOfCasbinsTables(t *testing.T) {
	pool := servers.SQLite(t)
	for _, q := range []string{
		"CREATE TABLE casbin_rule (id INTEGER PRIMARY KEY, ptype TEXT, v0 TEXT, v1 TEXT, v2 TEXT, v3 TEXT, v4 TEXT, v5 TEXT)",
		"INSERT INTO casbin_rule (ptype, v0, v1, v2) VALUES ('p', 'admin', 'd', 'read')",
		"INSERT INTO casbin_rule (ptype, v0, v1, v2, v3, v4, v5) VALUES ('g', 'u-1', 'admin', '', '', '', '')",
	} {
		if _, err := pool.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	list := must[[]authz.Rule](t)(authzsql.Rules(t.Context(), pool, "casbin_rule"))
	e := must[*authz.Engine](t)(newEngine(rolesModel, "", authz.Options{}))
	if err := e.Replace(t.Context(), list); err != nil || !e.Raw("u-1", "d", "read").Allowed {
		t.Errorf("%v: %v", list, err)
	}
	if _, err := authzsql.Rules(t.Context(), pool, "x; DROP TABLE casbin_rule"); err == nil {
		t.Error("a table that is none")
	}
}
