package dsr

import (
	"fmt"
	"time"

	"github.com/surety-go/surety/controls/classify"
)

// A Date is a day of the calendar.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf returns the day of a moment in a time zone.
func DateOf(t time.Time, zone *time.Location) Date {
	y, m, d := t.In(zone).Date()
	return Date{y, m, d}
}

// String writes the date as YYYY-MM-DD.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// at is noon of the day in UTC, where every day has 24 hours.
func (d Date) at() time.Time { return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC) }

// days returns the date some days later.
func (d Date) days(n int) Date { return DateOf(d.at().AddDate(0, 0, n), time.UTC) }

// since is how many days have passed since an earlier date.
func (d Date) since(e Date) int { return int(d.at().Sub(e.at()).Hours() / 24) }

// A Calendar says which days are working days, and where.
type Calendar struct {
	Location *time.Location    // nil is UTC
	Weekend  []time.Weekday    // nil is Saturday and Sunday
	Holidays func(d Date) bool // nil is none
}

func (c Calendar) zone() *time.Location {
	if c.Location == nil {
		return time.UTC
	}
	return c.Location
}

// Working reports whether a day is a working day.
func (c Calendar) Working(d Date) bool {
	weekend := c.Weekend
	if weekend == nil {
		weekend = []time.Weekday{time.Saturday, time.Sunday}
	}
	for _, w := range weekend {
		if d.at().Weekday() == w {
			return false
		}
	}
	return c.Holidays == nil || !c.Holidays(d)
}

// end is the first moment after a day.
func (c Calendar) end(d Date) time.Time {
	next := d.days(1)
	return time.Date(next.Year, next.Month, next.Day, 0, 0, 0, 0, c.zone())
}

// maxSearch bounds the search for a working day: a calendar without any is a
// mistake that must not hang.
const maxSearch = 3660

// A Term is a length of time as laws count it: calendar months and days, or
// working days. The day from which it runs is not counted.
type Term struct {
	Months, Days int
	Working      int  // working days, counted after Months and Days
	Roll         bool // an end on a day off moves to the next working day
}

// IsZero reports whether there is no term.
func (t Term) IsZero() bool { return t.Months == 0 && t.Days == 0 && t.Working == 0 }

// After returns the last day of the term that runs from a day, and paused
// days more. A month ends on the day of the same number, or on the month's
// last day where there is none.
func (t Term) After(c Calendar, from Date, paused int) Date {
	period := classify.Period{Months: t.Months, Days: t.Days + paused}
	d := from
	if !period.IsZero() {
		d = DateOf(period.After(from.at()), time.UTC)
	}
	for i, left := 0, t.Working; left > 0 && i < maxSearch; i++ {
		if d = d.days(1); c.Working(d) {
			left--
		}
	}
	for i := 0; t.Roll && !c.Working(d) && i < maxSearch; i++ {
		d = d.days(1)
	}
	return d
}

// add is the term followed by another.
func (t Term) add(u Term) Term {
	return Term{t.Months + u.Months, t.Days + u.Days, t.Working + u.Working, t.Roll || u.Roll}
}
