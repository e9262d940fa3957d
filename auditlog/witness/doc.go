// Package witness lets another party vouch for an audit log (C2SP
// tlog-witness). A witness signs a checkpoint, with the time, only if it
// continues the one it signed before; so an operator can't show one history to
// the witness and another to the auditor, and can't rewrite what was witnessed.
//
// [Client] is an auditlog.Witness that asks a witness over HTTPS; any witness
// of that protocol will do. [Server] is a small one for a second party to run,
// with [NewKey] to make its key. A witness run by the log's own operator
// proves nothing, whatever this package says.
package witness
