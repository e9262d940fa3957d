package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// ServeOptions are the options of [Serve].
type ServeOptions struct {
	// Deregister is how long the server keeps serving after readiness has
	// turned, so that load balancers notice first; 0 is none, for a service
	// without one. At most 5 min.
	Deregister time.Duration
	// Finish is how long requests that are being served may take to end
	// before their connections are closed; 0 is 20 s.
	Finish time.Duration
}

// ErrForced says that requests were still being served when the time to
// finish was over, and were cut off.
var ErrForced = errors.New("health: requests were cut off at the end of the drain")

// Serve serves until ctx ends, and then drains: readiness turns, the server
// goes on for Deregister, stops accepting, lets requests finish for at most
// Finish and closes what is left. Nil means that every request ended by
// itself. Signals are the caller's: see signal.NotifyContext.
func Serve(ctx context.Context, p *Probes, l net.Listener, s *http.Server, o ServeOptions) error {
	if o.Finish == 0 {
		o.Finish = 20 * time.Second
	}
	if o.Deregister < 0 || o.Deregister > 5*time.Minute || o.Finish < 0 {
		return errors.Join(fmt.Errorf("health: Deregister %v, Finish %v: want 0 to 5m, and a positive time", o.Deregister, o.Finish), l.Close())
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("health: serve: %w", err)
	case <-ctx.Done():
	}
	p.Drain()
	if o.Deregister > 0 {
		select {
		case err := <-served:
			return fmt.Errorf("health: serve: %w", err)
		case <-time.After(o.Deregister):
		}
	}
	// The drain goes on although ctx has ended: that is what began it.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Finish)
	defer cancel()
	err := s.Shutdown(finish)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(ErrForced, s.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}
