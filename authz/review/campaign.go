package review

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Verdict is what a reviewer says of a grant.
type Verdict string

// The verdicts. The zero Verdict is none yet.
const (
	Keep     Verdict = "keep"
	Revoke   Verdict = "revoke"
	Escalate Verdict = "escalate" // the second reviewer decides
)

// Facts are what is known of a grant besides itself. Zero times and an empty By
// are not known.
type Facts struct {
	Since    time.Time `json:"since,omitzero"`
	LastUsed time.Time `json:"last_used,omitzero"`
	By       string    `json:"granted_by,omitempty"` // the account that gave it
}

// An Item is one grant under review.
type Item struct {
	Number    int       `json:"number"` // from 1
	Subject   string    `json:"subject"`
	Role      string    `json:"role"`
	Until     time.Time `json:"until,omitzero"`
	Facts               // as they were when the campaign started
	Reviewer  string    `json:"reviewer"` // the account whose turn it is
	Escalated bool      `json:"escalated,omitempty"`
	Verdict   Verdict   `json:"verdict,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	DecidedBy string    `json:"decided_by,omitempty"` // empty: the deadline
	Decided   time.Time `json:"decided,omitzero"`
	Revoked   time.Time `json:"revoked,omitzero"` // when the role was taken away
}

// Open reports whether the item still waits for someone or something.
func (i *Item) Open() bool { return i.Verdict == "" || i.Verdict == Revoke && i.Revoked.IsZero() }

// A Campaign is one review.
type Campaign struct {
	ID       string    `json:"id"`
	Tenant   string    `json:"tenant"`
	Name     string    `json:"name"`
	Domain   string    `json:"domain"`
	Roles    []string  `json:"roles,omitempty"` // none: all
	Second   string    `json:"second"`
	Started  time.Time `json:"started"`
	Due      time.Time `json:"due"`
	Revoke   bool      `json:"revoke"` // what nobody decided is taken away
	Items    []Item    `json:"items"`
	Reminded time.Time `json:"reminded,omitzero"`
	Closed   time.Time `json:"closed,omitzero"`

	sequence int64
	last     [32]byte // MAC
}

// Undecided lists the items that wait for someone.
func (c *Campaign) Undecided() []Item {
	var list []Item
	for _, i := range c.Items {
		if i.Verdict == "" {
			list = append(list, i)
		}
	}
	return list
}

// unfinished counts the items that wait for someone or something.
func (c *Campaign) unfinished() (n int) {
	for i := range c.Items {
		if c.Items[i].Open() {
			n++
		}
	}
	return n
}

// item finds an item by its number.
func (c *Campaign) item(number int) (*Item, error) {
	if number < 1 || number > len(c.Items) {
		return nil, fmt.Errorf("%w: campaign %s has items 1 to %d", ErrUnknown, c.ID, len(c.Items))
	}
	return &c.Items[number-1], nil
}

// A step is what happened to a campaign.
type step struct {
	Start   *Campaign `json:"start,omitempty"` // the first
	Item    int       `json:"item,omitempty"`
	Verdict Verdict   `json:"verdict,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	By      string    `json:"by,omitempty"`
	Revoked bool      `json:"revoked,omitempty"`
	Remind  bool      `json:"remind,omitempty"`
	Close   bool      `json:"close,omitempty"`
	At      time.Time `json:"at"`
}

// apply brings a campaign up to a step that the desk has checked and sealed.
func (c *Campaign) apply(data []byte) error {
	var s step
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%w: %w", ErrForged, err)
	}
	switch {
	case s.Start != nil:
		*c = *s.Start
	case s.Remind:
		c.Reminded = s.At
	case s.Close:
		c.Closed = s.At
	default:
		i, err := c.item(s.Item)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrForged, err)
		}
		i.take(s, c.Second)
	}
	return nil
}

func (i *Item) take(s step, second string) {
	switch {
	case s.Revoked:
		i.Revoked = s.At
	case s.Verdict == Escalate:
		i.Reviewer, i.Escalated, i.Reason = second, true, s.Reason
	default:
		i.Verdict, i.Reason, i.DecidedBy, i.Decided = s.Verdict, s.Reason, s.By, s.At
	}
}
