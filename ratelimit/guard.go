package ratelimit

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/surety-go/surety/guard"
)

// The problem types of draft-ietf-httpapi-ratelimit-headers-10, section 5.
const (
	quotaExceeded   = "https://iana.org/assignments/http-problem-types#quota-exceeded"
	reducedCapacity = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
)

// Phase returns the latest phase of the policies' keys.
func (l *Limiter) Phase() guard.Phase { return l.phase }

// Admit counts the call. A policy under which it has no key, such as an
// anonymous call at a limit per person, doesn't count it: other guards decide
// about such calls.
func (l *Limiter) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	s := l.set.Load()
	if len(s.policies) == 1 {
		var one [1]taking
		return l.admit(ctx, call, s, one[:0])
	}
	var few [usual]taking // on the stack
	return l.admit(ctx, call, s, few[:0])
}

// admit decides with the empty list's room.
func (l *Limiter) admit(ctx context.Context, call *guard.Call, s *set, list []taking) (context.Context, error) {
	for i, p := range s.policies {
		who, ok := p.Key.of(ctx, call)
		if !ok {
			continue
		}
		cost, err := p.cost(ctx, call)
		if err != nil {
			return ctx, err
		}
		list = append(list, taking{policy: p, index: i, who: who, cost: cost})
	}
	if len(list) == 0 {
		return ctx, nil
	}
	ok, err := l.take(ctx, s, list)
	if err != nil {
		return ctx, &guard.Denial{
			Control: "ratelimit.limiter", Code: guard.Unavailable, Type: reducedCapacity,
			Public: "Requests can't be counted at the moment.", RetryAfter: time.Second, Err: err,
		}
	}
	if ok && l.o.NoHeaders {
		return ctx, nil
	}
	l.headers(call, s, list)
	if ok {
		return ctx, nil
	}
	return ctx, l.denial(ctx, list)
}

func (l *Limiter) denial(ctx context.Context, list []taking) *guard.Denial {
	var violated []string
	for i := range list {
		if list[i].Denied {
			violated = append(violated, list[i].policy.Name)
			l.metrics.denied(ctx, list[i].policy.Name)
		}
	}
	return &guard.Denial{
		Control: "ratelimit.limiter", Code: guard.ResourceExhausted, RetryAfter: tightest(list).RetryAfter,
		Type: quotaExceeded, Public: "Too many requests.",
		Details: map[string]any{"violated-policies": violated},
	}
}

// headers adds the fields of the draft's sections 3 and 4.
func (l *Limiter) headers(call *guard.Call, s *set, list []taking) {
	policy := s.header
	if len(list) < len(s.policies) {
		policy = ""
		for i := range list {
			if i > 0 {
				policy += ", "
			}
			policy += list[i].policy.header
		}
	}
	call.AddHeader("RateLimit-Policy", policy)
	var buf [256]byte
	b := buf[:0]
	for i := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '"')
		b = append(b, list[i].policy.Name...) // letters, digits and "-" only
		b = append(b, `";r=`...)
		b = strconv.AppendInt(b, list[i].Remaining, 10)
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, int64(seconds(list[i].Reset)), 10)
	}
	call.AddHeader("RateLimit", string(b))
	if l.o.Legacy {
		t := tightest(list)
		call.SetHeader("X-RateLimit-Limit", strconv.Itoa(t.policy.Count))
		call.SetHeader("X-RateLimit-Remaining", strconv.FormatInt(t.Remaining, 10))
		call.SetHeader("X-RateLimit-Reset", strconv.Itoa(seconds(t.Reset)))
	}
}

// Middleware returns a handler behind the limiter alone.
func (l *Limiter) Middleware(next http.Handler) http.Handler { return guard.Alone(l, next) }

// name of a key that no caller has: no address, id or route begins with a
// zero byte.
func probeKey() string { return fmt.Sprintf("\x00probe %d", time.Now().UnixNano()) }
