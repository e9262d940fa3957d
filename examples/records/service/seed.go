package service

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authz/change"
)

// demoPeople are the people of both demo companies.
var demoPeople = []struct{ role, name, title string }{
	{"owner", "Olive Oduya", "Head of People"},
	{"manager", "Maxim Moreau", "Team Lead"},
	{"employee", "Esra Eriksen", "Engineer"},
	{"auditor", "Avery Adeyemi", "Internal Auditor"},
}

// seed makes two tenants with four accounts each, once, for a demo.
func (s *Service) seed(ctx context.Context) error {
	if !s.o.Demo {
		return nil
	}
	ctx = system(ctx, "seed")
	for _, tenant := range []string{"acme", "globex"} {
		there, err := s.identity.accounts.List(ctx, tenant)
		if err != nil || len(there) > 0 {
			return err
		}
		if err := s.seedTenant(ctx, tenant); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) seedTenant(ctx context.Context, tenant string) error {
	if err := s.seedLeavers(ctx, tenant); err != nil {
		return err
	}
	for i, d := range demoPeople {
		a := Account{Tenant: tenant, Role: d.role, ID: id(), Name: d.role + "@" + tenant + ".example", Password: once()}
		hash, err := s.identity.passwords.Hash(ctx, a.Password)
		if err != nil {
			return err
		}
		if err := s.identity.accounts.Create(ctx, login.Account{Tenant: tenant, ID: a.ID, Name: a.Name, Password: hash, MustChange: true}); err != nil {
			return err
		}
		if err := s.seedRole(ctx, tenant, a.ID, d.role); err != nil {
			return err
		}
		person := Person{
			Tenant: tenant, ID: a.ID, Title: d.title, Name: d.name, Email: a.Name,
			NationalID: "DEMO-" + strings.ToUpper(tenant[:1]) + "-000" + string(rune('1'+i)), Version: 1,
		}
		if err := s.people.insert(ctx, person); err != nil {
			return err
		}
		s.identity.demo = append(s.identity.demo, a)
	}
	return nil
}

// seedRole gives a demo account its role. That of an owner needs two: there is
// nobody yet to approve the first one, so the demo itself is both.
func (s *Service) seedRole(ctx context.Context, tenant, account, role string) error {
	g := change.Grant{Domain: tenant, Subject: account, Role: role, Reason: "an account of the demo"}
	err := s.access.keeper.Grant(ctx, g)
	if !errors.Is(err, change.ErrApproval) {
		return err
	}
	id, err := s.access.keeper.Propose(ctx, g)
	if err != nil {
		return err
	}
	return s.access.keeper.Approve(system(ctx, "seed-approval"), id)
}

// seedLeavers makes the files of two people who have left: one is kept for
// years to come, the other should have gone yesterday.
func (s *Service) seedLeavers(ctx context.Context, tenant string) error {
	for _, d := range []struct {
		name     string
		departed time.Time
	}{{"Lena Lindqvist", time.Now().AddDate(-1, 0, 0)}, {"Luis Lopes", time.Now().AddDate(-7, 0, -3)}} {
		err := s.people.insert(ctx, Person{
			Tenant: tenant, ID: id(), Title: "Engineer, until " + d.departed.Format(time.DateOnly), Departed: d.departed.Format(time.DateOnly),
			Name: d.name, Email: "left@" + tenant + ".example", NationalID: "DEMO-GONE", Version: 1,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// system is the context of what the service does by itself.
func system(ctx context.Context, id string) context.Context {
	return auditlog.WithActor(ctx, auditlog.Actor{ID: id, Kind: auditlog.System})
}

var letters = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// id is a random account id: a pseudonym for life.
func id() string {
	b := make([]byte, 10)
	rand.Read(b)
	return "u-" + letters.EncodeToString(b)
}

// validID reports whether a string has the form of an account's id. What comes
// from a path or a message is looked at before it goes anywhere.
func validID(s string) bool {
	name, ok := strings.CutPrefix(s, "u-")
	return ok && len(name) == 16 && strings.Trim(name, "abcdefghijkmnpqrstuvwxyz23456789") == ""
}

// once is a password for the first sign-in, 100 bits in five groups.
func once() string {
	b := make([]byte, 13)
	rand.Read(b)
	s := letters.EncodeToString(b)
	return strings.Join([]string{s[:4], s[4:8], s[8:12], s[12:16], s[16:20]}, "-")
}
