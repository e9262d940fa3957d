// Package integrity shows when stored data was changed past the application.
//
// Every row carries a MAC over its table, tenant, key, version and columns,
// under a key that is not in the database. A [Head] per table and tenant
// counts the rows and sums their MACs, so that a deleted row shows as well.
//
//	rows, err := integrity.NewRows(key, log)
//	r := integrity.Row{Tenant: "acme", Table: "people", Key: id, Version: 3, Columns: columns}
//	r.MAC = rows.Seal(r)                        // stored beside the row
//	head = rows.Change(head, nil, &r)           // stored in the same transaction
//	err = rows.Verify(ctx, r)                   // on every read
//	report, err := rows.Scan(ctx, head, all)    // from time to time, over a whole table
//
// # What it finds, and what not
//
// A changed column, a row copied to another key or tenant, an inserted row and
// a deleted one are found by whoever has the key. A database put back as a
// whole to an earlier state, heads included, is consistent with itself: the
// audit log, which holds the versions, tells that it is old. Whoever has the
// key can forge everything.
package integrity
