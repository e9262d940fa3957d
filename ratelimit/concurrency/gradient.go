package concurrency

import (
	"math"
	"slices"
	"time"
)

// The numbers of the controller, which are Envoy's defaults
// (envoy.extensions.filters.http.adaptive_concurrency.v3).
const (
	window       = 100 * time.Millisecond // between two updates of the limit
	windowMin    = 10                     // requests without which there is none
	measureEvery = time.Minute
	measureCount = 50               // requests of a measurement
	measureMax   = 10 * time.Second // after which it ends with what it has
	buffer       = 0.25             // how far above idle a latency may be
	maxSamples   = 1024             // of a window: the rest says nothing new
)

// A gradient finds the limit.
type gradient struct {
	min, max float64
	limit    float64

	samples []time.Duration // of this window
	opened  time.Time       // when it began
	peak    int             // how many were served at once in it

	idle      time.Duration // the latency of an idle service; 0: unknown
	measuring bool
	round     int       // of measurements, from 1
	started   time.Time // when the measurement, or the pause before it, began
	before    float64   // the limit to go back to
}

func newGradient(least, most int, now time.Time) gradient {
	// It begins with a measurement, and then at a modest limit.
	first := math.Min(math.Max(16, float64(least)), float64(most))
	return gradient{
		min: float64(least), max: float64(most), limit: float64(least),
		measuring: true, round: 1, before: first, opened: now, started: now,
	}
}

// began tells of which measurement a request is part that begins with so many
// others; 0 is none.
func (g *gradient) began(serving int) int {
	g.peak = max(g.peak, serving)
	if g.measuring && float64(serving) <= g.limit {
		return g.round
	}
	return 0
}

// sample takes the latency of a request.
func (g *gradient) sample(d time.Duration, measure int, now time.Time) {
	if g.measuring {
		if measure == g.round {
			g.samples = append(g.samples, d)
		}
		enough := len(g.samples) >= measureCount
		if enough || now.Sub(g.started) > measureMax && len(g.samples) >= windowMin {
			g.measured(now)
		}
		return
	}
	if len(g.samples) < maxSamples {
		g.samples = append(g.samples, d)
	}
	if now.Sub(g.opened) >= window && len(g.samples) >= windowMin {
		g.update(now)
	}
	if now.Sub(g.started) >= measureEvery {
		g.measuring, g.round, g.started = true, g.round+1, now
		g.before, g.limit, g.samples = g.limit, g.min, g.samples[:0]
	}
}

// measured ends a measurement.
func (g *gradient) measured(now time.Time) {
	g.idle = max(median(g.samples), 1)
	g.measuring, g.started, g.opened = false, now, now
	g.limit, g.samples = g.before, g.samples[:0]
}

// update moves the limit by the ratio of the latency that may be to the one
// that is, and leaves room to grow. A limit that is not half used does not
// grow: nothing is known about what lies beyond it.
func (g *gradient) update(now time.Time) {
	current := max(median(g.samples), 1)
	ratio := math.Min(float64(g.idle)*(1+buffer)/float64(current), 2)
	next := ratio * g.limit
	next = math.Min(math.Max(next+math.Sqrt(next), g.min), g.max)
	if next < g.limit || float64(g.peak) >= g.limit/2 {
		g.limit = next
	}
	g.opened, g.samples, g.peak = now, g.samples[:0], 0
}

// median sorts the samples.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
