package slo

import (
	"time"
)

// A rule raises an alert when the budget burns at a rate over both windows.
// The numbers are those of Google's SRE Workbook, chapter 5, table 5-8.
type rule struct {
	name        string
	long, short time.Duration
	rate        float64
}

var rules = []rule{
	{"fast", time.Hour, 5 * time.Minute, 14.4},
	{"medium", 6 * time.Hour, 30 * time.Minute, 6},
	{"slow", 3 * 24 * time.Hour, 6 * time.Hour, 1},
}

// evaluate says which way an alert goes: up when both windows burn and there
// were enough bad requests to speak of a rate, down when the short one is
// calm, and otherwise it stays.
func (r rule) evaluate(w *ring, target float64, minBad int64, firing bool) (fires bool, long, short float64) {
	longIn, longOut := w.sum(r.long)
	shortIn, shortOut := w.sum(r.short)
	long = max(longIn.burn(target), longOut.burn(target))
	short = max(shortIn.burn(target), shortOut.burn(target))
	enough := max(longIn.bad, longOut.bad) >= minBad
	switch {
	case short < r.rate:
		return false, long, short
	case long >= r.rate && enough:
		return true, long, short
	default:
		return firing, long, short
	}
}
