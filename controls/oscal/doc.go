// Package oscal writes the content of an evidence bundle in NIST's Open
// Security Controls Assessment Language, version 1.2.2, for tools that read it.
//
//	err := oscal.ComponentDefinition(w, content) // what is mounted and which criteria it serves
//	err = oscal.AssessmentResults(w, content)    // what the probes of the period saw
//
// A component is a mounted control. Its implemented requirements are Trust
// Services Criteria by id. The findings of the assessment are about this
// project's own controls, not about criteria: a passing probe does not satisfy
// a criterion. Deficiencies that are not closed are risks with a deadline.
//
// Identifiers are UUIDs of version 5 (RFC 9562) over what they stand for, so
// that the same content gives the same file and a component keeps its
// identifier from one export to the next. The types here are the part of the
// model that is needed; the output is validated against NIST's JSON schema in
// the project's integration tests.
package oscal
