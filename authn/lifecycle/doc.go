// Package lifecycle gives people access when they join, changes it when they
// move, and ends all of it when they leave.
//
//	people, err := lifecycle.New(lifecycle.Parts{
//		Store: db.People(), Accounts: db.Accounts(), Granter: engine, Recorder: log,
//		Enders: []lifecycle.Ender{lifecycle.Sessions(sessions), lifecycle.APIKeys(keys)},
//	}, lifecycle.Options{Roles: []string{"reader", "editor"}})
//	p, err := people.Request(ctx, lifecycle.Person{Tenant: t, Name: "ada@example.org", Roles: []string{"reader"}})
//	err = people.Approve(ctx, t, p.ID)            // by somebody else than who asked
//	err = people.Move(ctx, t, p.ID, []string{"editor"})
//	err = people.Leave(ctx, t, p.ID, "contract.end")
//
// # Joining
//
// A request makes an account that can't sign in and has no roles. Approve, by
// a signed-in caller who neither asked nor is the person, gives the roles and
// then opens the account (CC6.2). Sources that decide for you, such as an
// identity provider by SCIM, are trusted only with Options.TrustSources, which
// shows in evidence.
//
// # Leaving
//
// Leave closes the account first, then ends sessions, keys and whatever else
// the Enders know, then takes the roles. What fails is tried again by Sweep;
// [Manager.Overdue] and the probe report whoever still has something open
// after Options.Deadline (CC6.3).
//
// # Sources
//
// [Manager.SCIM] serves SCIM 2.0 (RFC 7643, RFC 7644), [Manager.Import] takes
// the feed of a personnel system, and [Manager.Orphans] reports who has access
// here and is not known there. A feed that would remove more people than
// Options.MaxLeavers changes nothing: an empty file is a fault more often than
// a farewell.
//
// # Errors
//
// [ErrNotFound], [ErrState], [ErrSelf], [ErrRole], [ErrTaken] and [ErrFeed] are
// for errors.Is.
package lifecycle
