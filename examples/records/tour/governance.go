package tour

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An event as the API shows it.
type event struct{ Action, Outcome, Actor, Kind, Reason, Target string }

func count(a answer, match func(event) bool) (int, error) {
	var body struct{ Events []event }
	if err := json.Unmarshal(a.body, &body); err != nil {
		return 0, broken("events: %v", err)
	}
	n := 0
	for _, e := range body.Events {
		if match(e) {
			n++
		}
	}
	return n, nil
}

// A control's result as the API shows it.
type result struct{ Key, Title, State, Observed string }

// controls has the controls with an ID probed, or all of them.
func (c *client) controls(ctx context.Context, id string) ([]result, error) {
	auditor, err := c.signedIn(ctx, "acme", "auditor")
	if err != nil {
		return nil, err
	}
	path := "/api/controls"
	if id != "" {
		path += "?id=" + id
	}
	a, err := c.want(ctx, 200, "GET", path, auditor.token, nil)
	if err != nil {
		return nil, err
	}
	var body struct{ Controls []result }
	if err := json.Unmarshal(a.body, &body); err != nil {
		return nil, broken("controls: %v", err)
	}
	if id == "" {
		c.last = body.Controls
	}
	return body.Controls, nil
}

// register shows that a register's own probe passes.
func register(id string) func(context.Context, *client) (string, error) {
	return func(ctx context.Context, c *client) (string, error) {
		if c.last == nil {
			if _, err := c.controls(ctx, ""); err != nil {
				return "", err
			}
		}
		for _, r := range c.last {
			if strings.HasPrefix(r.Key, id) {
				if r.State != "pass" {
					return "", broken("%s is %s: %s", r.Key, r.State, r.Observed)
				}
				return r.Observed, nil
			}
		}
		return "", broken("%s is not among %d controls", id, len(c.last))
	}
}

func vendors(ctx context.Context, c *client) (string, error) {
	owner, err := c.signedIn(ctx, "acme", "owner")
	if err != nil {
		return "", err
	}
	person, err := c.signedIn(ctx, "acme", "manager") // the employee is erased by now
	if err != nil {
		return "", err
	}
	for _, v := range []struct {
		host, category string
		status         int
	}{
		{"payroll.vendor.example", "user.name", 200},
		{"payroll.vendor.example", "user.government_id", 403}, // not agreed on
		{"tracker.vendor.example", "user.name", 403},          // not declared
	} {
		body := map[string]any{"vendor": "Example Payroll Bureau", "host": v.host, "category": v.category, "subject": person.ID}
		if _, err := c.want(ctx, v.status, "POST", "/api/egress", owner.token, body); err != nil {
			return "", err
		}
	}
	told, err := c.want(ctx, 200, "GET", "/api/disclosures", person.token, nil)
	if err != nil || strings.Count(told.text("disclosures"), "Example Payroll Bureau") != 1 {
		return "", broken("the person is told of these disclosures: %s %v", told.body, err)
	}
	return "the payroll bureau gets names and no national ids; an undeclared host gets nothing; the person sees the one disclosure", nil
}

// soon asks for the results of an ID, or all, until they are as wanted.
func (c *client) soon(ctx context.Context, id string, want func(result) bool) ([]result, error) {
	for end := time.Now().Add(15 * time.Second); ; {
		list, err := c.controls(ctx, id)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(r result) bool { return !want(r) })
		if i < 0 {
			return list, nil
		}
		if time.Now().After(end) {
			return nil, broken("%s is %s: %s", list[i].Key, list[i].State, list[i].Observed)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func passes(r result) bool { return r.State == "pass" || r.State == "not-applicable" }

func probes(ctx context.Context, c *client) (string, error) {
	list, err := c.soon(ctx, "", passes)
	if err != nil {
		return "", err
	}
	if len(list) < 20 {
		return "", broken("only %d controls are live", len(list))
	}
	c.witness.absent.Store(true)
	left := time.Now()
	gone, err := c.soon(ctx, "auditlog.witness", func(r result) bool { return !passes(r) })
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d controls pass; %.1f s after the witness left, %s fails (%s)",
		len(list), len(list), time.Since(left).Seconds(), gone[0].Key, gone[0].Observed), nil
}

func findingsListed(ctx context.Context, c *client) (string, error) {
	auditor, err := c.signedIn(ctx, "acme", "auditor")
	if err != nil {
		return "", err
	}
	f, err := c.finding(ctx, auditor.token, func(f finding) bool { return strings.HasPrefix(f.Control, "auditlog.") })
	if err != nil {
		return "", err
	}
	c.witness.absent.Store(false)
	if _, err := c.soon(ctx, "auditlog.witness", passes); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s: %s is to see to it by %s; the witness is back and the control passes",
		f.Control, f.State, f.Owner, f.Due.Format(time.DateOnly)), nil
}
