// Package review has people look at who has which role, and takes away what
// nobody vouches for.
//
//	desk, err := review.New(db, key, engine, keeper, log, review.Options{Facts: facts, Remind: mail})
//	c, err := desk.Start(ctx, "acme", review.Plan{
//		Name: "2026-Q4", Domain: "acme", Roles: []string{"admin", "clerk"},
//		Reviewers: map[string]string{"admin": "u-1", "clerk": "u-2"}, Second: "u-3",
//		Due: time.Now().AddDate(0, 0, 14), Revoke: true,
//	})
//	c, err = desk.Decide(ctx, "acme", c.ID, 7, review.Keep, "still on the team")
//	err = desk.Sweep(ctx, "acme")       // every hour: reminders, and what the deadline brings
//
// A campaign fixes its population when it starts: every grant of the roles in
// scope, with what is known of it. Each grant is decided by its role's
// reviewer, or by the second one: whoever would review a role of their own, and
// whoever escalates, hands it on. Every decision has a reason, is on record
// before it counts, and a role that is taken away is gone when Decide returns.
//
// What nobody decided by the deadline is taken away if the plan says so, and
// otherwise stays and fails the control; so does a revocation that could not be
// carried out, which Sweep tries again.
//
// # Proof
//
// The steps of a campaign are a chain of MACs in the store: one that was
// changed, moved, inserted or taken out of the middle is [ErrForged]. The event
// of closing carries the SHA-256 of what [Desk.Export] writes, so that the
// log's proof of that event is the proof of the report; it also shows steps that
// were cut off at the end.
package review
