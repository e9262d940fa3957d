package sigma

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/internal/strictyaml"
)

// A Rule is what is known of a rule besides how it detects.
type Rule struct {
	Title   string
	ID      string
	Name    string
	Level   string // informational, low, medium, high, critical
	Control string // from the tag surety.CONTROL, or controls.detect
	Action  string // from the tag surety-action.NAME, or empty

	detects     check
	selections  map[string]func(*event) bool
	correlation *correlation
}

// Key names the rule: its name, else its id, else its title.
func (r *Rule) Key() string {
	for _, s := range []string{r.Name, r.ID, r.Title} {
		if s != "" {
			return s
		}
	}
	return ""
}

// An event is what selections look at.
type event struct {
	*auditlog.Event
	alias map[string]string // names of a rule set → our names
}

// get returns a field's values.
func (e *event) get(name string) []string {
	if ours, ok := e.alias[name]; ok {
		name = ours
	}
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	switch name {
	case "action":
		return one(e.Action)
	case "outcome":
		return one(e.Outcome.String())
	case "reason":
		return one(e.Reason)
	case "tenant":
		return one(e.Tenant)
	case "actor.id":
		return one(e.Actor.ID)
	case "actor.kind":
		return one(e.Actor.Kind.String())
	case "actor.tenant":
		return one(e.Actor.Tenant)
	case "actor.for":
		return one(e.Actor.For)
	}
	return e.listed(name)
}

func (e *event) listed(name string) (values []string) {
	if kind, ok := strings.CutPrefix(name, "target."); ok {
		for _, t := range e.Targets {
			if t.Type == kind {
				values = append(values, t.ID)
			}
		}
	}
	if key, ok := strings.CutPrefix(name, "attr."); ok {
		for _, a := range e.Attrs {
			if _, _, sealed := a.Sealed(); a.Key == key && !sealed && !a.IsPersonal() {
				values = append(values, a.Text())
			}
		}
	}
	return values
}

// all returns the values of every field, for keywords.
func (e *event) all() []string {
	values := []string{e.Action, e.Outcome.String(), e.Reason, e.Tenant, e.Actor.ID}
	for _, t := range e.Targets {
		values = append(values, t.ID)
	}
	for _, a := range e.Attrs {
		values = append(values, a.Text())
	}
	return values
}

func (r *Rule) matches(e *event) bool {
	return r.detects(func(name string) bool { return r.selections[name](e) })
}

// informative are the keys of the specification that say nothing to an
// evaluator.
var informative = []string{
	"related", "taxonomy", "status", "description", "license", "author", "references", "date", "modified", "logsource",
	"fields", "falsepositives", "scope",
}

var levels = []string{"informational", "low", "medium", "high", "critical"}

// parseRule reads one document.
func parseRule(d *strictyaml.Document) (*Rule, error) {
	root := d.Root()
	if root.Kind != yaml.MappingNode {
		return nil, d.At(root, "", "a rule is a mapping")
	}
	r := &Rule{Level: "medium", Control: "controls.detect"}
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if err := r.field(d, key.Value, value); err != nil {
			errs = append(errs, at(d, value, key.Value, err))
		}
	}
	switch {
	case r.Title == "":
		errs = append(errs, d.At(root, "title", "the field is required"))
	case (r.detects == nil) == (r.correlation == nil) && len(errs) == 0:
		errs = append(errs, d.At(root, "detection", "either detection or correlation is wanted"))
	}
	return r, errors.Join(errs...)
}

// at gives an error its place, unless it has one.
func at(d *strictyaml.Document, n *yaml.Node, field string, err error) error {
	var placed *strictyaml.Error
	if errors.As(err, &placed) {
		return err
	}
	return d.At(n, field, "%v", err)
}

func (r *Rule) field(d *strictyaml.Document, key string, value *yaml.Node) (err error) {
	switch key {
	case "title":
		r.Title, err = scalar(value)
	case "id":
		r.ID, err = scalar(value)
	case "name":
		r.Name, err = scalar(value)
	case "level":
		if r.Level, err = scalar(value); err == nil && !slices.Contains(levels, r.Level) {
			err = fmt.Errorf("one of %s is wanted", strings.Join(levels, ", "))
		}
	case "tags":
		err = r.tags(value)
	case "detection":
		err = r.detection(d, value)
	case "correlation":
		r.correlation, err = parseCorrelation(d, value)
	default:
		if !slices.Contains(informative, key) {
			err = errors.New("the key is not one of Sigma's")
		}
	}
	return err
}

func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" || len(n.Value) > 500 {
		return "", errors.New("text of 1 to 500 bytes is wanted")
	}
	return n.Value, nil
}

func (r *Rule) tags(n *yaml.Node) error {
	list, err := texts(n)
	for _, tag := range list {
		if control, ok := strings.CutPrefix(tag, "surety."); ok {
			r.Control = control
		}
		if action, ok := strings.CutPrefix(tag, "surety-action."); ok {
			r.Action = action
		}
	}
	return err
}

func texts(n *yaml.Node) (list []string, err error) {
	if n.Kind != yaml.SequenceNode {
		return nil, errors.New("a list of texts is wanted")
	}
	for _, c := range n.Content {
		s, err := scalar(c)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func (r *Rule) detection(d *strictyaml.Document, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errors.New("a mapping of selections is wanted")
	}
	r.selections = map[string]func(*event) bool{}
	var names []string
	var condition *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, n.Content[i+1]
		switch name {
		case "condition":
			condition = value
			continue
		case "timeframe":
			return d.At(value, "detection.timeframe", "it is no part of Sigma 2: write a correlation")
		}
		s, err := parseSelection(value)
		if err != nil {
			return at(d, value, "detection."+name, err)
		}
		r.selections[name] = s
		names = append(names, name)
	}
	if condition == nil {
		return d.At(n, "detection.condition", "the field is required")
	}
	c, err := conditions(condition, names)
	if err != nil {
		return at(d, condition, "detection.condition", err)
	}
	r.detects = c
	return nil
}

// conditions reads a condition or a list of them, of which one must hold.
func conditions(n *yaml.Node, names []string) (check, error) {
	list := []string{n.Value}
	if n.Kind != yaml.ScalarNode {
		var err error
		if list, err = texts(n); err != nil || len(list) == 0 {
			return nil, errors.New("a condition or a list of conditions is wanted")
		}
	}
	var checks []check
	for _, text := range list {
		c, err := parseCondition(text, names)
		if err != nil {
			return nil, err
		}
		checks = append(checks, c)
	}
	return func(holds func(string) bool) bool {
		return slices.ContainsFunc(checks, func(c check) bool { return c(holds) })
	}, nil
}

// parseSelection reads a map, a list of maps or a list of keywords.
func parseSelection(n *yaml.Node) (func(*event) bool, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return parseMap(n)
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			return nil, errors.New("the selection is empty")
		}
		if n.Content[0].Kind == yaml.ScalarNode {
			return parseKeywords(n, false)
		}
		var list []func(*event) bool
		for _, c := range n.Content {
			s, err := parseMap(c)
			if err != nil {
				return nil, err
			}
			list = append(list, s)
		}
		return func(e *event) bool { return slices.ContainsFunc(list, func(s func(*event) bool) bool { return s(e) }) }, nil
	case yaml.ScalarNode:
		return parseKeywords(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}, false)
	}
	return nil, errors.New("a mapping, a list of mappings or a list of keywords is wanted")
}

func parseMap(n *yaml.Node) (func(*event) bool, error) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return nil, errors.New("a mapping of fields to values is wanted")
	}
	if n.Content[0].Value == "|all" && len(n.Content) == 2 {
		return parseKeywords(n.Content[1], true)
	}
	var fields []*fieldTest
	for i := 0; i+1 < len(n.Content); i += 2 {
		f, err := parseField(n.Content[i].Value, n.Content[i+1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", clip(n.Content[i].Value), err)
		}
		if f.field == "" {
			return nil, errors.New("a field's name is wanted before the modifiers")
		}
		fields = append(fields, f)
	}
	return func(e *event) bool {
		return !slices.ContainsFunc(fields, func(f *fieldTest) bool { return !f.holds(e) })
	}, nil
}

// parseKeywords reads texts of which one, or all, must occur in any field.
func parseKeywords(n *yaml.Node, all bool) (func(*event) bool, error) {
	f := &fieldTest{all: all}
	m := &modifiers{position: "contains"}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, errors.New("a list of keywords is wanted")
	}
	for _, c := range n.Content {
		if c.Kind != yaml.ScalarNode || c.Tag == "!!null" || c.Value == "" {
			return nil, errors.New("a keyword is text")
		}
		t, err := m.test(c.Value)
		if err != nil {
			return nil, err
		}
		f.tests = append(f.tests, t)
	}
	return func(e *event) bool { return f.match(e.all()) }, nil
}
