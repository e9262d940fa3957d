// Package findings tracks deficiencies from the moment a probe fails or a
// detection fires until a passing test and evidence close them.
//
//	tracker, err := findings.New(findings.NewMemory(), recorder, cat.Owner, findings.Options{})
//	f, err := tracker.Raise(ctx, tenant, findings.Report{Control: "authz.policy", Severity: findings.High, Summary: "…"})
//	f, err = tracker.Acknowledge(ctx, tenant, f.ID, "looking into it")
//	f, err = tracker.Remediate(ctx, tenant, f.ID, "policy restored from revision 12")
//	f, err = tracker.Verify(ctx, tenant, f.ID, monitor) // a probe that passed after the remedy
//	f, err = tracker.Close(ctx, tenant, f.ID, "change 4711, run 815")
//
// # States
//
//	open → acknowledged → remediated → verified → closed
//	open, acknowledged → risk-accepted → open (when the acceptance expires)
//	acknowledged, remediated, verified → open (when it happens again)
//
// A finding always has an owner, from the catalogue, and a due date, from its
// severity. The same deficiency raised again is counted on the finding that
// is not closed yet, never listed twice. Whoever remedies does not verify; who
// accepts a risk is not its owner, and acceptance ends. [Tracker.Sweep]
// escalates what is overdue and reopens what is accepted no longer; call it
// about every hour.
//
// The acting person is the context's [auditlog.Actor]. A new finding is stored
// and then recorded, since it must not be lost while the log is down; every
// later step is recorded before it is stored. A step that can't be recorded
// does not happen, and one that was recorded and could not be stored is
// followed by an event of the same action with outcome failed.
//
// # Errors
//
// [ErrNotFound], [ErrTransition] for a step that the state does not allow,
// [ErrIncomplete] for a step that lacks what it needs, [ErrDuties] for the
// wrong person, [ErrNotVerified] for a control that does not pass yet,
// [ErrConflict] when someone else was faster.
package findings
