package crypto

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// pipeline runs stages on as many chunks at once as there are workers: in and
// out take the chunks in order, one at a time; do runs in parallel. Each
// worker has buffers of its own, which stay in its core's cache. It ends when
// in has no more, or when out fails; whatever in took before is put out first.
func pipeline(workers int, in func(worker int) bool, do func(worker int), out func(worker int) bool) {
	ins, outs := newTurns(workers), newTurns(workers)
	var ended, failed atomic.Bool
	run := func(w int) {
		for {
			ins.await(w)
			if ended.Load() || failed.Load() || !in(w) {
				ended.Store(true)
				ins.pass(w)
				return
			}
			ins.pass(w)
			do(w)
			outs.await(w)
			if !failed.Load() && !out(w) {
				failed.Store(true)
			}
			outs.pass(w)
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Go(func() { run(w) })
	}
	run(0) // the caller is a worker too
	wg.Wait()
}

// turns let workers do something one after the other, round and round. A
// worker that doesn't come any more doesn't hold up the one who passes.
type turns []chan struct{}

func newTurns(n int) turns {
	t := make(turns, n)
	for i := range t {
		t[i] = make(chan struct{}, 1)
	}
	t[0] <- struct{}{}
	return t
}

// await looks a while before it sleeps: a turn is short, and waking a sleeper
// takes as long.
func (t turns) await(w int) {
	for range 500 {
		select {
		case <-t[w]:
			return
		default:
			runtime.Gosched()
		}
	}
	<-t[w]
}

func (t turns) pass(w int) { t[(w+1)%len(t)] <- struct{}{} }
