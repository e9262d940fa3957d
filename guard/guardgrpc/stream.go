package guardgrpc

import (
	"context"
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/guard"
)

// A serverStream is a stream as its handler sees it: with the guards' context,
// and shut once a guard has ended the call.
type serverStream struct {
	grpc.ServerStream
	ctx    context.Context
	x      *exchange
	closed atomic.Bool
}

func (s *serverStream) Context() context.Context { return s.ctx }

// open lets nothing through on a stream that was ended, and runs the hooks
// before the first thing that leaves.
func (s *serverStream) open() error {
	if s.closed.Load() {
		return status.Error(codes.Unauthenticated, "The call has ended.")
	}
	return s.x.release(s.ctx, ending{outcome: guard.Outcome{Code: guard.OK, Status: http.StatusOK}}).answer
}

func (s *serverStream) SendHeader(md metadata.MD) error {
	if err := s.open(); err != nil {
		return err
	}
	return s.ServerStream.SendHeader(md)
}

func (s *serverStream) SendMsg(m any) error {
	if err := s.open(); err != nil {
		return err
	}
	if err := s.ServerStream.SendMsg(m); err != nil {
		return err
	}
	s.x.count(m)
	return nil
}

func (s *serverStream) RecvMsg(m any) error {
	if s.closed.Load() {
		return status.Error(codes.Unauthenticated, "The call has ended.")
	}
	return s.ServerStream.RecvMsg(m)
}
