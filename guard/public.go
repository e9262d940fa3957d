package guard

import (
	"context"
	"errors"

	"github.com/surety-go/surety/controls"
)

// Public is the authorising guard of a route that anyone may call. The reason
// stands in evidence and must not be empty.
func Public(reason string) Guard { return public(reason) }

type public string

func (p public) Phase() Phase { return Authorise }

func (p public) Admit(ctx context.Context, _ *Call) (context.Context, error) { return ctx, nil }

func (p public) Validate() error {
	if p == "" {
		return errors.New("Public needs a reason")
	}
	return nil
}

func (p public) Controls() []controls.Control { return nil }

// broken is a guard that was not valid where no error could be returned.
type broken struct{ err error }

func (b broken) Phase() Phase                 { return Network }
func (b broken) Controls() []controls.Control { return nil }
func (b broken) Admit(ctx context.Context, _ *Call) (context.Context, error) {
	return ctx, b.err
}
