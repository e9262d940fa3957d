package guardgrpc_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/guardgrpc"
)

// The health service has a unary and a streaming method and needs no stubs of
// our own.
const (
	check = "/grpc.health.v1.Health/Check"
	watch = "/grpc.health.v1.Health/Watch"
	list  = "/grpc.health.v1.Health/List"
)

type testGuard struct {
	phase   guard.Phase
	admit   func(context.Context, *guard.Call) (context.Context, error)
	readmit func() error
}

func (g *testGuard) Phase() guard.Phase           { return g.phase }
func (g *testGuard) Controls() []controls.Control { return nil }

func (g *testGuard) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	if g.admit == nil {
		return ctx, nil
	}
	return g.admit(ctx, call)
}

func (g *testGuard) Readmit(context.Context, *guard.Call) error {
	if g.readmit == nil {
		return nil
	}
	return g.readmit()
}

func denying(d error) *testGuard {
	return &testGuard{phase: guard.Authorise, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) { return ctx, d }}
}

// recorder keeps events; when fail is set it refuses them.
type recorder struct {
	mu     sync.Mutex
	events []auditlog.Event
	fail   error
	seen   chan auditlog.Event
}

func (r *recorder) Record(ctx context.Context, ev auditlog.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	e, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		return err
	}
	r.events = append(r.events, e.Event)
	if r.seen != nil {
		r.seen <- e.Event
	}
	return nil
}

func (r *recorder) only(t *testing.T) auditlog.Event {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != 1 {
		t.Fatalf("%d events, want one: %+v", len(r.events), r.events)
	}
	return r.events[0]
}

func attr(ev auditlog.Event, key string) string {
	for _, a := range ev.Attrs {
		if a.Key == key {
			return a.Text()
		}
	}
	return ""
}

// service is a health service whose methods are functions.
type service struct {
	healthpb.UnimplementedHealthServer
	check func(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error)
	watch func(grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error
}

func (s *service) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if s.check == nil {
		return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
	}
	return s.check(ctx, r)
}

func (s *service) Watch(_ *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	return s.watch(stream)
}

func routes(guards ...guard.Guard) []guard.Route {
	return []guard.Route{
		{Pattern: check, Action: "records.read", Guards: guards},
		{Pattern: watch, Action: "records.watch", Guards: guards, Stream: true},
		{Pattern: list, Action: "records.list", Guards: guards},
	}
}

// start serves guarded methods on loopback and returns a client.
func start(t *testing.T, svc *service, base []guard.Guard, table []guard.Route) (healthpb.HealthClient, *grpc.ClientConn) {
	t.Helper()
	guarded, err := guardgrpc.New(base, table...)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(guarded.Options()...)
	healthpb.RegisterHealthServer(server, svc)
	lis, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := server.Serve(lis); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serve: %v", err)
		}
	}()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		guarded.Wait()
	})
	return healthpb.NewHealthClient(conn), conn
}

func codeOf(err error) guard.Code { return guard.Code(status.Code(err)) }
