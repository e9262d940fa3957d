package ratelimit

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/guardgrpc"
	"github.com/surety-go/surety/ratelimit"
)

// checkOverGRPC returns a client's question to a server behind the limiter.
func checkOverGRPC(t *testing.T, l *ratelimit.Limiter) func() (metadata.MD, error) {
	t.Helper()
	guarded, err := guardgrpc.New([]guard.Guard{guard.Audit(new(auditlogtest.Recorder)), l}, guard.Route{
		Pattern: healthpb.Health_Check_FullMethodName, Action: "health.check",
		Guards: []guard.Guard{guard.Public("the load balancer has no credentials")},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(guarded.Options()...)
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return func() (metadata.MD, error) {
		var header metadata.MD
		_, err := healthpb.NewHealthClient(conn).Check(context.WithoutCancel(t.Context()), &healthpb.HealthCheckRequest{}, grpc.Header(&header))
		return header, err
	}
}

// TestOverGRPC: the same limiter answers RESOURCE_EXHAUSTED, says when to come
// back (google.rpc.RetryInfo), and has the fields as metadata.
func TestOverGRPC(t *testing.T) {
	l, err := ratelimit.New([]ratelimit.Policy{
		{Name: "client", Key: ratelimit.ByClient(), Count: 1, Per: time.Hour},
	}, ratelimit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check := checkOverGRPC(t, l)
	header, err := check()
	if err != nil {
		t.Fatal(err)
	}
	if got := header.Get("ratelimit"); !slices.Equal(got, []string{`"client";r=0;t=3600`}) {
		t.Errorf("ratelimit: %q", got)
	}
	_, err = check()
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted {
		t.Fatalf("the second call: %v", err)
	}
	var info *errdetails.ErrorInfo
	var retry *errdetails.RetryInfo
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d
		}
	}
	if info.GetReason() != "ratelimit.limiter" || !strings.Contains(info.GetMetadata()["violated-policies"], "client") {
		t.Errorf("ErrorInfo %v", info)
	}
	if wait := retry.GetRetryDelay().AsDuration(); wait > time.Hour || wait < time.Hour-time.Minute {
		t.Errorf("RetryInfo %v", wait)
	}
}
