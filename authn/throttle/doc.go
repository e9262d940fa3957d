// Package throttle slows guessing down without locking the rightful owner out
// for good.
//
//	guesses, err := throttle.New(store, log, throttle.Options{})
//	err = guesses.Begin(ctx, tenant, account, client) // *throttle.LockedError when it must wait
//	… verify all factors …
//	err = guesses.Succeed(ctx, tenant, account)       // or nothing: what never succeeds has failed
//
// An attempt counts as failed from its beginning, so that a thousand guesses
// sent at once are a thousand failures and not one. After a few free failures
// each further one doubles the time an account or a client has to wait. After
// 100 failures in a row the authenticator is disabled until Unlock, which a
// rebinding or an administrator does (SP 800-63B-4, 3.2.2). A client that
// fails on many accounts waits too; a success does not forgive a client.
//
// Accounts that do not exist are throttled like others: give an identifier
// derived from what was typed.
package throttle
