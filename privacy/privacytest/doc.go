// Package privacytest asserts in an application's own go test what privacy
// promises people: no read of a field without a purpose that it serves, an
// erasure that leaves nothing, a withdrawal that is as easy as giving.
//
//	privacytest.NeedsPurpose(t, gate, "NationalID", []privacy.Purpose{"payroll"},
//		func(ctx context.Context) (Person, error) { return service.Read(ctx, tenant, id) })
//
//	privacytest.LeavesNothing(t, []string{"Ada Lovelace", "ada@example.org"},
//		[]privacytest.Place{privacytest.SQL(db, "people", "outbox"), privacytest.Dir(dataDir)},
//		func(ctx context.Context) error { return service.Erase(ctx, tenant, id) })
//
// Each assertion shows first that it can fail: what may be read is read, and
// what shall be gone was there.
package privacytest
