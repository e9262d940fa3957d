package guardgrpc_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/guard"
)

// Attack: a method name that the server routes and the guards don't know
// (grpc-go before 1.79.3 took a path without its slash).
func TestSpellingsOfAMethodDoNotGetAround(t *testing.T) {
	var inside atomic.Int32
	svc := &service{check: func(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
		inside.Add(1)
		return &healthpb.HealthCheckResponse{}, nil
	}}
	rec := &recorder{}
	_, conn := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(denying(&guard.Denial{Control: "test.deny", Public: "No."})))
	for _, method := range []string{
		check, "grpc.health.v1.Health/Check", "//grpc.health.v1.Health/Check", "/grpc.health.v1.Health//Check", "/grpc.health.v1.Health/Check/",
		"/grpc.health.v1.Health/check", "/GRPC.health.v1.Health/Check", "/grpc.health.v1.Health/Check?x", "/./grpc.health.v1.Health/Check",
		"/grpc.health.v1.Health/%43heck", "/Check", "/", "x",
	} {
		err := conn.Invoke(t.Context(), method, &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
		if code := status.Code(err); code == codes.OK {
			t.Errorf("%q was answered", method)
		}
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d calls came through", n)
	}
}

// Attack: metadata that proxies and frameworks take for the caller's identity.
func TestMetadataIsNoIdentity(t *testing.T) {
	client, _ := start(t, &service{}, []guard.Guard{guard.Audit(&recorder{})}, routes(&testGuard{phase: guard.Authorise, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		if !call.Actor.IsZero() || call.Client.String() != "127.0.0.1" || call.Operation != check {
			t.Errorf("actor %+v, client %v, operation %q", call.Actor, call.Client, call.Operation)
		}
		return ctx, nil
	}}))
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"x-forwarded-for", "203.0.113.9", "x-real-ip", "203.0.113.9", "forwarded", "for=203.0.113.9",
		"x-user", "admin", "x-original-method", list)
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}

func TestTrailersPass(t *testing.T) {
	set := func(ctx context.Context) {
		if err := grpc.SetTrailer(ctx, metadata.Pairs("x-sum", "42")); err != nil {
			t.Errorf("trailer: %v", err)
		}
	}
	svc := &service{
		check: func(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
			set(ctx)
			return &healthpb.HealthCheckResponse{}, nil
		},
		watch: func(s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
			s.SetTrailer(metadata.Pairs("x-sum", "42"))
			return status.Error(codes.NotFound, "The handler says so.")
		},
	}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(&recorder{})}, routes(public))
	var trailer metadata.MD
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.Trailer(&trailer)); err != nil || len(trailer.Get("x-sum")) != 1 {
		t.Errorf("unary: %v, %v", trailer, err)
	}
	stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.NotFound || len(stream.Trailer().Get("x-sum")) != 1 {
		t.Errorf("stream: %v, %v", stream.Trailer(), err)
	}
}

// A caller who hangs up is no denial and no failure of a control.
func TestCancelledUnaryCall(t *testing.T) {
	rec := &recorder{}
	entered := make(chan struct{})
	left := make(chan struct{})
	svc := &service{check: func(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
		defer close(left)
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	var outcome atomic.Pointer[guard.Outcome]
	finished := make(chan struct{})
	note := &testGuard{phase: guard.Observe, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		call.OnFinish(func(_ context.Context, o guard.Outcome) {
			outcome.Store(&o)
			close(finished)
		})
		return ctx, nil
	}}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec), note}, routes(public))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Canceled {
		t.Errorf("the caller sees %v", err)
	}
	<-left
	<-finished
	if o := outcome.Load(); o.Code != guard.Canceled || o.Denial != nil {
		t.Errorf("outcome %+v", o)
	}
}

// What one caller does never stands in another's event.
func TestCallsAtOnceKeepTheirOwnEvents(t *testing.T) {
	const callers, each = 8, 25
	rec := &recorder{}
	svc := &service{check: func(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
		guard.CallFrom(ctx).Target("record", r.GetService())
		if strings.HasSuffix(r.GetService(), "0") {
			return nil, status.Error(codes.NotFound, "No such record.")
		}
		return &healthpb.HealthCheckResponse{}, nil
	}}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(public))
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				id := strconv.Itoa(c) + "-" + strconv.Itoa(i)
				_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: id})
				if missing := strings.HasSuffix(id, "0"); (status.Code(err) == codes.NotFound) != missing {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool)
	for _, ev := range rec.events {
		id := ev.Targets[0].ID
		want := "200"
		if strings.HasSuffix(id, "0") {
			want = "404"
		}
		if len(ev.Targets) != 1 || seen[id] || attr(ev, "status") != want {
			t.Errorf("event %+v", ev)
		}
		seen[id] = true
	}
	if len(seen) != callers*each {
		t.Errorf("%d events of %d calls", len(seen), callers*each)
	}
}
