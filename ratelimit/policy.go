package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/guard"
)

// A Policy is a limit: Count per Per, of which Burst may come at once; or
// Count in each calendar period.
type Policy struct {
	// Name tells policies apart in headers, evidence and metrics: 1 to 64
	// lower-case letters, digits and "-".
	Name string
	// Key says whose allowance a call uses.
	Key Key
	// Count is how many, 1 to 2,147,483,647.
	Count int
	// Per is the time in which Count may come, 1 ms to 24 h, and at most one
	// a nanosecond. Empty with Calendar.
	Per time.Duration
	// Burst is how many may come at once; 0 is Count. Empty with Calendar.
	Burst int
	// Calendar makes the policy a quota for each hour, day or month.
	Calendar Calendar
	// Zone is where the calendar's periods begin; nil is UTC.
	Zone *time.Location
	// Cost is how much of the allowance a call uses, 0 or more; nil is 1 for
	// each. A call that costs more than the allowance ever holds is denied
	// for good.
	Cost func(context.Context, *guard.Call) int
}

// A Calendar is a period of a quota.
type Calendar uint8

// The periods.
const (
	// None means a rate instead of a quota. It is the zero value.
	None Calendar = iota
	// Hour begins with each full hour.
	Hour
	// Day begins at midnight.
	Day
	// Month begins at midnight of the first day.
	Month
)

// String returns the name as evidence spells it.
func (c Calendar) String() string { return [...]string{"none", "hour", "day", "month"}[min(c, Month)] }

// end is when the period that contains t ends.
func (c Calendar) end(t time.Time) time.Time {
	y, m, d := t.Date()
	switch c {
	case Hour:
		// Hours are counted, not named: the one that a clock change repeats
		// is an hour of its own.
		into := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
		return t.Add(time.Hour - into)
	case Day:
		return time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
	default:
		return time.Date(y, m+1, 1, 0, 0, 0, 0, t.Location())
	}
}

func (p *Policy) validate() error {
	if p.Name == "" || len(p.Name) > 64 || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errors.New("ratelimit: Name: want 1 to 64 lower-case letters, digits and -")
	}
	if p.Key.of == nil {
		return fmt.Errorf("ratelimit: %s: Key is missing", p.Name)
	}
	if p.Count < 1 || p.Count > math.MaxInt32 {
		return fmt.Errorf("ratelimit: %s: Count %d: want 1 to %d", p.Name, p.Count, math.MaxInt32)
	}
	if p.Calendar != None {
		switch {
		case p.Calendar > Month:
			return fmt.Errorf("ratelimit: %s: Calendar %d is unknown", p.Name, p.Calendar)
		case p.Per != 0 || p.Burst != 0:
			return fmt.Errorf("ratelimit: %s: Per and Burst have no meaning with Calendar", p.Name)
		}
		return nil
	}
	switch {
	case p.Zone != nil:
		return fmt.Errorf("ratelimit: %s: Zone has no meaning without Calendar", p.Name)
	case p.Per < time.Millisecond || p.Per > 24*time.Hour:
		return fmt.Errorf("ratelimit: %s: Per %v: want 1ms to 24h", p.Name, p.Per)
	case p.Per < time.Duration(p.Count):
		return fmt.Errorf("ratelimit: %s: Count %d in %v: want at most one a nanosecond", p.Name, p.Count, p.Per)
	case p.Burst < 0 || p.Burst > math.MaxInt32:
		return fmt.Errorf("ratelimit: %s: Burst %d: want 0 to %d", p.Name, p.Burst, math.MaxInt32)
	case time.Duration(max(p.Burst, p.Count)) > 366*24*time.Hour/interval(p.Per, p.Count):
		return fmt.Errorf("ratelimit: %s: Burst %d: would take more than a year to refill", p.Name, max(p.Burst, p.Count))
	}
	return nil
}

// interval is the time that one request costs, rounded up so that a key never
// gets more than its rate.
func interval(per time.Duration, count int) time.Duration {
	return (per + time.Duration(count) - 1) / time.Duration(count)
}

// A policy is a Policy made ready to decide.
type policy struct {
	Policy
	interval int64 // of a rate: nanoseconds a unit costs
	limit    int64 // what the whole allowance is
	salt     uint64
	header   string // its part of RateLimit-Policy
}

func (p *Policy) compile(salt uint64) *policy {
	c := &policy{Policy: *p, limit: int64(p.Count), salt: salt}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	c.header = strconv.Quote(p.Name) + ";q=" + strconv.Itoa(p.Count)
	switch p.Calendar {
	case None:
		if p.Burst == 0 {
			c.Burst = p.Count
		}
		c.limit = int64(c.Burst)
		c.interval = int64(interval(p.Per, p.Count))
		c.header += ";w=" + strconv.Itoa(seconds(p.Per))
	case Hour:
		c.header += ";w=3600"
	case Day:
		c.header += ";w=86400"
	case Month: // a window in seconds it has not
	}
	return c
}

func (p *policy) cost(ctx context.Context, call *guard.Call) (int64, error) {
	if p.Cost == nil {
		return 1, nil
	}
	n := p.Cost(ctx, call)
	if n < 0 {
		return 0, fmt.Errorf("ratelimit: %s: Cost returned %d", p.Name, n)
	}
	return int64(n), nil
}

// seconds rounds up, so that whoever waits that long is not too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
