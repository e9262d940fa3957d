package service

import (
	"context"

	"google.golang.org/grpc"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/examples/records/recordsv1"
)

// rpc is the service over gRPC: the same functions, the same guards.
type rpc struct {
	recordsv1.UnimplementedRecordsServer
	s *Service
}

func (r *rpc) List(ctx context.Context, _ *recordsv1.ListRequest) (*recordsv1.ListResponse, error) {
	p, _ := authn.FromContext(ctx)
	people, err := r.s.people.list(ctx, p.Tenant)
	if err != nil {
		return nil, refusal(err)
	}
	resp := &recordsv1.ListResponse{}
	for _, person := range people {
		resp.Records = append(resp.Records, &recordsv1.Summary{Id: person.ID, Name: person.Name, Title: person.Title})
	}
	return resp, nil
}

func (r *rpc) Read(ctx context.Context, req *recordsv1.ReadRequest) (*recordsv1.Record, error) {
	person, err := r.s.openFile(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return message(person), nil
}

func (r *rpc) Update(ctx context.Context, req *recordsv1.UpdateRequest) (*recordsv1.Record, error) {
	person, err := r.s.updateFile(ctx, req.GetId(), edit{Title: req.GetTitle(), Email: req.GetEmail(), NationalID: req.GetNationalId()})
	if err != nil {
		return nil, err
	}
	return message(person), nil
}

func (r *rpc) Watch(_ *recordsv1.WatchRequest, stream grpc.ServerStreamingServer[recordsv1.Change]) error {
	ctx := stream.Context()
	p, _ := authn.FromContext(ctx)
	events, stop := r.s.changes.watch(p.Tenant)
	defer stop()
	// The first message says that watching has begun.
	if err := stream.Send(&recordsv1.Change{}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-events:
			if err := stream.Send(&recordsv1.Change{Id: c.id, Version: c.version}); err != nil {
				return err
			}
		}
	}
}

func message(p Person) *recordsv1.Record {
	return &recordsv1.Record{Id: p.ID, Name: p.Name, Title: p.Title, Email: p.Email, NationalId: p.NationalID, Version: p.Version}
}
