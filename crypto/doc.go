// Package crypto seals values so that a stolen database is unreadable, a
// ciphertext that was moved or changed does not open, and destroying a
// person's key erases every copy of that person's data, backups included.
//
//	keeper, err := crypto.NewKeeper(kek, store, log, crypto.Options{})
//	b := crypto.Binding{Tenant: "acme", Subject: "u-1", Table: "people", Column: "email", Row: "17"}
//	sealed, err := keeper.Seal(ctx, nil, []byte("ada@example.org"), b)
//	plain, err := keeper.Open(ctx, nil, sealed, b)
//
// A key-encryption key (a [KEK]: crypto/localkms, a cloud KMS) wraps data
// keys, one line of versions per tenant and data subject, which a [KeyStore]
// keeps as encrypted Tink keysets. Data keys are unwrapped once and cached as
// [CachePolicy] allows, so that sealing costs what AES costs.
//
// # Form of a sealed value
//
//	magic 0xA5 0x53 | version 1 | algorithm | key id, 32 bytes | body
//
// The key id is a commitment: HMAC-SHA256 of the key itself, checked whenever
// a key is unwrapped. No ciphertext opens under two keys, and no store can
// pass one key off as another. The associated data is the header's version and
// algorithm followed by the encoded [Binding]; [AES256GCM]'s body is what Tink
// writes for an AES-GCM key without prefix.
//
// # Guarantees and the tests that hold them
//
//   - A value moved to another tenant, subject, table, column, row or purpose,
//     or changed in any bit, is [ErrTampered] and recorded: TestMovedValues,
//     TestEveryBitIsAuthenticated.
//   - What does not begin with a valid header never passes as plaintext or
//     ciphertext: TestNothingIsGuessed.
//   - Without the KEK, cached keys serve within the policy, then nothing:
//     TestKEKOutage.
//   - A destroyed key stays destroyed on every instance within
//     CachePolicy.RevokeCheck, and after a restore: TestDestroy,
//     TestDestroyReachesOtherInstances, TestReplayAfterRestore.
//   - What can't be recorded doesn't happen: TestUnrecordedKeyIsNotUsed.
//   - Resealing everything resumes where it stopped and makes nothing genuine
//     that was not: TestResealAllResumes, TestResealAllMeetsErasedAndSwappedRows.
//   - No hold comes between the question and the destruction; there is no
//     receipt before indexes are cleared: TestHoldsAreLocked,
//     TestReceiptNeedsClearedIndexes.
//
// # Errors
//
// [ErrTampered], [ErrShredded] and [ErrKeyUnavailable] tell an operator what
// happened. A caller who may be an attacker gets [Opaque] of the error.
//
// # Events
//
// crypto.key.create, crypto.key.rotate, crypto.key.unwrap, crypto.key.rewrap,
// crypto.key.destroy, crypto.key.destroyed, crypto.key.allow,
// crypto.key.export, crypto.key.import, and crypto.open when it was denied.
// Unwraps follow the number of active keys; a log's table may aggregate them
// with the rule {Action: "crypto.key.unwrap", Outcome: Success, Ack: Aggregated}.
// None of these events holds a personal attribute, so that the log may itself
// seal with the keeper.
//
// # FIPS 140-3
//
// [AES256GCM], [AES256GCMDerived] and streams run under GODEBUG=fips140=only.
// [AES256SIV] is not an approved mode: under it, Seal and Open refuse with
// [ErrFIPS].
package crypto
