package consent

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy"
)

// Merge carries the choices of an anonymous visitor over to the account that
// the visitor signs in to. A purpose the account never decided about takes the
// visitor's choice; a refusal that is younger than the account's consent takes
// it back. An older choice, and a consent against the account's refusal, change
// nothing: signing in on a shared device must not undo a withdrawal. Merging
// again changes nothing either.
func (l *Ledger) Merge(ctx context.Context, tenant, visitor, account string) ([]Entry, error) {
	if visitor == account {
		return nil, fmt.Errorf("%w: the visitor is the account", ErrChoice)
	}
	from, err := l.latest(ctx, tenant, visitor)
	if err != nil {
		return nil, err
	}
	to, err := l.latest(ctx, tenant, account)
	if err != nil {
		return nil, err
	}
	var done []Entry
	for _, p := range order(from) {
		v, a := from[p], to[p]
		if a.Seq > 0 && (v.Given || !a.Given || !v.Time.After(a.Time)) {
			continue
		}
		c := v.Choice
		c.Subject, c.Method = account, "merge: "+v.Method
		if len(c.Method) > auditlog.MaxName {
			c.Method = "merge"
		}
		change := l.Withdraw
		if v.Given {
			change = l.Give
		}
		e, err := change(ctx, c)
		if err != nil {
			return done, err
		}
		done = append(done, e)
	}
	return done, nil
}

// latest returns a person's last entry for each purpose.
func (l *Ledger) latest(ctx context.Context, tenant, subject string) (map[privacy.Purpose]Entry, error) {
	chain, err := l.Chain(ctx, tenant, subject)
	if err != nil {
		return nil, err
	}
	m := make(map[privacy.Purpose]Entry, len(chain))
	for _, e := range chain {
		m[e.Purpose] = e
	}
	return m, nil
}

// order lists purposes in the order of their entries.
func order(m map[privacy.Purpose]Entry) []privacy.Purpose {
	list := make([]privacy.Purpose, 0, len(m))
	for p := range m {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b privacy.Purpose) int { return m[a].Seq - m[b].Seq })
	return list
}

// Reconcile reads a log and returns a sentence for each choice that stands in
// it and not in the store, where its hash anchors it: a row that was taken
// away, or one that was recorded while the store failed. Entries of other
// actions are passed over.
func (l *Ledger) Reconcile(ctx context.Context, log iter.Seq2[auditlog.Indexed, error]) ([]string, error) {
	chains := map[person][]Entry{}
	var missing []string
	for x, err := range log {
		if err != nil {
			return nil, fmt.Errorf("consent: log: %w", err)
		}
		if x.Action != "privacy.consent.give" && x.Action != "privacy.consent.withdraw" || x.Outcome != auditlog.Success || len(x.Targets) == 0 {
			continue
		}
		k := person{x.Tenant, x.Targets[0].ID}
		if _, ok := chains[k]; !ok {
			chain, err := l.Chain(ctx, k.tenant, k.subject)
			if err != nil {
				return nil, err
			}
			chains[k] = chain
		}
		head := ""
		for _, a := range x.Attrs {
			if a.Key == "head" {
				head = a.Text()
			}
		}
		if head != "" && !slices.ContainsFunc(chains[k], func(e Entry) bool { return hex.EncodeToString(e.MAC[:]) == head }) {
			missing = append(missing, fmt.Sprintf("entry %d of the log: subject %q has no choice with the hash %.16s…", x.Index, k.subject, head))
		}
	}
	return missing, nil
}
