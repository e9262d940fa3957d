package healthgrpc_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/health"
	"github.com/surety-go/surety/health/healthgrpc"
)

// A scene is a gRPC server with a dependency that can fail, and a client.
type scene struct {
	down   atomic.Bool
	probes *health.Probes
	client healthpb.HealthClient
	slow   chan struct{} // calls of the slow method wait for it
	came   chan struct{} // a call of it has arrived
	end    context.CancelFunc
	ended  chan error
}

// slow is a service with one method, which takes as long as it is let.
func (s *scene) service() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.v1.Slow", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Wait", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			if err := decode(new(healthpb.HealthCheckRequest)); err != nil {
				return nil, err
			}
			s.came <- struct{}{}
			select {
			case <-s.slow:
				return &healthpb.HealthCheckResponse{}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}},
	}
}

func newScene(t *testing.T, o health.ServeOptions) (*scene, *grpc.ClientConn) {
	t.Helper()
	s := &scene{slow: make(chan struct{}), came: make(chan struct{}, 1), ended: make(chan error, 1)}
	var err error
	s.probes, err = health.New([]health.Check{{Name: "db", Every: 10 * time.Millisecond, Run: func(context.Context) error {
		if s.down.Load() {
			return errors.New("down")
		}
		return nil
	}}}, health.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := healthgrpc.New(s.probes, healthgrpc.Options{Services: []string{"test.v1.Slow"}, Every: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, h)
	server.RegisterService(s.service(), nil)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.end = cancel
	go func() { s.ended <- healthgrpc.Serve(ctx, s.probes, h, l, server, o) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		server.Stop()
		if err := errors.Join(conn.Close(), s.probes.Close()); err != nil {
			t.Error(err)
		}
	})
	s.client = healthpb.NewHealthClient(conn)
	return s, conn
}

// becomes waits until a service has a state.
func (s *scene) becomes(t *testing.T, service string, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		r, err := s.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err == nil && r.GetStatus() == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%q is %v, want %v: %v", service, r.GetStatus(), want, err)
		}
	}
}

func TestCheckAndList(t *testing.T) {
	s, _ := newScene(t, health.ServeOptions{})
	s.becomes(t, "", healthpb.HealthCheckResponse_SERVING)
	s.becomes(t, "test.v1.Slow", healthpb.HealthCheckResponse_SERVING)
	if _, err := s.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v", err)
	}
	s.down.Store(true)
	s.becomes(t, "", healthpb.HealthCheckResponse_NOT_SERVING)
	list, err := s.client.List(t.Context(), &healthpb.HealthListRequest{})
	if err != nil || len(list.GetStatuses()) != 2 || list.GetStatuses()["test.v1.Slow"].GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v", list, err)
	}
}

// A watcher is told each change, once, and when the server goes away.
func TestWatch(t *testing.T) {
	s, _ := newScene(t, health.ServeOptions{Deregister: 200 * time.Millisecond})
	s.becomes(t, "", healthpb.HealthCheckResponse_SERVING)
	watch, err := s.client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		r, err := watch.Recv()
		if err != nil || r.GetStatus() != want {
			t.Fatalf("%v, %v: want %v", r.GetStatus(), err, want)
		}
	}
	next(healthpb.HealthCheckResponse_SERVING)
	s.down.Store(true)
	next(healthpb.HealthCheckResponse_NOT_SERVING)
	s.down.Store(false)
	next(healthpb.HealthCheckResponse_SERVING)
	unknown, err := s.client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := unknown.Recv(); err != nil || r.GetStatus() != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		t.Errorf("an unknown service: %v, %v", r.GetStatus(), err)
	}
	s.end()
	next(healthpb.HealthCheckResponse_NOT_SERVING) // readiness turns before anything is refused
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("at the end: %v", err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// call begins a slow call and waits until it has arrived.
func (s *scene) call(t *testing.T, conn *grpc.ClientConn) (answered <-chan error) {
	t.Helper()
	s.becomes(t, "", healthpb.HealthCheckResponse_SERVING)
	done := make(chan error, 1)
	go func() {
		done <- conn.Invoke(context.WithoutCancel(t.Context()), "/test.v1.Slow/Wait", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
	}()
	<-s.came
	return done
}

// A call that began before the drain is answered.
func TestCallsFinish(t *testing.T) {
	s, conn := newScene(t, health.ServeOptions{Finish: 20 * time.Second})
	answered := s.call(t, conn)
	s.end()
	for s.probes.Readiness().Status != "fail" {
		time.Sleep(time.Millisecond)
	}
	close(s.slow)
	if err := <-answered; err != nil {
		t.Errorf("the call: %v", err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// One that does not end is cut off, and said to be.
func TestCallsAreCutOff(t *testing.T) {
	s, conn := newScene(t, health.ServeOptions{Finish: 50 * time.Millisecond})
	answered := s.call(t, conn)
	s.end()
	if err := <-answered; err == nil {
		t.Error("the call was answered")
	}
	if err := <-s.ended; !errors.Is(err, health.ErrForced) {
		t.Errorf("Serve: %v", err)
	}
}

func TestSettings(t *testing.T) {
	p, err := health.New(nil, health.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := healthgrpc.New(nil, healthgrpc.Options{}); err == nil {
		t.Error("no probes")
	}
	if _, err := healthgrpc.New(p, healthgrpc.Options{Every: time.Hour}); err == nil {
		t.Error("a watch that looks every hour")
	}
	h, err := healthgrpc.New(p, healthgrpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := healthgrpc.Serve(t.Context(), p, h, l, grpc.NewServer(), health.ServeOptions{Deregister: time.Hour}); err == nil {
		t.Error("an hour of deregistering")
	}
	h.Close()
	h.Close() // twice is fine
}

func Example() {
	serve := func(ctx context.Context, l net.Listener) error {
		probes, err := health.New(nil, health.Options{})
		if err != nil {
			return err
		}
		defer probes.Close()
		h, err := healthgrpc.New(probes, healthgrpc.Options{Services: []string{"records.v1.Records"}})
		if err != nil {
			return err
		}
		server := grpc.NewServer()
		healthpb.RegisterHealthServer(server, h)
		return healthgrpc.Serve(ctx, probes, h, l, server, health.ServeOptions{Deregister: 5 * time.Second})
	}
	_ = serve
}
