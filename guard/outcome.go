package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// A Code is how a call ended, independent of the transport. The numbers are
// those of gRPC's status codes.
type Code uint32

// The codes, with the HTTP status each is answered with.
const (
	OK                 Code = 0  // 200
	Canceled           Code = 1  // 499: the caller has gone away
	Unknown            Code = 2  // 500
	InvalidArgument    Code = 3  // 400
	DeadlineExceeded   Code = 4  // 504
	NotFound           Code = 5  // 404
	AlreadyExists      Code = 6  // 409
	PermissionDenied   Code = 7  // 403
	ResourceExhausted  Code = 8  // 429
	FailedPrecondition Code = 9  // 400
	Aborted            Code = 10 // 409
	Unimplemented      Code = 12 // 501
	Internal           Code = 13 // 500
	Unavailable        Code = 14 // 503
	Unauthenticated    Code = 16 // 401
)

// StatusClientClosed is the status in outcomes of calls whose caller went
// away. It is never sent.
const StatusClientClosed = 499

var statusOf = map[Code]int{
	OK: 200, Canceled: StatusClientClosed, Unknown: 500, InvalidArgument: 400, DeadlineExceeded: 504,
	NotFound: 404, AlreadyExists: 409, PermissionDenied: 403, ResourceExhausted: 429, FailedPrecondition: 400,
	Aborted: 409, Unimplemented: 501, Internal: 500, Unavailable: 503, Unauthenticated: 401,
}

// HTTPStatus returns the HTTP status the code is answered with.
func (c Code) HTTPStatus() int {
	if s, ok := statusOf[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// codeOf returns the code of a handler's HTTP status.
func codeOf(status int) Code {
	switch status {
	case 401:
		return Unauthenticated
	case 403:
		return PermissionDenied
	case 404, 410:
		return NotFound
	case 405, 501:
		return Unimplemented
	case 409:
		return Aborted
	case 412, 428:
		return FailedPrecondition
	case 413, 429:
		return ResourceExhausted
	case StatusClientClosed:
		return Canceled
	case 503:
		return Unavailable
	case 408, 504:
		return DeadlineExceeded
	}
	switch {
	case status < 400:
		return OK
	case status < 500:
		return InvalidArgument
	}
	return Internal
}

// An Outcome is how a call ended, or is about to.
type Outcome struct {
	Code    Code
	Status  int           // HTTP status; for gRPC the one the code stands for
	Bytes   int64         // bytes of the response body, or of its messages, so far
	Elapsed time.Duration // since the call began
	Phase   Phase         // of the guard that ended the call; none when the handler did
	Denial  *Denial       // when a control refused
	Err     error         // when something failed; never shown to callers
	Panic   any           // what the handler panicked with
}

// Result is the outcome as the audit log spells it: success, denied or failed.
func (o Outcome) Result() auditlog.Outcome {
	switch {
	case o.Panic != nil:
		return auditlog.Failed
	case o.Denial != nil, o.Code == Unauthenticated, o.Code == PermissionDenied, o.Code == ResourceExhausted:
		return auditlog.Denied
	case o.Code == OK && o.Err == nil:
		return auditlog.Success
	}
	return auditlog.Failed
}

// OutcomeOf returns the outcome of a call that ended with err: nil is success,
// a *[Denial] and a *[Reply] say themselves, an error after the context's end
// is a cancellation, and anything else is [Unavailable].
func OutcomeOf(ctx context.Context, err error) Outcome {
	var denial *Denial
	var reply *Reply
	switch {
	case err == nil:
		return Outcome{Code: OK, Status: http.StatusOK}
	case errors.As(err, &denial):
		return Outcome{Code: denial.code(), Status: denial.status(), Denial: denial}
	case errors.As(err, &reply):
		return Outcome{Code: OK, Status: reply.Status}
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return Outcome{Code: Canceled, Status: StatusClientClosed, Err: err}
	case ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded):
		return Outcome{Code: DeadlineExceeded, Status: http.StatusGatewayTimeout, Err: err}
	}
	return Outcome{Code: Unavailable, Status: http.StatusServiceUnavailable, Err: err}
}

// A Denial is the error of a guard that decided against a call. Only Public,
// Type, Details and the headers it implies reach the caller.
type Denial struct {
	// Control is the ID of the control that refused; it becomes the reason in
	// the audit log.
	Control string
	// Code is the kind of refusal; OK counts as [PermissionDenied].
	Code Code
	// Status overrides the code's HTTP status, such as 413; zero keeps it.
	Status int
	// Type is the problem type of RFC 9457, a URI; empty is about:blank.
	Type string
	// Public is one sentence for the caller. It must not tell an attacker
	// what the caller is not to know.
	Public string
	// Challenge are the values of WWW-Authenticate.
	Challenge []string
	// RetryAfter is when trying again makes sense, rounded up to seconds.
	RetryAfter time.Duration
	// Location is where a person's browser is sent instead of an error page,
	// such as the login page. It is a path on this host, never the caller's
	// input, and used for page navigations only.
	Location string
	// Details are further members of the problem or of the gRPC status.
	Details map[string]any
	// Err is the cause for logs; it never reaches the caller.
	Err error
}

// Error describes the denial for logs.
func (d *Denial) Error() string {
	if d.Err != nil {
		return fmt.Sprintf("denied by %s: %v", d.Control, d.Err)
	}
	return fmt.Sprintf("denied by %s: %s", d.Control, d.Public)
}

// Unwrap returns the cause.
func (d *Denial) Unwrap() error { return d.Err }

// code returns the code; a denial that forgot to state one still denies.
func (d *Denial) code() Code {
	if d.Code == OK {
		return PermissionDenied
	}
	return d.Code
}

func (d *Denial) status() int {
	if d.Status >= 400 {
		return d.Status
	}
	return d.code().HTTPStatus()
}

// A Reply is the error of a guard that answers a call itself, successfully
// and without a body: a CORS preflight. It has a meaning over HTTP only.
type Reply struct {
	Status int // 2xx or 3xx
}

// Error describes the reply for logs.
func (r *Reply) Error() string { return fmt.Sprintf("answered with status %d", r.Status) }
