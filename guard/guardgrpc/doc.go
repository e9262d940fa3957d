// Package guardgrpc puts guards around a gRPC server: the same guards and the
// same table of routes that guard.NewMux takes, with full method names as
// patterns and no handlers.
//
//	guarded, err := guardgrpc.New(base,
//		guard.Route{Pattern: "/records.v1.Records/Read", Action: "records.read", Guards: ...})
//	server := grpc.NewServer(guarded.Options()...)
//	recordsv1.RegisterRecordsServer(server, service)
//	err = guarded.Verify(server) // every method has a route, every route a method
//
// A method without a route is refused, and unknown methods pass the base
// guards first, so that a scanner is seen and limited as anyone else.
//
// Denials become statuses with the same code and public text, an ErrorInfo
// detail that names the control, and a RetryInfo where trying again makes
// sense. A handler may return a *guard.Denial too. A handler's panic is
// answered Internal, logged with its stack through log/slog, and does not end
// the process.
//
// On streams, guards that are readmitters are asked every second beside the
// handler; a refusal ends the stream even when both sides are idle. The
// handler then sees its stream closed; what it still sends goes nowhere. The
// event of the end is recorded when the handler has returned.
package guardgrpc
