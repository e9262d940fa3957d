package dsr

import (
	"fmt"
	"maps"
	"slices"
)

// A Regime is how a law counts. Its zero terms mean that the law has none.
type Regime struct {
	Name     string // lower case, such as "gdpr"
	Calendar Calendar
	Confirm  Term // to confirm that the request was received
	Answer   Term // to answer
	Extend   Term // by how much an answer may be put off, with notice
	// Kinds are answers with a term of their own, which can't be put off.
	Kinds map[Kind]Term
	// Pauses says that the time spent on verifying who asks does not count.
	Pauses bool
}

// GDPR answers within a month of receipt, put off by two more at most, and
// the clock stands still while the person is being identified (Article 12(3)
// and (6); Regulation 1182/71, Article 3; EDPB Guidelines 01/2022, 5.3).
func GDPR(c Calendar) Regime {
	return Regime{Name: "gdpr", Calendar: c, Answer: Term{Months: 1, Roll: true}, Extend: Term{Months: 2, Roll: true}, Pauses: true}
}

// CCPA confirms within 10 business days and answers within 45 calendar days
// of receipt, put off by 45 more at most, however long verifying takes
// (California Code of Regulations, title 11, section 7021). Opting out and
// limiting take 15 business days at most (sections 7026(f) and 7027(g)).
func CCPA(c Calendar) Regime {
	fast := Term{Working: 15}
	return Regime{
		Name: "ccpa", Calendar: c, Confirm: Term{Working: 10}, Answer: Term{Days: 45}, Extend: Term{Days: 45},
		Kinds: map[Kind]Term{OptOut: fast, LimitSensitive: fast},
	}
}

func (g Regime) validate() error {
	if g.Name == "" || g.Answer.IsZero() {
		return fmt.Errorf("%w: regime %q needs a name and a term to answer", ErrConfig, g.Name)
	}
	return nil
}

// due returns the last day to answer a request.
func (g Regime) due(r *Request) Date {
	term, own := g.Kinds[r.Kind]
	if !own {
		term = g.Answer
		if r.Extended {
			term = term.add(g.Extend)
		}
	}
	paused := 0
	if g.Pauses {
		paused = r.PausedDays
	}
	return term.After(g.Calendar, r.ReceivedOn, paused)
}

// confirmBy returns the last day to confirm a request, or ok = false.
func (g Regime) confirmBy(r *Request) (Date, bool) {
	if g.Confirm.IsZero() {
		return Date{}, false
	}
	return g.Confirm.After(g.Calendar, r.ReceivedOn, 0), true
}

func (g Regime) extendable(k Kind) bool {
	_, own := g.Kinds[k]
	return !own && !g.Extend.IsZero()
}

func sortedRegimes(m map[string]Regime) []string { return slices.Sorted(maps.Keys(m)) }
