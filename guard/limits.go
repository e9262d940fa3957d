package guard

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/surety-go/surety/controls"
)

// Limits returns the guard that bounds a request: at most body bytes are read
// (1 to 1 GiB; HTTP only, a gRPC server has grpc.MaxRecvMsgSize), and its
// context ends after wall (at most 1 h; 0 for no limit, as for streams). A
// longer declared body is refused with 413 at once; an undeclared one fails
// in the handler with *http.MaxBytesError.
//
// The time limit ends the context, not the connection: against slow senders
// the server needs ReadHeaderTimeout and ReadTimeout.
func Limits(body int64, wall time.Duration) Guard { return &limits{body, wall} }

type limits struct {
	body int64
	wall time.Duration
}

func (l *limits) Phase() Phase { return Network }

func (l *limits) Validate() error {
	if l.body < 1 || l.body > 1<<30 {
		return fmt.Errorf("guard.Limits: body %d: want 1 to %d bytes", l.body, 1<<30)
	}
	if l.wall < 0 || l.wall > time.Hour {
		return fmt.Errorf("guard.Limits: wall %v: want 0 to 1h", l.wall)
	}
	return nil
}

func (l *limits) Admit(ctx context.Context, call *Call) (context.Context, error) {
	if r, ok := call.Request.(*http.Request); ok {
		if r.ContentLength > l.body {
			return ctx, &Denial{
				Control: "guard.limits", Code: ResourceExhausted, Status: http.StatusRequestEntityTooLarge,
				Public: fmt.Sprintf("The request's body is larger than %d bytes.", l.body),
			}
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(nil, r.Body, l.body)
		}
	}
	if l.wall == 0 {
		return ctx, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.wall)
	call.OnFinish(func(context.Context, Outcome) { cancel() })
	return ctx, nil
}

func (l *limits) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "guard.limits",
		Parameters: []controls.Parameter{controls.Bytes("body", l.body), controls.Duration("wall", l.wall)},
		Probe:      l.probe,
	}}
}

func (l *limits) probe(ctx context.Context) controls.Result {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://probe.invalid/", nil)
	if err != nil {
		return controls.Errored("request: %v", err)
	}
	r.ContentLength = l.body + 1
	call := Synthetic("guard.limits", "guard.probe", nil)
	call.Request = r
	defer func() { call.Finish(ctx, Outcome{}) }()
	if _, err := l.Admit(ctx, call); err == nil {
		return controls.Failed("a body of %d bytes was admitted", r.ContentLength)
	}
	return controls.Passed("a body of %d bytes was refused", r.ContentLength)
}
