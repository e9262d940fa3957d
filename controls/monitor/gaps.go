package monitor

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// A Gap is a stretch of time for which the history does not show what it
// should.
type Gap struct {
	Kind    GapKind   `json:"kind"`
	Control string    `json:"control,omitempty"` // empty: the whole history
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Detail  string    `json:"detail"`
}

// String is one line for people.
func (g Gap) String() string {
	who := g.Control
	if who == "" {
		who = "monitoring"
	}
	return fmt.Sprintf("%s: %s from %s to %s: %s", who, g.Kind, g.From.Format(time.RFC3339), g.To.Format(time.RFC3339), g.Detail)
}

// A GapKind says what is missing.
type GapKind string

// The kinds of gaps.
const (
	Lost    GapKind = "lost"   // entries are missing from the sequence
	Silent  GapKind = "silent" // nothing shows that the monitor was alive
	Late    GapKind = "late"   // a control was probed later than promised
	Gone    GapKind = "gone"   // a control was stated no more
	NewLate GapKind = "new"    // a control was first probed within the period
	Clock   GapKind = "clock"  // time runs backwards in the sequence
)

// clockTolerance is how far entries may be out of order: several programs may
// write one history.
const clockTolerance = time.Minute

// slack is added to a promise before a delay counts, for the time that passes
// between a timer and the run.
func slack(every time.Duration) time.Duration { return every/20 + time.Second }

// Gaps returns what the history does not show between two moments. The
// entries are those of the period in the order of Seq; entries outside of the
// period are used for their promises, so include what came shortly before.
// It needs nothing but its arguments: an offline check runs it over an export.
func Gaps(entries []Entry, from, to time.Time) []Gap {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int { return compare(a.Seq, b.Seq) })
	silent := silence(entries, from, to)
	gaps := append(sequence(entries), silent...)
	gaps = append(gaps, lateness(entries, silent, from, to)...)
	slices.SortStableFunc(gaps, func(a, b Gap) int {
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return strings.Compare(a.Control, b.Control)
	})
	return gaps
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// sequence finds numbers that are missing or repeated and time that runs
// backwards.
func sequence(entries []Entry) (gaps []Gap) {
	var latest time.Time
	for i, e := range entries {
		if i > 0 {
			prev := entries[i-1]
			if e.Seq != prev.Seq+1 {
				gaps = append(gaps, Gap{Lost, "", prev.At, e.At, fmt.Sprintf("entry %d is followed by entry %d", prev.Seq, e.Seq)})
			}
			if e.At.Before(latest.Add(-clockTolerance)) {
				gaps = append(gaps, Gap{Clock, "", e.At, latest, fmt.Sprintf("entry %d is dated %v before an earlier one", e.Seq, latest.Sub(e.At).Round(time.Second))})
			}
		}
		if e.At.After(latest) {
			latest = e.At
		}
	}
	return gaps
}

// silence finds stretches without any entry. The promise is that of the last
// heartbeat or start.
func silence(entries []Entry, from, to time.Time) (gaps []Gap) {
	promise := firstPromise(entries)
	last := from
	byTime := slices.Clone(entries)
	slices.SortStableFunc(byTime, func(a, b Entry) int { return a.At.Compare(b.At) })
	see := func(at time.Time, what string) {
		if at.Sub(last) > promise+slack(promise) && at.After(from) && last.Before(to) {
			gaps = append(gaps, Gap{Silent, "", later(last, from), earlier(at, to), what})
		}
		if at.After(last) {
			last = at
		}
	}
	for _, e := range byTime {
		see(e.At, fmt.Sprintf("nothing until entry %d (%s)", e.Seq, e.Kind))
		if e.own() > 0 {
			promise = e.own()
		}
	}
	see(to, "nothing until the end of the period")
	return gaps
}

// firstPromise is what held when the period began, as far as the entries tell.
// Without any own entry nothing was promised, and all of the period is silent.
func firstPromise(entries []Entry) time.Duration {
	for _, e := range entries {
		if e.own() > 0 {
			return e.own()
		}
	}
	return 0
}

// own is the promise of the monitor's own entries.
func (e *Entry) own() time.Duration {
	if e.Kind == Heartbeat || e.Kind == Started || e.Kind == Stopped {
		return e.Every
	}
	return 0
}

// lateness finds, for each control, stretches longer than promised. Silent
// stretches are reported once, and do not make every control late as well.
func lateness(entries []Entry, silent []Gap, from, to time.Time) (gaps []Gap) {
	byControl := map[string][]Entry{}
	for _, e := range entries {
		if e.Kind == Probed || e.Kind == Vanished {
			byControl[e.Control] = append(byControl[e.Control], e)
		}
	}
	for control, list := range byControl {
		slices.SortStableFunc(list, func(a, b Entry) int { return a.At.Compare(b.At) })
		gaps = append(gaps, lateControl(control, list, silent, from, to)...)
	}
	return gaps
}

// watched is how much of a stretch was not silent. The silent stretches are in
// the order of time and do not overlap.
func watched(from, to time.Time, silent []Gap) time.Duration {
	d := to.Sub(from)
	first := sort.Search(len(silent), func(i int) bool { return silent[i].To.After(from) })
	for _, g := range silent[first:] {
		if !g.From.Before(to) {
			break
		}
		if a, b := later(from, g.From), earlier(to, g.To); a.Before(b) {
			d -= b.Sub(a)
		}
	}
	return d
}

func lateControl(control string, list []Entry, silent []Gap, from, to time.Time) (gaps []Gap) {
	if first := list[0]; watched(from, first.At, silent) > first.Every+slack(first.Every) {
		gaps = append(gaps, Gap{NewLate, control, from, first.At, "first probed in the period"})
	}
	for i, e := range list {
		until, what := to, "not probed again until the end of the period"
		if i+1 < len(list) {
			until, what = list[i+1].At, fmt.Sprintf("next entry is %d", list[i+1].Seq)
		}
		kind := Late
		if e.Kind == Vanished {
			kind, what = Gone, "no component states the control"
			if e.Observed != "" {
				what = "omitted: " + e.Observed
			}
		} else if watched(e.At, until, silent) <= e.Every+slack(e.Every) {
			continue
		}
		if until.After(from) && e.At.Before(to) {
			gaps = append(gaps, Gap{kind, control, later(e.At, from), earlier(until, to), what + promised(e.Every)})
		}
	}
	return gaps
}

func promised(every time.Duration) string {
	if every == 0 {
		return ""
	}
	return fmt.Sprintf(", promised every %v", every)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
