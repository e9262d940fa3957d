// Package change keeps an engine's policy in a store, under control: every
// change is one transaction in a sequence, says who made it, why and who
// approved it, is on record before it takes effect, and carries a MAC that
// someone who writes into the database can't make.
//
//	keeper, err := change.Open(ctx, engine, store, "platform", key, log, change.Options{
//		Conflicts: []change.Conflict{{Name: "payments", Roles: []string{"clerk", "approver"}}},
//		Approval:  []string{"admin"},
//	})
//	err = keeper.Grant(ctx, change.Grant{Domain: "acme", Subject: "u-7", Role: "clerk", Until: end, Ticket: "HR-12"})
//	go keeper.Watch(ctx, change.Poll(time.Second))
//
// The rules that the engine was made with stay; the store has what came since.
//
// # What is refused
//
//   - A change that gives someone conflicting roles ([ErrConflict]), directly
//     or through other roles, before it is written.
//   - A role that needs approval: it is proposed, and somebody else approves,
//     neither who asked nor who gets it ([ErrApprover]).
//   - A change that would put its own author into a role, except by
//     [Keeper.Elevate] and [Keeper.BreakGlass], which have a reason and an
//     end.
//   - Entries that were not written by a keeper: changed, inserted, removed
//     from the middle or cut off at the end ([ErrForged]), and a store that
//     went back ([ErrWentBack]). The policy in force stays, an event is
//     recorded, and [Keeper.Ready] and the policy's control say so.
//
// A database that is put back as a whole, head included, before a process
// starts looks like the one it was: compare the sequence in the log's last
// event with [Keeper.Sequence].
package change
