package ratelimit_test

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/surety-go/surety/ratelimit"
)

// BenchmarkDistinctKeys asks for a key it never saw before, each time: 8
// million in a run of a second, 100 million with -benchtime 100000000x. What
// lies on the heap afterwards must not depend on how many there were.
func BenchmarkDistinctKeys(b *testing.B) {
	l, err := ratelimit.New([]ratelimit.Policy{{Name: "client", Key: ratelimit.ByClient(), Count: 10, Per: time.Minute}}, ratelimit.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, before, key := context.Background(), heap(), make([]byte, 8)
	var n uint64
	for b.Loop() {
		n++
		binary.LittleEndian.PutUint64(key, n)
		if _, err := l.Take(ctx, string(key), 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(heap()-before), "heap-B")
	runtime.KeepAlive(l)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // below 2^63
}
