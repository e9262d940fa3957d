// Package erasuresql erases and exports a person's rows in SQLite and
// PostgreSQL: it reads the foreign keys, follows them from the tables in which
// people are named, and works from the leaves back to the root.
//
//	place, err := erasuresql.Open(ctx, pool, erasuresql.Options{
//		Name:  "main",
//		Roots: []erasuresql.Root{{Table: "people", Subject: "id", Tenant: "tenant"}},
//		Rules: map[string]erasuresql.Rule{"documents.approved_by": erasuresql.Unlink},
//		Personal: inventoryTables,
//	})
//	counts, err := place.DryRun(ctx, "acme", "u-1")
//	eraser, err := erasure.New(keys, log, erasure.Options{…}, place)
//
// A row that refers to the person's rows belongs to the person, and goes too,
// unless a [Rule] for the referring column says otherwise: [Unlink] sets it to
// NULL, [Keep] leaves it. Rows that refer back to a table on their own path,
// as employees do to their manager, are always someone else's: they are
// unlinked, or a [Problem] if the column can't be NULL.
//
// A [Plan] is made once from the schema and says what can't be done: cycles,
// columns that can't be unlinked, personal tables that no key leads to, and
// columns without an index, whose rows could only be found by reading the
// whole table. Open refuses a schema with problems unless each was waived.
//
// Rows go in batches, a transaction each. Every step may be done again: after
// a crash the next call finds what is left. Names of tables and columns come
// from the schema and are quoted; the person's id is always an argument.
package erasuresql
