// Package healthgrpc answers gRPC's health protocol (grpc.health.v1) out of
// health's probes, and ends a gRPC server without cutting calls off.
//
//	h, err := healthgrpc.New(probes, healthgrpc.Options{Services: []string{"records.v1.Records"}})
//	healthpb.RegisterHealthServer(server, h)
//	err = healthgrpc.Serve(ctx, probes, h, listener, server, health.ServeOptions{})
//
// A service is SERVING while the probes' readiness is "pass" or "warn", and all
// services are alike: a process that can't serve one of them is taken out as a
// whole. The empty name is the server itself. Answers come from memory and
// name no checks; guard the methods like any others, or say guard.Public.
package healthgrpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/health"
)

// Options are the settings of a [Server].
type Options struct {
	// Services are the names that are known besides the empty one, such as
	// "records.v1.Records".
	Services []string
	// Every is how often a watch looks for changes; default 1 s, 10 ms to 1
	// min.
	Every time.Duration
}

// A Server is a healthpb.HealthServer. It is safe for concurrent use.
type Server struct {
	healthpb.UnimplementedHealthServer
	probes *health.Probes
	o      Options
	once   sync.Once
	done   chan struct{}
}

// New returns a server of what the probes say.
func New(p *health.Probes, o Options) (*Server, error) {
	if p == nil {
		return nil, errors.New("healthgrpc: want probes")
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Every < 10*time.Millisecond || o.Every > time.Minute {
		return nil, fmt.Errorf("healthgrpc: Options.Every is %s, want 10ms to 1m", o.Every)
	}
	o.Services = append([]string{""}, o.Services...)
	return &Server{probes: p, o: o, done: make(chan struct{})}, nil
}

// Close ends all watches, which would hold up a graceful stop: they last as
// long as their clients like.
func (s *Server) Close() { s.once.Do(func() { close(s.done) }) }

// state is what the probes say about a service.
func (s *Server) state(service string) healthpb.HealthCheckResponse_ServingStatus {
	switch {
	case !slices.Contains(s.o.Services, service):
		return healthpb.HealthCheckResponse_SERVICE_UNKNOWN
	case s.probes.Readiness().Status == "fail":
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

// Check answers once. An unknown service is NotFound, as the protocol has it.
func (s *Server) Check(_ context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	state := s.state(r.GetService())
	if state == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Error(codes.NotFound, "unknown service") //nolint:wrapcheck // it is the answer
	}
	return &healthpb.HealthCheckResponse{Status: state}, nil
}

// List answers for all services that are known.
func (s *Server) List(context.Context, *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	list := make(map[string]*healthpb.HealthCheckResponse, len(s.o.Services))
	for _, name := range s.o.Services {
		list[name] = &healthpb.HealthCheckResponse{Status: s.state(name)}
	}
	return &healthpb.HealthListResponse{Statuses: list}, nil
}

// Watch answers at once and again at every change, until the client or [Close]
// ends it. An unknown service is told to be that, and the watch goes on.
func (s *Server) Watch(r *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	last := healthpb.HealthCheckResponse_UNKNOWN
	for {
		if state := s.state(r.GetService()); state != last {
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: state}); err != nil {
				return err //nolint:wrapcheck // gRPC's own
			}
			last = state
		}
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err() //nolint:wrapcheck // it is the answer
		case <-s.done:
			return status.Error(codes.Unavailable, "the server is going away") //nolint:wrapcheck // it is the answer
		case <-tick.C:
		}
	}
}

// Serve serves gRPC until ctx ends, and then drains as health.Serve does:
// readiness turns, which watchers are told, the server goes on for
// o.Deregister, takes no more calls, lets those that run finish for at most
// o.Finish, and cuts off what is left ([health.ErrForced]). Nil means that
// every call ended by itself. Of a process that serves HTTP too, give both
// Serve functions one context.
func Serve(ctx context.Context, p *health.Probes, h *Server, l net.Listener, s *grpc.Server, o health.ServeOptions) error {
	if o.Finish == 0 {
		o.Finish = 20 * time.Second
	}
	if o.Deregister < 0 || o.Deregister > 5*time.Minute || o.Finish < 0 {
		return errors.Join(fmt.Errorf("healthgrpc: Deregister %v, Finish %v: want 0 to 5m, and a positive time", o.Deregister, o.Finish), l.Close())
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("healthgrpc: serve: %w", err)
	case <-ctx.Done():
	}
	p.Drain()
	if o.Deregister > 0 {
		select {
		case err := <-served:
			return fmt.Errorf("healthgrpc: serve: %w", err)
		case <-time.After(o.Deregister):
		}
	}
	h.Close()
	stopped := make(chan struct{})
	go func() { s.GracefulStop(); close(stopped) }()
	var err error
	select {
	case <-stopped:
	case <-time.After(o.Finish):
		err = health.ErrForced
		s.Stop()
		<-stopped
	}
	if e := <-served; e != nil && !errors.Is(e, grpc.ErrServerStopped) {
		err = errors.Join(err, e)
	}
	return err
}
