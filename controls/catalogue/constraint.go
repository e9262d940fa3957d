package catalogue

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// A Constraint bounds one parameter of a control.
type Constraint struct {
	Name string `yaml:"name,required" json:"name"`
	Unit string `yaml:"unit" json:"unit,omitempty"` // as the control states it: "s", "B", "1/s" or empty
	// Min and Max are inclusive; nil is no bound.
	Min *float64 `yaml:"min" json:"min,omitempty"`
	Max *float64 `yaml:"max" json:"max,omitempty"`
	// OneOf lists the words allowed.
	OneOf []string `yaml:"one_of" json:"one_of,omitempty"`
	// Optional says that a control may leave the parameter out.
	Optional bool `yaml:"optional" json:"optional,omitempty"`
}

func (c Constraint) numeric() bool { return c.Min != nil || c.Max != nil }

func (c Constraint) validate() error {
	switch {
	case c.numeric() && len(c.OneOf) > 0:
		return errors.New("either min and max or one_of is wanted, not both")
	case c.Min != nil && c.Max != nil && *c.Min > *c.Max:
		return fmt.Errorf("min %s is above max %s: no value would do", number(c.Min), number(c.Max))
	}
	return nil
}

// narrow returns the constraint with the tighter bounds of t.
func (c Constraint) narrow(t Constraint) (Constraint, error) {
	switch {
	case t.Unit != c.Unit:
		return c, fmt.Errorf("the unit %q is wanted, got %q", c.Unit, strictyaml.Clip(t.Unit))
	case t.Min != nil && c.Min != nil && *t.Min < *c.Min:
		return c, fmt.Errorf("min of at least %s is wanted: an overlay may tighten bounds, not loosen them", number(c.Min))
	case t.Max != nil && c.Max != nil && *t.Max > *c.Max:
		return c, fmt.Errorf("max of at most %s is wanted: an overlay may tighten bounds, not loosen them", number(c.Max))
	case t.Optional && !c.Optional:
		return c, errors.New("the parameter is required and can't be made optional")
	}
	for _, w := range t.OneOf {
		if len(c.OneOf) > 0 && !slices.Contains(c.OneOf, w) {
			return c, fmt.Errorf("only words of %s are wanted: an overlay may tighten bounds, not loosen them", strings.Join(c.OneOf, ", "))
		}
	}
	if t.Min != nil {
		c.Min = t.Min
	}
	if t.Max != nil {
		c.Max = t.Max
	}
	if len(t.OneOf) > 0 {
		c.OneOf = t.OneOf
	}
	return c, c.validate()
}

// Check says what is wrong with a stated value, or nil. A value that can't be
// read as a number is out of every numeric bound.
func (c Constraint) Check(p controls.Parameter) error {
	if p.Unit != c.Unit {
		return fmt.Errorf("unit %q, want %q", strictyaml.Clip(p.Unit), c.Unit)
	}
	if len(c.OneOf) > 0 && !slices.Contains(c.OneOf, p.Value) {
		return fmt.Errorf("%q, want one of %s", strictyaml.Clip(p.Value), strings.Join(c.OneOf, ", "))
	}
	if !c.numeric() {
		return nil
	}
	v, err := strconv.ParseFloat(p.Value, 64)
	switch {
	case err != nil || math.IsNaN(v):
		return fmt.Errorf("%q is no number", strictyaml.Clip(p.Value))
	case c.Min != nil && v < *c.Min:
		return fmt.Errorf("%s, want at least %s", p.Value+p.Unit, number(c.Min)+c.Unit)
	case c.Max != nil && v > *c.Max:
		return fmt.Errorf("%s, want at most %s", p.Value+p.Unit, number(c.Max)+c.Unit)
	}
	return nil
}

func number(f *float64) string { return strconv.FormatFloat(*f, 'g', -1, 64) }

// A Period is a length of time, written like "15m", "24h" or "7d".
type Period time.Duration

// maxPeriod is the longest time between two tests that an annual examination
// can use.
const maxPeriod = 366 * 24 * time.Hour

// Duration returns the period.
func (p Period) Duration() time.Duration { return time.Duration(p) }

// String writes the period in its largest whole unit.
func (p Period) String() string {
	d := time.Duration(p)
	switch {
	case d == 0:
		return "0"
	case d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return d.String()
}

// MarshalText writes the period as [Period.String].
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads "90s", "15m", "24h" or "7d": more than zero and at most
// 366 days.
func (p *Period) UnmarshalText(b []byte) error {
	s := string(b)
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		if n > 366 {
			n = 367
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		d, err = time.ParseDuration(s)
	}
	if err != nil || d <= 0 || d > maxPeriod {
		return fmt.Errorf("a period such as 15m, 24h or 7d is wanted, at most 366d, got %q", strictyaml.Clip(s))
	}
	*p = Period(d)
	return nil
}
