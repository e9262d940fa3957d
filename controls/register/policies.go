package register

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
)

// An Acknowledgement says that someone has read a version of a policy.
type Acknowledgement struct {
	By      string    `yaml:"by,required" json:"by"` // a role or an account id
	Version string    `yaml:"version,required" json:"version"`
	On      time.Time `yaml:"on,required" json:"on"`
}

// A Policy is one entry of the policy register.
type Policy struct {
	ID               string            `yaml:"id,required" json:"id"`
	Title            string            `yaml:"title,required" json:"title"`
	Version          string            `yaml:"version,required" json:"version"`
	Owner            string            `yaml:"owner,required" json:"owner"`
	ApprovedBy       string            `yaml:"approved_by,required" json:"approved_by"`
	Effective        time.Time         `yaml:"effective,required" json:"effective"`
	Review           time.Time         `yaml:"review,required" json:"review"`
	Text             string            `yaml:"text,required" json:"text"`     // path beside the register
	SHA256           string            `yaml:"sha256,required" json:"sha256"` // of the approved text, 64 hex digits
	Controls         []string          `yaml:"controls,required" json:"controls"`
	Audience         []string          `yaml:"audience" json:"audience,omitempty"` // who must acknowledge
	Acknowledgements []Acknowledgement `yaml:"acknowledgements" json:"acknowledgements,omitempty"`
}

// Demands reports whether the policy demands a control: it lists its ID, or a
// pattern such as "authn.*".
func (p *Policy) Demands(control string) bool {
	return slices.ContainsFunc(p.Controls, func(pattern string) bool {
		prefix, wild := strings.CutSuffix(pattern, "*")
		return pattern == control || wild && strings.HasPrefix(control, prefix)
	})
}

// Policies is the policy register. It never changes after it is loaded; the
// policies' texts are read again by every check.
type Policies struct {
	file policyFile
	env  env
}

type policyFile struct {
	Policies []Policy `yaml:"policies,required" json:"policies"`
}

// All returns the policies in the order of the file.
func (p *Policies) All() []Policy { return slices.Clone(p.file.Policies) }

// MarshalJSON writes the register as it stands in evidence.
func (p *Policies) MarshalJSON() ([]byte, error) { return json.Marshal(p.file) }

// graceToRead is how long the audience has after a policy becomes effective.
const graceToRead = 30 * 24 * time.Hour

var (
	hashForm    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	patternForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*\.\*$`)
)

func (e env) policies(name string) (*Policies, error) {
	p := &Policies{env: e}
	c, err := e.open(name, &p.file)
	if err != nil {
		return nil, err
	}
	for i := range p.file.Policies {
		policy, path := &p.file.Policies[i], fmt.Sprintf("policies[%d]", i)
		c.policy(path, policy)
		for j, id := range policy.Controls {
			if !e.cat.Known(id) && !patternForm.MatchString(id) {
				c.fail(fmt.Sprintf("%s.controls[%d]", path, j), "the id of a control in the catalogue, or a pattern such as authn.*, is wanted, got %q", id)
			}
		}
		if _, err := fs.Stat(e.fsys, policy.Text); err != nil {
			c.fail(path+".text", "the path of a file beside the register is wanted, got %q", policy.Text)
		}
	}
	return p, c.err()
}

func (c *checker) policy(path string, p *Policy) {
	c.id(path+".id", p.ID)
	c.other(path+".approved_by", p.ApprovedBy, p.Owner, "owner of the policy")
	c.review(path+".review", p.Effective, p.Review)
	if !hashForm.MatchString(p.SHA256) {
		c.fail(path+".sha256", "64 lower-case hex digits are wanted")
	}
	for i, a := range p.Acknowledgements {
		for _, b := range p.Acknowledgements[:i] {
			if a.By == b.By && a.Version == b.Version {
				c.fail(fmt.Sprintf("%s.acknowledgements[%d]", path, i), "the acknowledgement is repeated")
			}
		}
	}
}

// maxText bounds a policy's text in bytes.
const maxText = 8 << 20

// Issues lists overdue reviews, texts that are not the approved ones, missing
// acknowledgements and live controls that no policy demands.
func (p *Policies) Issues(at time.Time) []Issue {
	var list []Issue
	for i := range p.file.Policies {
		policy := &p.file.Policies[i]
		add := func(format string, args ...any) {
			list = append(list, Issue{"policies", policy.ID, policy.Owner, fmt.Sprintf(format, args...)})
		}
		if past(policy.Review, at) {
			add("the review was due on %s", policy.Review.Format(time.DateOnly))
		}
		if text, err := readFile(p.env.fsys, policy.Text, maxText); err != nil {
			add("the text %s can't be read", policy.Text)
		} else if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != policy.SHA256 {
			add("the text %s is not the one that was approved", policy.Text)
		}
		if at.Sub(policy.Effective) > graceToRead {
			for _, who := range policy.Audience {
				if !policy.readBy(who, at) {
					add("%s has not acknowledged version %s", who, policy.Version)
				}
			}
		}
	}
	return append(list, p.orphans()...)
}

func (p *Policy) readBy(who string, at time.Time) bool {
	return slices.ContainsFunc(p.Acknowledgements, func(a Acknowledgement) bool {
		return a.By == who && a.Version == p.Version && !a.On.After(at)
	})
}

// orphans lists live controls that no policy demands.
func (p *Policies) orphans() []Issue {
	var list []Issue
	live := p.env.live()
	for _, c := range p.env.cat.Controls() {
		demanded := slices.ContainsFunc(p.file.Policies, func(policy Policy) bool {
			return policy.ID == c.Policy || policy.Demands(c.ID)
		})
		if live(c.ID) && !demanded {
			list = append(list, Issue{"policies", "", c.Owner, "no policy demands the control " + c.ID})
		}
	}
	return list
}

// Controls lists controls.register.policy, whose probe fails on any issue.
func (p *Policies) Controls() []controls.Control {
	return []controls.Control{{
		ID:         "controls.register.policy",
		Parameters: []controls.Parameter{controls.Int("policies", len(p.file.Policies))},
		Probe: func(context.Context) controls.Result {
			return summary(p.Issues(p.env.now()), "%d policies, each approved, current and acknowledged; every control is demanded by one", len(p.file.Policies))
		},
	}}
}
