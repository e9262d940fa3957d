package authz

import "context"

// Preview returns an engine that decides as if a change had been made. It
// can't be changed itself, records nothing, and stays as it is.
func (e *Engine) Preview(c Change) (*Engine, error) {
	next, err := e.current.Load().change(c.Add, c.Remove)
	if err != nil {
		return nil, err
	}
	return e.at(next), nil
}

// A Difference is a request that another policy decides otherwise.
type Difference struct {
	Request  Request
	Old, New Decision
}

// Differences asks two engines the same requests, such as those of an
// engine's tests or of its recent log, and lists where they differ. It ends
// early with the context's error.
func Differences(ctx context.Context, old, proposed *Engine, requests []Request) ([]Difference, error) {
	a, b := old.at(old.current.Load()), proposed.at(proposed.current.Load())
	var list []Difference
	for i := range requests {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d := Difference{requests[i], a.Decide(requests[i]), b.Decide(requests[i])}
		if d.Old.Allowed != d.New.Allowed {
			list = append(list, d)
		}
	}
	return list, nil
}

// Ask turns rules into the requests that they speak of, by the names of
// subjects: what [Differences] compares when nothing better is at hand.
// Fields that are patterns stand for themselves.
func (e *Engine) Ask(subjects []string, domain string) []Request {
	s := e.current.Load()
	m := &s.m.matchers[0]
	at := m.request.standard
	type pair struct{ object, action string }
	seen := map[pair]bool{}
	var list []Request
	for i := range m.plans {
		object, action := m.plans[i].fieldOf(at[2]), m.plans[i].fieldOf(at[3])
		if object < 0 || action < 0 {
			continue
		}
		s.rules[m.rules].all(func(n uint32) bool {
			v := s.rules[m.rules].values(n)
			if p := (pair{v[object], v[action]}); !seen[p] {
				seen[p] = true
				for _, who := range subjects {
					list = append(list, Request{Subject: who, Domain: domain, Object: p.object, Action: p.action})
				}
			}
			return true
		})
	}
	return list
}
