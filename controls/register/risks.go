package register

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/controls"
)

// A register without a risk
// of category fraud does not load: whether fraud was considered is asked in
// every examination.
var riskCategories = []string{"strategic", "operational", "technology", "security", "fraud", "compliance", "privacy", "vendor"}

// RiskCategories returns the categories a risk may have.
func RiskCategories() []string { return slices.Clone(riskCategories) }

// An Objective is what a risk endangers.
type Objective struct {
	ID   string `yaml:"id,required" json:"id"`
	Text string `yaml:"text,required" json:"text"`
}

// A Score is likelihood and impact, each 1 (lowest) to 5.
type Score struct {
	Likelihood int `yaml:"likelihood,required" json:"likelihood"`
	Impact     int `yaml:"impact,required" json:"impact"`
}

// Value is likelihood × impact, 1 to 25.
func (s Score) Value() int { return s.Likelihood * s.Impact }

// A Treatment is what is done about a risk: a control that runs, or a plan
// with an owner and a due date.
type Treatment struct {
	Control string    `yaml:"control" json:"control,omitempty"`
	Plan    string    `yaml:"plan" json:"plan,omitempty"`
	Owner   string    `yaml:"owner" json:"owner,omitempty"`
	Due     time.Time `yaml:"due" json:"due,omitzero"`
}

// A RiskAcceptance is the decision to live with a risk above appetite.
type RiskAcceptance struct {
	Approver string    `yaml:"approver,required" json:"approver"` // never the owner
	Reason   string    `yaml:"reason,required" json:"reason"`
	Until    time.Time `yaml:"until,required" json:"until"`
}

// A Risk is one entry of the risk register.
type Risk struct {
	ID         string          `yaml:"id,required" json:"id"`
	Title      string          `yaml:"title,required" json:"title"`
	Category   string          `yaml:"category,required" json:"category"`
	Objective  string          `yaml:"objective,required" json:"objective"`
	Owner      string          `yaml:"owner,required" json:"owner"`
	Likelihood int             `yaml:"likelihood,required" json:"likelihood"`
	Impact     int             `yaml:"impact,required" json:"impact"`
	Residual   *Score          `yaml:"residual" json:"residual,omitempty"` // nil: as before treatment
	Treatments []Treatment     `yaml:"treatments" json:"treatments,omitempty"`
	Acceptance *RiskAcceptance `yaml:"acceptance" json:"acceptance,omitempty"`
	Reviewed   time.Time       `yaml:"reviewed,required" json:"reviewed"`
	Review     time.Time       `yaml:"review,required" json:"review"`
}

// Inherent is the score before treatment.
func (r *Risk) Inherent() Score { return Score{r.Likelihood, r.Impact} }

// Remaining is the score after treatment.
func (r *Risk) Remaining() Score {
	if r.Residual != nil {
		return *r.Residual
	}
	return r.Inherent()
}

// Risks is the risk register. It never changes after it is loaded.
type Risks struct {
	file riskFile
	env  env
}

type riskFile struct {
	Appetite   int         `yaml:"appetite,required" json:"appetite"`
	Objectives []Objective `yaml:"objectives,required" json:"objectives"`
	Risks      []Risk      `yaml:"risks,required" json:"risks"`
}

// All returns the risks in the order of the file.
func (r *Risks) All() []Risk { return slices.Clone(r.file.Risks) }

// Appetite is the highest residual score that needs no acceptance.
func (r *Risks) Appetite() int { return r.file.Appetite }

// MarshalJSON writes the register as it stands in evidence.
func (r *Risks) MarshalJSON() ([]byte, error) { return json.Marshal(r.file) }

func (e env) risks(name string) (*Risks, error) {
	r := &Risks{env: e}
	c, err := e.open(name, &r.file)
	if err != nil {
		return nil, err
	}
	if r.file.Appetite < 1 || r.file.Appetite > 25 {
		c.fail("appetite", "a score of 1 to 25 is wanted")
	}
	objectives := map[string]bool{}
	for i, o := range r.file.Objectives {
		c.id(fmt.Sprintf("objectives[%d].id", i), o.ID)
		objectives[o.ID] = true
	}
	fraud := false
	for i := range r.file.Risks {
		risk, path := &r.file.Risks[i], fmt.Sprintf("risks[%d]", i)
		fraud = fraud || risk.Category == "fraud"
		if !objectives[risk.Objective] {
			c.fail(path+".objective", "the id of an objective listed above is wanted, got %q", risk.Objective)
		}
		c.risk(path, risk, r.file.Appetite)
		for j, t := range risk.Treatments {
			c.treatment(fmt.Sprintf("%s.treatments[%d]", path, j), t, e)
		}
	}
	if !fraud {
		c.fail("risks", "at least one risk of category fraud is wanted")
	}
	return r, c.err()
}

func (c *checker) risk(path string, r *Risk, appetite int) {
	c.id(path+".id", r.ID)
	c.oneOf(path+".category", r.Category, riskCategories)
	c.review(path+".review", r.Reviewed, r.Review)
	c.score(path, r.Inherent())
	if s := r.Residual; s != nil {
		c.score(path+".residual", *s)
		if s.Value() > r.Inherent().Value() {
			c.fail(path+".residual", "a score of at most %d is wanted: treatment can't raise a risk", r.Inherent().Value())
		}
		treated := slices.ContainsFunc(r.Treatments, func(t Treatment) bool { return t.Control != "" })
		if s.Value() < r.Inherent().Value() && !treated {
			c.fail(path+".treatments", "a control is wanted that lowers the risk: a plan does not lower it yet")
		}
	}
	if a := r.Acceptance; a != nil {
		c.other(path+".acceptance.approver", a.Approver, r.Owner, "owner of the risk")
		if a.Until.Sub(r.Reviewed) > maxReview {
			c.fail(path+".acceptance.until", "a date within 366 days of the review is wanted")
		}
	} else if r.Remaining().Value() > appetite && len(r.Treatments) == 0 {
		c.fail(path+".treatments", "the risk is above appetite (%d of %d): a treatment or an acceptance is wanted", r.Remaining().Value(), appetite)
	}
}

func (c *checker) score(path string, s Score) {
	if s.Likelihood < 1 || s.Likelihood > 5 {
		c.fail(path+".likelihood", "1 to 5 is wanted")
	}
	if s.Impact < 1 || s.Impact > 5 {
		c.fail(path+".impact", "1 to 5 is wanted")
	}
}

func (c *checker) treatment(path string, t Treatment, e env) {
	switch {
	case (t.Control == "") == (t.Plan == ""):
		c.fail(path, "either a control or a plan is wanted")
	case t.Control != "" && !e.cat.Known(t.Control):
		c.fail(path+".control", "the id of a control in the catalogue is wanted, got %q", t.Control)
	case t.Plan != "" && (t.Owner == "" || t.Due.IsZero()):
		c.fail(path, "owner and due date of the plan are wanted")
	}
}

// Issues lists overdue reviews, late plans, expired acceptances, risks above
// appetite that nobody accepted, and treatments by controls that are not live.
func (r *Risks) Issues(at time.Time) []Issue {
	var list []Issue
	live := r.env.live()
	for _, risk := range r.file.Risks {
		add := func(format string, args ...any) {
			list = append(list, Issue{"risks", risk.ID, risk.Owner, fmt.Sprintf(format, args...)})
		}
		if past(risk.Review, at) {
			add("the review was due on %s", risk.Review.Format(time.DateOnly))
		}
		if risk.Reviewed.After(at) {
			add("the review of %s lies in the future", risk.Reviewed.Format(time.DateOnly))
		}
		a := risk.Acceptance
		switch v := risk.Remaining().Value(); {
		case v <= r.file.Appetite:
		case a == nil:
			add("the residual score %d is above the appetite of %d and nobody accepted it", v, r.file.Appetite)
		case past(a.Until, at):
			add("the acceptance ended on %s", a.Until.Format(time.DateOnly))
		}
		for _, t := range risk.Treatments {
			if t.Control != "" && !live(t.Control) {
				add("its treatment %s is mounted nowhere", t.Control)
			}
			if t.Plan != "" && past(t.Due, at) {
				add("the plan of %s was due on %s", t.Owner, t.Due.Format(time.DateOnly))
			}
		}
	}
	return list
}

// Controls lists controls.register.risk, whose probe fails on any issue.
func (r *Risks) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "controls.register.risk",
		Parameters: []controls.Parameter{controls.Int("appetite", r.file.Appetite), controls.Int("risks", len(r.file.Risks))},
		Probe: func(context.Context) controls.Result {
			return summary(r.Issues(r.env.now()), "%d risks, each reviewed, owned and within appetite or accepted", len(r.file.Risks))
		},
	}}
}
