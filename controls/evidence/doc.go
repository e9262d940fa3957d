// Package evidence exports what an auditor needs about a period as one signed
// file, and checks such a file offline without trusting who wrote it.
//
//	content, err := evidence.Collect(ctx, evidence.Sources{System: "records", Catalogue: cat, Monitor: m, Findings: tracker, Registers: set}, from, to)
//	manifest, err := evidence.Write(file, content, privateKey)
//
//	bundle, err := evidence.Open(file, size)
//	verdict := bundle.Check(publicKey, evidence.CheckOptions{Log: &verify.Policy{Key: logKey, Witnesses: witnesses}})
//
// A bundle is a zip file in a fixed order: manifest.json with the SHA-256 of
// every other file, manifest.sig with an Ed25519 signature over it, the
// catalogue, the controls as mounted, the history of probes with its gaps, the
// findings, the registers, populations as CSV, an export of the audit log, and
// whatever the application adds.
//
// # What the check re-performs
//
// The signature is checked with a key that the auditor has from elsewhere,
// never with one from the bundle. Then: the files are exactly those of the
// manifest; the catalogue asks for no less than the one shipped with the
// checking program; parameters, those at the export and those at every run, lie
// within it; the gaps are recomputed from the entries; a run that failed has a
// finding, and a finding that was verified has a passing run after its remedy;
// populations have as many rows as stated. With the audit log's key, its export
// is verified against the signed checkpoint, and every run and every step of a
// finding is looked up in it, and every run and finding of it in the bundle:
// what was left out shows.
//
// A [Problem] says that the bundle is not what it claims. An exception is
// something the bundle discloses, such as a gap or an overdue finding: it does
// not make the evidence false, and the auditor has to judge it.
//
// # Hostile bundles
//
// Whoever wrote the bundle controls every byte of it. Sizes and numbers are
// bounded before anything is unpacked; repeated names, names that differ only
// in case, paths that leave the bundle, links, and members that JSON readers
// might see differently are refused with [ErrBundle].
package evidence
