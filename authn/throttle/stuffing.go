package throttle

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
)

const (
	// stuffingWindow is over what time attempts are counted together.
	stuffingWindow = 10 * time.Minute
	// stuffingFree is how many failures a client then has.
	stuffingFree = 3
)

// A flood counts the attempts on all accounts that have not succeeded. It is
// this process's: a shared counter would be a row that every login waits for,
// and the instances behind one balancer see the same attack.
type flood struct {
	mu     sync.Mutex
	begins time.Time
	open   int
	told   bool
}

// begun counts an attempt. It reports whether there are more than the limit,
// and whether that is news.
func (f *flood) begun(now time.Time, limit int) (over, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.begins) >= stuffingWindow {
		f.begins, f.open, f.told = now, 0, false
	}
	f.open++
	over = f.open > limit
	news = over && !f.told
	f.told = f.told || over
	return over, news
}

// untold takes back that the flood was told of.
func (f *flood) untold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = false
}

// succeeded takes an account's own attempts back: whoever signs in to his own
// account hides no attempt on others.
func (f *flood) succeeded(own int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = max(0, f.open-own)
}

// clientFree is how many failures a client has now.
func (t *Throttle) clientFree(ctx context.Context, tenant string) (int, error) {
	over, news := t.flood.begun(t.now(), t.o.Stuffing)
	if news {
		err := t.rec.Record(ctx, auditlog.Event{
			Action: "authn.throttle.alert", Outcome: auditlog.Success, Reason: "authn.throttle.stuffing", Tenant: tenant,
			Attrs: []auditlog.Attr{auditlog.Int("attempts", t.o.Stuffing)},
		})
		if err != nil {
			t.flood.untold()
			return 0, fmt.Errorf("throttle: record: %w", err)
		}
	}
	if over {
		return min(stuffingFree, t.o.ClientFree), nil
	}
	return t.o.ClientFree, nil
}
