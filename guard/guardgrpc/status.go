package guardgrpc

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/surety-go/surety/guard"
)

// ErrorDomain is the domain of the ErrorInfo detail of a denial; its reason is
// the ID of the control that refused.
const ErrorDomain = "surety-go.github.io"

// statusOf is the status error for a call that a guard ended.
func statusOf(o guard.Outcome) error {
	d := o.Denial
	if d == nil {
		text := "The service can't decide about this call now."
		if o.Panic != nil {
			text = "The call failed."
		}
		return status.Error(codes.Code(o.Code), text)
	}
	public := d.Public
	if public == "" {
		public = "The call was refused."
	}
	st := status.New(codes.Code(o.Code), public)
	if detailed, err := st.WithDetails(details(d)...); err == nil {
		st = detailed // details that can't be encoded are left out
	}
	return st.Err()
}

func details(d *guard.Denial) []protoadapt.MessageV1 {
	info := &errdetails.ErrorInfo{Reason: d.Control, Domain: ErrorDomain}
	for _, k := range slices.Sorted(maps.Keys(d.Details)) {
		if info.Metadata == nil {
			info.Metadata = make(map[string]string, len(d.Details))
		}
		info.Metadata[k] = fmt.Sprint(d.Details[k])
	}
	list := []protoadapt.MessageV1{info}
	if d.RetryAfter > 0 {
		list = append(list, &errdetails.RetryInfo{RetryDelay: durationpb.New(d.RetryAfter)})
	}
	return list
}
