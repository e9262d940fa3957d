package classify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Period is a calendar period, ISO 8601's PnYnMnWnD. Weeks are kept as days.
// The zero Period means that none was stated.
type Period struct{ Years, Months, Days int }

// ParsePeriod reads an ISO 8601 period of years, months, weeks and days in
// that order, such as P7Y, P1Y6M or P90D. Each number is 1 to 9999; times of
// day, signs and fractions are refused.
func ParsePeriod(s string) (Period, error) {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" || len(s) > 24 {
		return Period{}, periodError(s)
	}
	var p Period
	units := "YMWD"
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits > 4 || digits == len(rest) {
			return Period{}, periodError(s)
		}
		n, _ := strconv.Atoi(rest[:digits]) // at most four digits: cannot fail
		i := strings.IndexByte(units, rest[digits])
		if i < 0 || n == 0 {
			return Period{}, periodError(s)
		}
		p.add(units[i], n)
		units, rest = units[i+1:], rest[digits+1:]
	}
	return p, nil
}

func (p *Period) add(unit byte, n int) {
	switch unit {
	case 'Y':
		p.Years = n
	case 'M':
		p.Months = n
	case 'W':
		p.Days += 7 * n
	case 'D':
		p.Days += n
	}
}

func periodError(s string) error {
	if len(s) > 24 {
		s = s[:24] + "…"
	}
	return fmt.Errorf("period %q: want ISO 8601 years, months, weeks, days such as P7Y or P1Y6M", s)
}

// IsZero reports whether no period was stated.
func (p Period) IsZero() bool { return p == Period{} }

// String writes the period as ISO 8601, or "" when none was stated.
func (p Period) String() string {
	if p.IsZero() {
		return ""
	}
	b := []byte{'P'}
	for _, part := range [...]struct {
		n    int
		unit byte
	}{{p.Years, 'Y'}, {p.Months, 'M'}, {p.Days, 'D'}} {
		if part.n != 0 {
			b = append(strconv.AppendInt(b, int64(part.n), 10), part.unit)
		}
	}
	return string(b)
}

// After returns the moment the period ends when it starts at t. Years and
// months keep the day of the month where it exists and otherwise end on the
// month's last day (P1M after 31 January is 28 or 29 February), which
// time.AddDate would carry over into the next month.
func (p Period) After(t time.Time) time.Time {
	month := time.Date(t.Year()+p.Years, t.Month()+time.Month(p.Months), 1,
		t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := month.AddDate(0, 1, -1).Day()
	return month.AddDate(0, 0, min(t.Day(), last)-1+p.Days)
}

// MarshalText writes the period as ISO 8601.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads an ISO 8601 period; empty text is the zero Period.
func (p *Period) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = Period{}
		return nil
	}
	parsed, err := ParsePeriod(string(b))
	if err != nil {
		return fmt.Errorf("classify: %w", err)
	}
	*p = parsed
	return nil
}
