// Package dsr keeps the requests of data subjects: what they ask for, how sure
// we are who asks, when the law wants an answer, and what became of it.
//
//	berlin := dsr.Calendar{Location: location, Holidays: holidays}
//	desk, err := dsr.New(store, key, log, tenants, []dsr.Regime{dsr.GDPR(berlin)}, dsr.Options{})
//	r, err := desk.Open(ctx, dsr.Ask{Tenant: "acme", Subject: id, Kind: dsr.Access, Regime: "gdpr"})
//	r, err = desk.VerifySession(ctx, "acme", r.ID)       // signed in with a second factor just now
//	r, err = desk.Fulfil(ctx, "acme", r.ID, "bundle 4f2a")
//
// # States
//
//	received ──> verifying ──> active ──> fulfilled
//	    └────────────┴────────────┴─────> refused, withdrawn
//
// A request needs the verification its kind asks for before it is active, and
// only an active one can be fulfilled. Refusing needs a legal exception. Each
// step has an actor, a time and a reason, and is an audit event before it
// counts.
//
// # Clocks
//
// A [Regime] says how long confirming and answering may take, and whether the
// time spent on verifying counts. [GDPR] and [CCPA] are two; write others as
// data. Days are those of the regime's [Calendar]: a deadline ends with the
// last second of a day in its time zone.
//
// # Stores
//
// Requests are records of a [record.Store], which can't change one unseen:
// [ErrTampered].
package dsr
