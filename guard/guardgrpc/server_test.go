package guardgrpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/guardgrpc"
)

var public = guard.Public("test")

func TestSameGuardSameDenialSameEventOnBothTransports(t *testing.T) {
	identify := &testGuard{phase: guard.Identify, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		call.Actor = auditlog.Actor{ID: strings.Join(call.Header("X-User"), ""), Tenant: "acme", Kind: auditlog.User}
		return ctx, nil
	}}
	policy := denying(&guard.Denial{Control: "authz.policy", Code: guard.PermissionDenied, Public: "Not yours.", RetryAfter: time.Second})
	event := func(call func(rec auditlog.Recorder)) auditlog.Event {
		rec := &recorder{}
		call(rec)
		return rec.only(t)
	}
	overHTTP := event(func(rec auditlog.Recorder) {
		m, err := guard.NewMux([]guard.Guard{guard.Audit(rec), identify}, guard.Route{
			Pattern: "GET /x", Action: "records.read", Guards: []guard.Guard{policy},
			Handler: http.NotFoundHandler(),
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Header.Set("X-User", "u-1")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		if w.Code != 403 || !strings.Contains(w.Body.String(), "Not yours.") {
			t.Errorf("HTTP: %d %s", w.Code, w.Body)
		}
	})
	overGRPC := event(func(rec auditlog.Recorder) {
		client, _ := start(t, &service{}, []guard.Guard{guard.Audit(rec), identify}, routes(policy))
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-user", "u-1")
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		if codeOf(err) != guard.PermissionDenied || status.Convert(err).Message() != "Not yours." {
			t.Errorf("gRPC: %v", err)
		}
	})
	if overHTTP.Action != overGRPC.Action || overHTTP.Outcome != overGRPC.Outcome || overHTTP.Actor != overGRPC.Actor ||
		overHTTP.Reason != overGRPC.Reason || overHTTP.Reason != "authz.policy" || attr(overHTTP, "status") != attr(overGRPC, "status") {
		t.Errorf("events differ:\nHTTP %+v\ngRPC %+v", overHTTP, overGRPC)
	}
}

func TestDenialHasDetails(t *testing.T) {
	d := &guard.Denial{
		Control: "ratelimit.limiter", Code: guard.ResourceExhausted, Public: "Too many.", RetryAfter: 3 * time.Second,
		Challenge: []string{"Bearer"}, Details: map[string]any{"limit": 10}, Err: errors.New("secret"),
	}
	client, _ := start(t, &service{}, []guard.Guard{guard.Audit(&recorder{})}, routes(denying(d)))
	var header metadata.MD
	_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.Header(&header))
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted || strings.Contains(st.Message(), "secret") {
		t.Fatalf("status %v", st)
	}
	var info *errdetails.ErrorInfo
	var retry *errdetails.RetryInfo
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d
		}
	}
	if info.GetReason() != "ratelimit.limiter" || info.GetDomain() != guardgrpc.ErrorDomain || info.GetMetadata()["limit"] != "10" {
		t.Errorf("ErrorInfo %v", info)
	}
	if retry.GetRetryDelay().AsDuration() != 3*time.Second {
		t.Errorf("RetryInfo %v", retry)
	}
	if got := header.Get("www-authenticate"); !reflect.DeepEqual(got, []string{"Bearer"}) {
		t.Errorf("challenge %v", got)
	}
}

func TestParamReadsTheMessageAndHeadersPass(t *testing.T) {
	rec := &recorder{}
	g := &testGuard{phase: guard.Authorise, admit: func(ctx context.Context, call *guard.Call) (context.Context, error) {
		call.Target("record", call.Param("service"))
		call.SetHeader("x-a", "0")
		call.SetHeader("x-a", "1")
		call.AddHeader("x-a", "2")
		if call.Param("nope") != "" || call.Client.String() != "127.0.0.1" {
			t.Errorf("param %q, client %v", call.Param("nope"), call.Client)
		}
		return ctx, nil
	}}
	client, _ := start(t, &service{}, []guard.Guard{guard.Audit(rec)}, routes(g))
	var header metadata.MD
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "r-17"}, grpc.Header(&header)); err != nil {
		t.Fatal(err)
	}
	if ev := rec.only(t); ev.Outcome != auditlog.Success || ev.Targets[0].ID != "r-17" || attr(ev, "operation") != check {
		t.Errorf("event %+v", ev)
	}
	if got := header.Get("x-a"); !reflect.DeepEqual(got, []string{"1", "2"}) {
		t.Errorf("headers %v", got)
	}
}

func TestHandlersErrors(t *testing.T) {
	rec := &recorder{}
	var fail error
	svc := &service{check: func(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
		return nil, fail
	}}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(public))
	cases := []struct {
		err    error
		code   codes.Code
		says   string
		result auditlog.Outcome
	}{
		{status.Error(codes.NotFound, "no such record"), codes.NotFound, "no such record", auditlog.Failed},
		{status.Error(codes.PermissionDenied, "not yours"), codes.PermissionDenied, "not yours", auditlog.Denied},
		{&guard.Denial{Control: "privacy.consent", Code: guard.FailedPrecondition, Public: "No consent."}, codes.FailedPrecondition, "No consent.", auditlog.Denied},
		{errors.New("pq: password for admin is hunter2"), codes.Unknown, "The call failed.", auditlog.Failed},
	}
	for _, tc := range cases {
		fail = tc.err
		_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{})
		st := status.Convert(err)
		if st.Code() != tc.code || st.Message() != tc.says {
			t.Errorf("%v: %v", tc.err, st)
		}
		if ev := rec.events[len(rec.events)-1]; ev.Outcome != tc.result {
			t.Errorf("%v: event %+v", tc.err, ev)
		}
	}
}

func TestPanicsEndTheCallOnly(t *testing.T) {
	rec := &recorder{}
	svc := &service{
		check: func(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
			panic("secret")
		},
		watch: func(grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error { panic("secret") },
	}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(public, &testGuard{phase: guard.Purpose}))
	_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("unary: %v", err)
	}
	stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Internal {
		t.Errorf("stream: %v", err)
	}
	for _, ev := range rec.events {
		if ev.Outcome != auditlog.Failed || ev.Reason != "guard.panic" {
			t.Errorf("event %+v", ev)
		}
	}
	guardPanics := &testGuard{phase: guard.Authorise, admit: func(context.Context, *guard.Call) (context.Context, error) { panic("guard") }}
	client, _ = start(t, &service{}, []guard.Guard{guard.Audit(&recorder{})}, routes(guardPanics))
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Internal {
		t.Errorf("a guard's panic: %v", err)
	}
}

func TestUnrecordedCallIsNotAcknowledged(t *testing.T) {
	rec := &recorder{fail: errors.New("disk full")}
	sent := make(chan error, 1)
	svc := &service{watch: func(s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
		sent <- s.Send(&healthpb.HealthCheckResponse{})
		return nil
	}}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(public))
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unavailable || strings.Contains(err.Error(), "disk") {
		t.Errorf("unary: %v", err)
	}
	stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("stream: %v, %v", msg, err)
	}
	if err := <-sent; err == nil {
		t.Error("the handler's message went out unrecorded")
	}
}

func TestUnknownMethodsPassTheBaseGuards(t *testing.T) {
	rec := &recorder{}
	var seen atomic.Int32
	count := &testGuard{phase: guard.Network, admit: func(ctx context.Context, _ *guard.Call) (context.Context, error) {
		seen.Add(1)
		return ctx, nil
	}}
	table := routes(public)[:2] // List is registered on the server and has no route
	_, conn := start(t, &service{}, []guard.Guard{guard.Audit(rec), count}, table)
	for i, method := range []string{"/no.Such/Method", "/grpc.health.v1.Health/Nope", list} {
		err := conn.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{})
		if status.Code(err) != codes.Unimplemented || int(seen.Load()) != i+1 {
			t.Errorf("%s: %v, base guards ran %d times", method, err, seen.Load())
		}
		if ev := rec.events[len(rec.events)-1]; ev.Reason != "guard.route" || ev.Outcome != auditlog.Denied || attr(ev, "operation") != "" {
			t.Errorf("%s: event %+v", method, ev)
		}
	}
}

func TestReplyIsNoAnswerHere(t *testing.T) {
	client, _ := start(t, &service{}, []guard.Guard{guard.Audit(&recorder{})}, routes(denying(&guard.Reply{Status: 204})))
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a preflight reply over gRPC: %v", err)
	}
}

func TestStreamIsRecordedBeforeItsFirstMessageAndAtItsEnd(t *testing.T) {
	rec := &recorder{}
	svc := &service{watch: func(s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
		if len(rec.events) != 0 {
			t.Error("recorded before the handler sent anything")
		}
		for range 3 {
			if err := s.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}); err != nil {
				return err
			}
			if len(rec.events) != 1 {
				t.Errorf("%d events after a message", len(rec.events))
			}
		}
		return nil
	}}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(public))
	stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatalf("end: %v", err)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.events) != 2 || attr(rec.events[1], "end") != "true" || attr(rec.events[1], "bytes") != "6" || attr(rec.events[0], "call") != attr(rec.events[1], "call") {
		t.Errorf("events %+v", rec.events)
	}
}

func TestRevokedIdleStreamEnds(t *testing.T) {
	var revoked atomic.Bool
	session := &testGuard{phase: guard.Authorise, readmit: func() error {
		if revoked.Load() {
			return &guard.Denial{Control: "authn.session", Code: guard.Unauthenticated, Public: "The session has ended."}
		}
		return nil
	}}
	rec := &recorder{seen: make(chan auditlog.Event, 4)}
	handler := make(chan error, 1)
	svc := &service{watch: func(s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
		if err := s.Send(&healthpb.HealthCheckResponse{}); err != nil {
			return err
		}
		<-s.Context().Done() // idle: the handler waits, the caller sends nothing
		handler <- s.Send(&healthpb.HealthCheckResponse{})
		return nil
	}}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(session))
	stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	<-rec.seen
	revoked.Store(true)
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != "The session has ended." {
		t.Errorf("the caller sees %v", err)
	}
	if err := <-handler; err == nil {
		t.Error("the handler could still send")
	}
	if ev := <-rec.seen; ev.Outcome != auditlog.Denied || ev.Reason != "authn.session" || attr(ev, "end") != "true" {
		t.Errorf("event %+v", ev)
	}
}

func TestCancelledStreamIsNoDenial(t *testing.T) {
	rec := &recorder{seen: make(chan auditlog.Event, 4)}
	svc := &service{watch: func(s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
		if err := s.Send(&healthpb.HealthCheckResponse{}); err != nil {
			return err
		}
		<-s.Context().Done()
		return s.Context().Err()
	}}
	client, _ := start(t, svc, []guard.Guard{guard.Audit(rec)}, routes(&testGuard{phase: guard.Authorise}))
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	<-rec.seen
	cancel()
	if ev := <-rec.seen; ev.Outcome != auditlog.Failed || ev.Reason != "guard.cancelled" || attr(ev, "status") != "499" {
		t.Errorf("event %+v", ev)
	}
}

func TestVerify(t *testing.T) {
	base := []guard.Guard{guard.Audit(&recorder{})}
	verify := func(table []guard.Route) error {
		s, err := guardgrpc.New(base, table...)
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(s.Options()...)
		healthpb.RegisterHealthServer(server, &service{})
		return s.Verify(server)
	}
	good := routes(public)
	if err := verify(good); err != nil {
		t.Errorf("a complete table: %v", err)
	}
	missing := good[1:]
	extra := append(routes(public), guard.Route{Pattern: "/no.Such/Method", Action: "a.read", Guards: []guard.Guard{public}})
	unary := routes(public)
	unary[1].Stream = false
	for says, table := range map[string][]guard.Route{
		check + " has no route":               missing,
		"/no.Such/Method is not a registered": extra,
		watch + ": Stream is false":           unary,
	} {
		if err := verify(table); !errors.Is(err, guard.ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("Verify = %v, want %q", err, says)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	base := []guard.Guard{guard.Audit(&recorder{})}
	for name, r := range map[string]guard.Route{
		"HTTP pattern": {Pattern: "GET /x", Action: "a.read", Guards: []guard.Guard{public}},
		"no slash":     {Pattern: "a.B/C", Action: "a.read", Guards: []guard.Guard{public}},
		"deep":         {Pattern: "/a.B/C/D", Action: "a.read", Guards: []guard.Guard{public}},
		"handler":      {Pattern: check, Action: "a.read", Guards: []guard.Guard{public}, Handler: http.NotFoundHandler()},
		"no guard":     {Pattern: check, Action: "a.read"},
	} {
		if _, err := guardgrpc.New(base, r); !errors.Is(err, guard.ErrConfig) {
			t.Errorf("%s: New = %v, want ErrConfig", name, err)
		}
	}
}
