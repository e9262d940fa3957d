package ratelimit

import "time"

// A State says where a key stands with one policy after a decision.
type State struct {
	Denied     bool
	Remaining  int64         // how much may still come at once
	RetryAfter time.Duration // until what was denied would be admitted; 0 is never
	Reset      time.Duration // until the allowance is whole again
}

// decide takes cost from an allowance with a value, and returns its next one.
func (p *policy) decide(value, now, cost int64, wall time.Time) (int64, State) {
	if p.Calendar != None {
		return p.decideQuota(value, now, cost, wall)
	}
	tat := now
	if !isQuota(value) { // a policy that was a quota before a reload starts anew
		tat = max(value, now)
	}
	ahead := tat - now // how much of the allowance is used, in time
	capacity := p.limit * p.interval
	switch {
	case cost > p.limit:
		return value, State{Denied: true, Remaining: max(capacity-ahead, 0) / p.interval, Reset: time.Duration(ahead)}
	case ahead+cost*p.interval > capacity:
		return value, State{
			Denied: true, Remaining: max(capacity-ahead, 0) / p.interval,
			RetryAfter: time.Duration(ahead + cost*p.interval - capacity), Reset: time.Duration(ahead),
		}
	}
	ahead += cost * p.interval
	return now + ahead, State{Remaining: max(capacity-ahead, 0) / p.interval, Reset: time.Duration(ahead)}
}

func (p *policy) decideQuota(value, now, cost int64, wall time.Time) (int64, State) {
	end, used := int64(0), int64(0)
	switch {
	case isQuota(value) && !whole(value, now):
		end, used = quotaEnd(value), value&usedMask
	case cost == 0:
		return value, State{Remaining: p.limit} // nothing begins that nothing is taken from
	default:
		left := p.Calendar.end(wall.In(p.Zone)).Sub(wall)
		end = (now + int64(left) + int64(time.Second) - 1) / int64(time.Second)
	}
	reset := time.Duration(end*int64(time.Second) - now)
	remaining := max(p.limit-used, 0) // a reload may have lowered the limit
	if cost > remaining {
		st := State{Denied: true, Remaining: remaining, RetryAfter: reset, Reset: reset}
		if cost > p.limit {
			st.RetryAfter = 0
		}
		return value, st
	}
	return quota(end, used+cost), State{Remaining: remaining - cost, Reset: reset}
}
