// Package sink forwards the audit log to other systems as it grows: at least
// once, in order, from where it left off.
//
//	f, err := sink.New(log, hook, "/var/lib/app/siem.cursor", sink.Options{})
//	err = f.Run(ctx)
//
// A [Forwarder] keeps a cursor in a file and moves it after a [Sink] has taken
// a batch. While a sink fails it tries again, ever more slowly; the log is not
// held up and nothing is dropped. After a crash the last batch may come twice:
// every entry has an id and an index by which a receiver tells.
//
// [Webhook] posts signed batches, [OTLP] sends OpenTelemetry log records,
// [Syslog] speaks RFC 5424 over TLS, and [JSONLines] appends to a file. Entries leave as they stand in the log: the
// personal values in them stay sealed.
package sink
