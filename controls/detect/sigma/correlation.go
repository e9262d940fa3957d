package sigma

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// Limits of one correlation.
const (
	maxCount = 1000
	maxSpan  = 7 * 24 * time.Hour
	maxRules = 16
)

// A correlation counts or orders matches of other rules.
type correlation struct {
	kind     string // event_count, value_count, temporal, temporal_ordered
	rules    []string
	groupBy  []string
	span     time.Duration
	count    int
	field    string                       // of value_count
	aliases  map[string]map[string]string // name → rule → field
	generate bool

	groups    map[string]*group
	forgotten int64
}

// A group is what a correlation remembers of one value of its group-by.
type group struct {
	last   time.Time
	quiet  time.Time
	times  []time.Time          // event_count: the latest, at most count
	values map[string]time.Time // value_count: when each was seen last
	starts []time.Time          // temporal: when each rule matched; ordered: when the chain up to it began
}

// size is how close a group is to firing.
func (g *group) size(at time.Time, span time.Duration) (n int) {
	for _, t := range g.times {
		if at.Sub(t) <= span {
			n++
		}
	}
	for _, t := range g.values {
		if at.Sub(t) <= span {
			n++
		}
	}
	for _, t := range g.starts {
		if !t.IsZero() && at.Sub(t) <= span {
			n++
		}
	}
	return n
}

func parseCorrelation(d *strictyaml.Document, n *yaml.Node) (*correlation, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("a mapping is wanted")
	}
	c := &correlation{groups: map[string]*group{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := c.key(n.Content[i].Value, n.Content[i+1]); err != nil {
			return nil, at(d, n.Content[i+1], "correlation."+n.Content[i].Value, err)
		}
	}
	return c, c.validate()
}

func (c *correlation) validate() error {
	counts := c.kind == "event_count" || c.kind == "value_count"
	switch {
	case c.kind == "":
		return errors.New("type: the field is required")
	case len(c.rules) == 0 || len(c.rules) > maxRules:
		return fmt.Errorf("rules: 1 to %d are wanted", maxRules)
	case !counts && len(c.rules) < 2:
		return errors.New("rules: at least 2 are wanted for a temporal correlation")
	case c.span == 0:
		return errors.New("timespan: the field is required")
	case counts && c.count == 0:
		return errors.New("condition: the field is required for a count")
	case !counts && c.count != 0:
		return errors.New("condition: it is not supported for a temporal correlation")
	case (c.field != "") != (c.kind == "value_count"):
		return errors.New("condition.field: it is required for value_count, and only there")
	}
	return nil
}

func (c *correlation) key(key string, n *yaml.Node) (err error) {
	switch key {
	case "type":
		c.kind = n.Value
		if !slices.Contains([]string{"event_count", "value_count", "temporal", "temporal_ordered"}, c.kind) {
			return fmt.Errorf("the type %q is not supported", clip(n.Value))
		}
	case "rules":
		c.rules, err = texts(n)
	case "group-by":
		c.groupBy, err = texts(n)
	case "timespan":
		c.span, err = timespan(n.Value)
	case "condition":
		err = c.condition(n)
	case "aliases":
		err = c.parseAliases(n)
	case "generate":
		if n.Tag != "!!bool" {
			return errors.New("true or false is wanted")
		}
		c.generate = n.Value == "true"
	default:
		return errors.New("the key is not one of Sigma's correlations")
	}
	return err
}

func timespan(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if s == "" {
		return 0, errors.New("a timespan such as 5m is wanted")
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	unit := units[s[len(s)-1]]
	if err != nil || unit == 0 || n < 1 || n > int(maxSpan/time.Second) || time.Duration(n)*unit > maxSpan {
		return 0, fmt.Errorf("a timespan such as 90s, 5m, 1h or 7d is wanted, at most 7d, got %q", clip(s))
	}
	return time.Duration(n) * unit, nil
}

func (c *correlation) condition(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errors.New("a mapping such as {gte: 10} is wanted")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch key {
		case "field":
			c.field = value.Value
		case "gte", "gt":
			count, err := strconv.Atoi(value.Value)
			if key == "gt" {
				count++
			}
			if err != nil || count < 1 || count > maxCount || c.count != 0 {
				return fmt.Errorf("one count of 1 to %d is wanted", maxCount)
			}
			c.count = count
		case "eq", "lt", "lte", "neq":
			return fmt.Errorf("%s would have to be asked when nothing happens and is not supported", key)
		default:
			return fmt.Errorf("gte, gt or field is wanted, got %q", clip(key))
		}
	}
	return nil
}

func (c *correlation) parseAliases(n *yaml.Node) error {
	c.aliases = map[string]map[string]string{}
	bad := errors.New("a mapping of names to a field for each rule is wanted")
	if n.Kind != yaml.MappingNode {
		return bad
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		fields := map[string]string{}
		inner := n.Content[i+1]
		if inner.Kind != yaml.MappingNode {
			return bad
		}
		for j := 0; j+1 < len(inner.Content); j += 2 {
			fields[inner.Content[j].Value] = inner.Content[j+1].Value
		}
		c.aliases[n.Content[i].Value] = fields
	}
	return nil
}

// see counts a match of one of its rules and reports whether that completes
// the pattern. key is how the correlation names the rule.
func (c *correlation) see(key string, e *event, at time.Time, limit int) (fields map[string]string, first time.Time, fired bool) {
	fields, id, ok := c.group(key, e)
	if !ok {
		return nil, at, false
	}
	g := c.groups[id]
	if g == nil {
		c.makeRoom(at, limit)
		g = &group{}
		c.groups[id] = g
	}
	g.last = at
	switch c.kind {
	case "event_count":
		first, fired = c.events(g, at)
	case "value_count":
		first, fired = c.distinct(g, e.get(c.resolve(c.field, key)), at)
	default:
		first, fired = c.temporal(g, key, at)
	}
	if !fired || at.Before(g.quiet) {
		return nil, at, false
	}
	g.quiet = at.Add(c.span)
	return fields, first, true
}

func (c *correlation) resolve(name, rule string) string {
	if field, ok := c.aliases[name][rule]; ok {
		return field
	}
	return name
}

// group reads the values of group-by; an event that lacks one has no group.
func (c *correlation) group(rule string, e *event) (fields map[string]string, id string, ok bool) {
	fields = map[string]string{}
	var b strings.Builder
	for _, name := range c.groupBy {
		values := e.get(c.resolve(name, rule))
		if len(values) == 0 || values[0] == "" {
			return nil, "", false
		}
		fields[name] = values[0]
		fmt.Fprintf(&b, "%d:%s", len(values[0]), values[0])
	}
	return fields, b.String(), true
}

func (c *correlation) events(g *group, at time.Time) (time.Time, bool) {
	g.times = append(g.times, at)
	if extra := len(g.times) - c.count; extra > 0 {
		g.times = slices.Delete(g.times, 0, extra)
	}
	return g.times[0], len(g.times) == c.count && at.Sub(g.times[0]) <= c.span
}

func (c *correlation) distinct(g *group, values []string, at time.Time) (time.Time, bool) {
	if g.values == nil {
		g.values = map[string]time.Time{}
	}
	for _, v := range values {
		if _, seen := g.values[v]; !seen && len(g.values) >= c.count {
			c.expire(g, at)
			if len(g.values) >= c.count {
				continue // there are enough values already
			}
		}
		g.values[v] = at
	}
	c.expire(g, at)
	first := at
	for _, t := range g.values {
		if t.Before(first) {
			first = t
		}
	}
	return first, len(g.values) >= c.count
}

func (c *correlation) expire(g *group, at time.Time) {
	for v, t := range g.values {
		if at.Sub(t) > c.span {
			delete(g.values, v)
		}
	}
}

func (c *correlation) temporal(g *group, rule string, at time.Time) (time.Time, bool) {
	if g.starts == nil {
		g.starts = make([]time.Time, len(c.rules))
	}
	ordered := c.kind == "temporal_ordered"
	// From the last rule to the first, so that one event does not serve as two
	// steps of a chain.
	for i := len(c.rules) - 1; i >= 0; i-- {
		switch {
		case c.rules[i] != rule:
		case !ordered || i == 0:
			g.starts[i] = at
		case !g.starts[i-1].IsZero() && at.Sub(g.starts[i-1]) <= c.span:
			g.starts[i] = g.starts[i-1]
			if i == len(c.rules)-1 {
				return g.starts[i], true
			}
		}
	}
	if ordered {
		return at, false
	}
	first := at
	for _, t := range g.starts {
		if t.IsZero() || at.Sub(t) > c.span {
			return at, false
		}
		if t.Before(first) {
			first = t
		}
	}
	return first, true
}

// makeRoom forgets the least of a few groups when there are too many.
func (c *correlation) makeRoom(at time.Time, limit int) {
	if len(c.groups) < limit {
		return
	}
	const sample = 16
	var victim string
	fewest, seen := 0, 0
	for id, g := range c.groups {
		n := g.size(at, c.span)
		if at.Before(g.quiet) {
			n += maxCount
		}
		if seen == 0 || n < fewest || n == fewest && g.last.Before(c.groups[victim].last) {
			victim, fewest = id, n
		}
		if seen++; seen == sample || n == 0 {
			break
		}
	}
	delete(c.groups, victim)
	if fewest > 0 {
		c.forgotten++
	}
}
