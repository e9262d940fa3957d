package slo

import "time"

// A ratio counts good and bad requests.
type ratio struct{ good, bad int64 }

func (r ratio) total() int64 { return r.good + r.bad }

func (r *ratio) add(o ratio) { r.good += o.good; r.bad += o.bad }

// burn is how fast the error budget is used up: 1 uses all of it in a window.
func (r ratio) burn(target float64) float64 {
	if r.bad == 0 {
		return 0
	}
	return float64(r.bad) / float64(r.total()) / (1 - target)
}

// A minute is what was seen in one minute, by the service's own instances and
// from outside.
type minute struct{ inside, outside ratio }

func (m *minute) of(outside bool) *ratio {
	if outside {
		return &m.outside
	}
	return &m.inside
}

// up reports whether somebody saw the service work, and nobody who looked saw
// it fail more often than not.
func (m *minute) up() bool {
	works := func(r ratio) bool { return r.total() == 0 || r.good >= r.bad }
	return m.measured() && works(m.inside) && works(m.outside)
}

func (m *minute) measured() bool { return m.inside.total()+m.outside.total() > 0 }

// A ring holds the minutes of a window that ends with the newest.
type ring struct {
	minutes []minute
	newest  int64 // minutes since 1970
}

func newRing(window time.Duration) *ring {
	return &ring{minutes: make([]minute, int(window/time.Minute)+1)}
}

// advance makes room up to a minute; what falls out of the window is cleared.
func (r *ring) advance(to int64) {
	for n := max(r.newest+1, to-int64(len(r.minutes))+1); n <= to; n++ {
		*r.at(n) = minute{}
	}
	r.newest = max(r.newest, to)
}

func (r *ring) at(n int64) *minute { return &r.minutes[n%int64(len(r.minutes))] }

// holds reports whether a minute is within the window.
func (r *ring) holds(n int64) bool { return n <= r.newest && n > r.newest-int64(len(r.minutes)) }

// sum adds the last d, without the newest minute, which still runs.
func (r *ring) sum(d time.Duration) (inside, outside ratio) {
	for n := r.newest - int64(d/time.Minute); n < r.newest; n++ {
		if n > 0 && r.holds(n) {
			m := r.at(n)
			inside.add(m.inside)
			outside.add(m.outside)
		}
	}
	return inside, outside
}

// seen is the last minute in which something was measured from outside, or 0.
func (r *ring) seen() int64 {
	for n := r.newest; n > 0 && r.holds(n); n-- {
		if r.at(n).outside.total() > 0 {
			return n
		}
	}
	return 0
}

// index numbers the minutes since 1970.
func index(t time.Time) int64 { return t.Unix() / 60 }
