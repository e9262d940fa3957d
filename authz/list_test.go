package authz_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/surety-go/surety/authz"
)

func TestWhoCanAndWhatCan(t *testing.T) {
	e, _ := load(t, authz.ModelTenants, "p, staff, *, file, read, allow\np, root, acme, *, *, allow\np, intern, *, file, read, deny\n"+
		"g, a, staff, acme\ng, b, staff, globex\ng, c, staff, acme\ng, c, intern, acme\ng, lead, staff, acme\ng, d, lead, acme")
	who, err := e.WhoCan(authz.Request{Domain: "acme", Object: "file", Action: "read"})
	if err != nil || !slices.Equal(who, []string{"a", "d", "root"}) {
		t.Errorf("%q, %v", who, err)
	}
	what, err := e.WhatCan("acme", "d")
	if err != nil || len(what) != 1 || what[0].Object != "file" || what[0].Action != "read" || !slices.Equal(what[0].RolePath, []string{"d", "lead", "staff"}) {
		t.Errorf("%+v, %v", what, err)
	}
	if what, err := e.WhatCan("acme", "c"); err != nil || len(what) != 0 {
		t.Errorf("what is denied is listed: %+v, %v", what, err)
	}
	if g := e.Grants("globex"); len(g) != 1 || g[0].Subject != "b" || g[0].Role != "staff" {
		t.Errorf("%+v", g)
	}
	if list := e.Rules(); len(list) != 9 || list[0].String() != "p, staff, *, file, read, allow" || list[2].Fields[4] != "deny" {
		t.Errorf("%v", list)
	}
	abac, _ := load(t, authz.ModelABAC, "p, r.sub.x == 1, file, read, allow")
	if _, err := abac.WhoCan(authz.Request{Object: "file", Action: "read"}); !errors.Is(err, authz.ErrUnlistable) {
		t.Errorf("subjects by attributes: %v", err)
	}
}
