package detect

import "time"

// A window remembers the latest Count times of one group.
type window struct {
	times []time.Time // ring, at most Count long
	next  int
	total int // events since the group is remembered
	quiet time.Time
}

// hit adds a time and reports whether the ring is full of times within span.
func (w *window) hit(at time.Time, count int, span time.Duration) (first time.Time, full bool) {
	if len(w.times) < count {
		w.times = append(w.times, at)
	} else {
		w.times[w.next] = at
	}
	w.next = (w.next + 1) % count
	w.total++
	if len(w.times) < count {
		return at, false
	}
	oldest := w.times[w.next]
	return oldest, at.Sub(oldest) <= span
}

// recent counts times within span and returns the latest.
func (w *window) recent(at time.Time, span time.Duration) (n int, latest time.Time) {
	for _, t := range w.times {
		if at.Sub(t) <= span {
			n++
		}
		if t.After(latest) {
			latest = t
		}
	}
	return n, latest
}

// groups are the windows of one rule.
type groups struct {
	windows map[string]*window
	evicted int64
}

// of returns the group's window. When there are too many groups it forgets the
// least of a few: Go iterates maps from a random place, so an attacker who
// invents groups can't choose which, and a group with events outlasts those
// with one.
func (g *groups) of(key string, at time.Time, r *Rule, limit int) *window {
	if w, ok := g.windows[key]; ok {
		return w
	}
	if len(g.windows) >= limit {
		g.evict(at, r)
	}
	w := &window{}
	g.windows[key] = w
	return w
}

const sample = 16

func (g *groups) evict(at time.Time, r *Rule) {
	var victim string
	var fewest int
	var oldest time.Time
	seen := 0
	for key, w := range g.windows {
		n, latest := w.recent(at, r.Window.Duration())
		if at.Before(w.quiet) {
			n += r.Count // a group that fired is remembered until it may fire again
		}
		if seen == 0 || n < fewest || n == fewest && latest.Before(oldest) {
			victim, fewest, oldest = key, n, latest
		}
		if seen++; seen == sample || n == 0 {
			break
		}
	}
	delete(g.windows, victim)
	if fewest > 0 {
		g.evicted++ // a group that could still have fired
	}
}
