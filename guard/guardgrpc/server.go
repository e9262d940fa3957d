package guardgrpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/surety-go/surety/guard"
)

// A Server is a table of guarded gRPC methods.
type Server struct {
	*guard.Table
	routes  []guard.Route
	index   map[string]int
	revoked sync.WaitGroup // streams ended by a guard whose handlers still run
}

// New checks the guards and routes as guard.NewTable does; patterns must be
// full method names such as "/records.v1.Records/Read", without handlers.
func New(base []guard.Guard, routes ...guard.Route) (*Server, error) {
	s := &Server{index: make(map[string]int, len(routes)), routes: slices.Clone(routes)}
	for i, r := range routes {
		service, method, ok := strings.Cut(strings.TrimPrefix(r.Pattern, "/"), "/")
		if !ok || !strings.HasPrefix(r.Pattern, "/") || service == "" || method == "" || strings.Contains(method, "/") {
			return nil, fmt.Errorf("%w: route %q: want a full method such as /records.v1.Records/Read", guard.ErrConfig, r.Pattern)
		}
		if r.Handler != nil {
			return nil, fmt.Errorf("%w: route %q: a gRPC method has no HTTP handler", guard.ErrConfig, r.Pattern)
		}
		s.index[r.Pattern] = i
	}
	t, err := guard.NewTable(base, routes...)
	if err != nil {
		return nil, fmt.Errorf("guardgrpc: %w", err)
	}
	s.Table = t
	return s, nil
}

// Options returns the server options that put the guards around every method.
// Pass them before other interceptors, so that those run inside.
func (s *Server) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			return statusOf(guard.OutcomeOf(context.Background(), noRoute())) // the interceptor refuses first
		}),
	}
}

// Verify compares the routes with the methods registered on g. Call it after
// registering services and before serving: a method without a route would be
// refused, a route without a method hides a spelling mistake.
func (s *Server) Verify(g *grpc.Server) error {
	registered := make(map[string]bool)
	var wrong []string
	for service, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			full := "/" + service + "/" + m.Name
			registered[full] = true
			i, ok := s.index[full]
			switch streams := m.IsClientStream || m.IsServerStream; {
			case !ok:
				wrong = append(wrong, full+" has no route")
			case streams != s.routes[i].Stream:
				wrong = append(wrong, fmt.Sprintf("%s: Stream is %t in the route and %t in the service", full, s.routes[i].Stream, streams))
			}
		}
	}
	for _, r := range s.routes {
		if !registered[r.Pattern] {
			wrong = append(wrong, r.Pattern+" is not a registered method")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%w: %s", guard.ErrConfig, strings.Join(wrong, "; "))
}

func noRoute() *guard.Denial {
	return &guard.Denial{Control: "guard.route", Code: guard.Unimplemented, Public: "There is no such method."}
}

// unary guards one unary call.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	x, chain := s.exchange(ctx, info.FullMethod, req)
	var resp any
	ctx, end := x.admit(chain)
	if end.answer == nil {
		end = x.run(ctx, func() (err error) {
			resp, err = handler(ctx, req)
			return err
		})
		x.count(resp)
	}
	end = x.release(ctx, end)
	x.finish(ctx, end)
	if end.answer != nil {
		return nil, end.answer
	}
	return resp, nil
}

// stream guards one streaming call.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	x, chain := s.exchange(ss.Context(), info.FullMethod, nil)
	ctx, end := x.admit(chain)
	if end.answer != nil {
		end = x.release(ctx, end)
		x.finish(ctx, end)
		return end.answer
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &serverStream{ServerStream: ss, ctx: ctx, x: x}
	serve := func() ending { return x.run(ctx, func() error { return handler(srv, w) }) }
	if !chain.Readmits() {
		end = x.release(ctx, serve())
		x.finish(ctx, end)
		return end.answer
	}
	done := make(chan ending, 1)
	go func() { done <- serve() }()
	tick := time.NewTicker(readmitEvery)
	defer tick.Stop()
	for {
		select {
		case end := <-done:
			end = x.release(ctx, end)
			x.finish(ctx, end)
			return end.answer
		case <-tick.C:
		}
		if err := chain.Readmit(ctx, &x.call); err != nil && ctx.Err() == nil {
			w.closed.Store(true)
			cancel(err)
			end := x.refuse(ctx, err)
			// The handler still holds the call: its end is recorded when it
			// returns, which the closed stream makes it do.
			s.revoked.Go(func() {
				<-done
				x.finish(ctx, end)
			})
			return end.answer
		}
	}
}

// readmitEvery is how often guards that watch streams are asked again.
const readmitEvery = time.Second

// Wait returns when the handlers of all streams that were ended by a guard
// have returned. Call it after the gRPC server stopped.
func (s *Server) Wait() { s.revoked.Wait() }

// exchange begins a call: the method's chain, or the base chain with a denial
// behind it when there is no route.
func (s *Server) exchange(ctx context.Context, method string, req any) (*exchange, *guard.Chain) {
	i, ok := s.index[method]
	if !ok {
		x := newExchange(ctx, guard.Route{Action: "guard.route"}, req)
		x.unrouted = true
		return x, s.Base()
	}
	return newExchange(ctx, s.routes[i], req), s.Chain(i)
}
