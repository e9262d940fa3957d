// Package ocsf writes audit entries as events of the Open Cybersecurity Schema
// Framework, version 1.8.0, which security information systems read.
//
// One table of [Row] decides the class and activity of every action. An action
// is matched by the row with the longest prefix that knows its verb, the last
// word. An action that no row knows is [ErrUnknownAction]: nothing falls into a
// catch-all, and an application adds rows for its own actions:
//
//	m, err := ocsf.New("records", "1.4.0", ocsf.Row{Prefix: "records", Class: ocsf.APIActivity, Verbs: ocsf.CRUD})
//
// What OCSF has no member for (reason, targets, attributes) is in unmapped,
// under the entry's own names. A sealed personal value is written as the
// subject it belongs to; whoever may read it asks the log.
package ocsf
