// Package privacy enforces why personal data may be used: a purpose travels
// with the context, a [Gate] checks it where data is read, and nothing is read
// for a purpose that was not declared, not permitted for the operation, or not
// consented to.
//
//	gate, err := privacy.NewGate(purposes, ledger, log)
//	route := guard.Route{Pattern: "GET /records/{id}", Action: "records.read",
//		Guards: []guard.Guard{policy, gate.Require("payroll", "benefits")}, Handler: show}
//
// The guard admits a call that states one of the route's purposes, in the
// header "Purpose" or by itself when the route has only one. The handler then
// asks the gate about the person whose data it is going to read:
//
//	if err := gate.Check(ctx, tenant, subject); err != nil { … } // before any field is opened
//
// A purpose has a lawful basis (GDPR, Article 6). Consent is asked of a
// [Consents], which privacy/consent satisfies; a ledger that can't be reached
// means no. Refusals are recorded with the purpose and the person's pseudonym.
package privacy
