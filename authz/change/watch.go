package change

import (
	"context"
	"time"
)

// A Watcher waits until a tenant's policy may have changed: it returns nil
// then, and an error when it can't tell. It carries no policy; what changed
// is read from the store and verified.
type Watcher interface {
	Wait(ctx context.Context, tenant string) error
}

// Poll is the Watcher that waits for a while, a second if it is zero. It
// bounds how long a revocation may take to reach this process.
func Poll(every time.Duration) Watcher {
	if every <= 0 {
		every = time.Second
	}
	return poll(every)
}

type poll time.Duration

func (p poll) Wait(ctx context.Context, _ string) error {
	t := time.NewTimer(time.Duration(p))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// longestWait bounds what a lost notification or connection can delay, and
// how often a watcher that fails is tried again.
const longestWait = time.Second

// Watch takes in what other processes change until the context ends. Each
// round waits for the watcher, but at most a second: notifications get lost.
// A watcher that fails is asked again in the next round, which is how a lost
// connection subscribes again.
func (k *Keeper) Watch(ctx context.Context, w Watcher) {
	for ctx.Err() == nil {
		begin := time.Now()
		wait, cancel := context.WithTimeout(ctx, longestWait)
		err := w.Wait(wait, k.tenant)
		cancel()
		if err != nil && ctx.Err() == nil {
			// As often as polling does, however fast it fails.
			_ = poll(max(0, longestWait-time.Since(begin))).Wait(ctx, k.tenant) // the loop asks the context
		}
		if ctx.Err() == nil {
			// An error is an event already, and Ready says so; the old policy stays.
			_, _ = k.Sync(ctx)
		}
	}
}
