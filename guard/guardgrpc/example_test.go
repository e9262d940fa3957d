package guardgrpc_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/guardgrpc"
)

// The guards of an HTTP server serve a gRPC server too; Verify finds methods
// that nobody guards.
func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	open := []guard.Guard{guard.Public("the load balancer has no credentials")}
	guarded, err := guardgrpc.New([]guard.Guard{guard.Audit(log)},
		guard.Route{Pattern: healthpb.Health_Check_FullMethodName, Action: "health.check", Guards: open},
		guard.Route{Pattern: healthpb.Health_Watch_FullMethodName, Action: "health.watch", Guards: open, Stream: true})
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(guarded.Options()...)
	healthpb.RegisterHealthServer(server, health.NewServer())
	fmt.Println(guarded.Verify(server))
	// Output: guard: bad configuration: /grpc.health.v1.Health/List has no route
}
