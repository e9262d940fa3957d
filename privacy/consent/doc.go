// Package consent keeps what people agreed to: an append-only ledger, each
// entry linked to the one before it by a keyed hash, so that whoever can write
// the table can't invent, change or reorder choices. Removing the latest entries
// leaves a chain that verifies: that shows against the head in the audit log.
//
//	ledger, err := consent.New(store, key, log, consent.Options{})
//	_, err = ledger.Give(ctx, consent.Choice{Tenant: "acme", Subject: id, Purpose: "newsletter", Notice: "2026-1", Method: "web form"})
//	_, err = ledger.Withdraw(ctx, consent.Choice{ … })   // as easy as giving: the same one call
//
// Every change is an audit event that carries the chain's new head, which
// anchors the ledger in the tamper-evident log. A change that can't be
// recorded does not happen. [Ledger.Reconcile] compares the log with the store.
//
// A ledger does not cache: a withdrawal counts from the next check on, on every
// instance. A [Cache] in front of it answers without the store for at most a
// second, and forgets what its own instance changes at once.
//
// Besides: [Issuer] signs receipts that people keep and anyone can verify,
// [Ledger.Merge] carries choices over when a visitor signs in, [Banner] is the
// endpoint of a cookie banner, and [GPC] reads the browser's opt-out signal.
//
// # Errors
//
// [ErrTampered] says that a stored chain does not verify: nobody consents
// until it is mended. [ErrConflict] is a store's word that someone else
// appended first; the ledger tries again. [ErrChoice] names what is missing
// in a choice.
package consent
