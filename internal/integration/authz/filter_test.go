package authz_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/internal/integration/servers"
)

// TestFilterAgreesWithDecide compares, row by row, what a filter selects with
// what the engine decides about the row.
func TestFilterAgreesWithDecide(t *testing.T) {
	files := authz.Columns{Prefix: "/files/", ID: "id", Attributes: map[string]string{"owner": "owner", "level": "level"}}
	for name, tc := range map[string]struct {
		model, policy string
		columns       authz.Columns
	}{
		"REST":       {authz.ModelREST, "p, staff, /files/:id, read, allow\np, staff, /files/b, read, deny\np, bob, /files/c, *, allow\ng, ann, staff", files},
		"REST below": {authz.ModelREST, "p, ann, /files/*, read, allow\np, ann, /other/*, read, allow\np, bob, /img/:id, read, allow", files},
		"prefix":     {matching(`keyMatch(r.obj, p.obj)`), "p, ann, /files/a*, read\np, bob, /*, read\np, carol, /x*, read", files},
		"RBAC":       {authz.ModelRBAC, "p, staff, /files/a, read, allow\np, staff, *, list, allow\np, bob, *, read, allow\np, bob, /files/d, read, deny\ng, ann, staff", files},
		"type":       {authz.ModelRBAC, "p, ann, file, read, allow\np, bob, key, read, allow", authz.Columns{Prefix: "file"}},
		"owners":     {authz.ModelOwnership, "p, @owner, file, read, allow\np, staff, file, read, allow\ng, carol, staff", authz.Columns{Prefix: "file", Attributes: files.Attributes}},
		"ABAC": {
			authz.ModelABAC,
			"p, r.obj.level < 3 && r.sub.grade >= 2, file, read, allow\np, r.obj.owner == r.sub, file, read, allow\np, r.obj.owner == 'bob' && 2 <= r.obj.level, file, read, deny\np, r.obj.owner in ('carol'), file, read, allow",
			authz.Columns{Prefix: "file", Attributes: files.Attributes},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := must[*authz.Engine](t)(newEngine(tc.model, tc.policy, authz.Options{}))
			t.Run("SQLite", func(t *testing.T) { compareFilter(t, e, tc.columns, sqliteRows(t), false) })
			t.Run("PostgreSQL", func(t *testing.T) { compareFilter(t, e, tc.columns, postgresRows(t), true) })
		})
	}
}

func compareFilter(t *testing.T, e *authz.Engine, c authz.Columns, db *sql.DB, numbered bool) {
	some := 0
	for _, who := range []string{"ann", "bob", "carol", "dan"} {
		r := authz.Request{Subject: who, Action: "read", Attributes: &authz.Attributes{Subject: map[string]any{"grade": len(who) - 1}}}
		cond, err := e.Filter(r, c)
		if err != nil {
			t.Fatal(err)
		}
		where := cond.Where
		if numbered {
			where = cond.Postgres(1)
		}
		rows, err := db.QueryContext(t.Context(), "SELECT id FROM files WHERE "+where+" ORDER BY id", cond.Args...)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		var got []string
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		rows.Close()
		may, want := e.Allowing(r), []string(nil)
		for _, f := range table {
			object := c.Prefix
			if c.ID != "" {
				object += f.id
			}
			if may(object, map[string]any{"owner": f.owner, "level": f.level}) {
				want = append(want, f.id)
			}
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q selects %q, want %q", who, where, got, want)
		}
		some += len(want)
	}
	if some == 0 {
		t.Error("nobody may anything")
	}
}

type file struct {
	id, owner string
	level     int
}

var table = []file{{"a", "ann", 1}, {"b", "bob", 2}, {"c", "carol", 3}, {"d", "bob", 1}, {"a/x", "ann", 4}, {"ab", "dan", 5}}

func fill(t *testing.T, db *sql.DB, form string) *sql.DB {
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE files (id TEXT NOT NULL, owner TEXT NOT NULL, level INTEGER NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	for _, f := range table {
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO files VALUES (%s)", form), f.id, f.owner, f.level); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func sqliteRows(t *testing.T) *sql.DB {
	return fill(t, servers.SQLite(t), "?, ?, ?")
}

func postgresRows(t *testing.T) *sql.DB {
	return fill(t, servers.Postgres(t).Owner, "$1, $2, $3")
}

func TestFilterRefusesWhatSQLLacks(t *testing.T) {
	for name, tc := range map[string]struct{ model, policy string }{
		"expression": {matching("regexMatch(r.obj, p.obj)"), "p, ann, .*, read"},
		"attribute":  {authz.ModelABAC, "p, r.obj.colour == 'red', file, read, allow"},
		"priority":   {"[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n[policy_effect]\ne = priority(p.eft) || deny\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n", "p, ann, file, read, allow"},
	} {
		e := must[*authz.Engine](t)(newEngine(tc.model, tc.policy, authz.Options{}))
		if c, err := e.Filter(authz.Request{Subject: "ann", Action: "read"}, authz.Columns{Prefix: "file", ID: "id"}); !errors.Is(err, authz.ErrNoFilter) && c.Where != "1 = 0" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	e := must[*authz.Engine](t)(newEngine(authz.ModelRBAC, "p, ann, *, read, allow", authz.Options{}))
	if _, err := e.Filter(authz.Request{Subject: "ann", Action: "read"}, authz.Columns{ID: "id; DROP TABLE files"}); err == nil {
		t.Error("a column that is none")
	}
	if c, err := e.Filter(authz.Request{Action: "read"}, authz.Columns{ID: "id"}); err != nil || c.Where != "1 = 0" {
		t.Errorf("nobody: %+v, %v", c, err)
	}
}
