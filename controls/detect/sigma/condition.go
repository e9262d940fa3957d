package sigma

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a condition.
const (
	maxTokens = 500
	maxDepth  = 50
)

// A check decides over the selections that hold.
type check func(holds func(name string) bool) bool

// parseCondition compiles a condition over the names of selections:
//
//	or    = and { "or" and }
//	and   = not { "and" not }
//	not   = "not" not | term
//	term  = "(" or ")" | ("1" | "any" | "all") "of" ("them" | name | pattern) | name
func parseCondition(text string, names []string) (check, error) {
	p := parser{tokens: tokens(text), names: names}
	if len(p.tokens) > maxTokens {
		return nil, fmt.Errorf("a condition of at most %d words is wanted", maxTokens)
	}
	c, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t != "" {
		return nil, p.unexpected(t)
	}
	return c, nil
}

// tokens splits at white space and parentheses.
func tokens(text string) []string {
	text = strings.NewReplacer("(", " ( ", ")", " ) ", "|", " | ").Replace(text)
	return strings.Fields(text)
}

type parser struct {
	tokens []string
	names  []string
}

func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// word takes a keyword if it comes next; keywords have no case.
func (p *parser) word(w string) bool {
	if !strings.EqualFold(p.peek(), w) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *parser) unexpected(t string) error {
	switch t {
	case "":
		return errors.New("the condition ends too early")
	case "|":
		return errors.New("aggregations behind | are no part of Sigma 2: write a correlation")
	}
	return fmt.Errorf("%q is not expected in the condition", clip(t))
}

func (p *parser) or(depth int) (check, error) { return p.chain("or", p.and, depth) }

func (p *parser) and(depth int) (check, error) { return p.chain("and", p.not, depth) }

// chain reads operands joined by one operator.
func (p *parser) chain(operator string, operand func(int) (check, error), depth int) (check, error) {
	first, err := operand(depth)
	if err != nil {
		return nil, err
	}
	list := []check{first}
	for p.word(operator) {
		c, err := operand(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 1 {
		return first, nil
	}
	any := operator == "or"
	return func(holds func(string) bool) bool {
		for _, c := range list {
			if c(holds) == any {
				return any
			}
		}
		return !any
	}, nil
}

func (p *parser) not(depth int) (check, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("at most %d levels are wanted in a condition", maxDepth)
	}
	if !p.word("not") {
		return p.term(depth)
	}
	c, err := p.not(depth + 1)
	if err != nil {
		return nil, err
	}
	return func(holds func(string) bool) bool { return !c(holds) }, nil
}

func (p *parser) term(depth int) (check, error) {
	t := p.peek()
	if t == "" || t == ")" || t == "|" {
		return nil, p.unexpected(t)
	}
	p.tokens = p.tokens[1:]
	if t == "(" {
		c, err := p.or(depth + 1)
		if err == nil && !p.word(")") {
			err = p.unexpected(p.peek())
		}
		return c, err
	}
	if p.word("of") {
		return p.of(t)
	}
	if !slices.Contains(p.names, t) {
		return nil, fmt.Errorf("the condition names %q, which is no selection", clip(t))
	}
	return func(holds func(string) bool) bool { return holds(t) }, nil
}

// of reads what follows "1 of", "any of" or "all of".
func (p *parser) of(quantity string) (check, error) {
	all := strings.EqualFold(quantity, "all")
	if !all && quantity != "1" && !strings.EqualFold(quantity, "any") {
		return nil, fmt.Errorf("1, any or all is wanted before of, got %q", clip(quantity))
	}
	t := p.peek()
	if t == "" || t == "(" || t == ")" {
		return nil, p.unexpected(t)
	}
	p.tokens = p.tokens[1:]
	selected := p.selected(t)
	if len(selected) == 0 {
		return nil, fmt.Errorf("%q in the condition stands for no selection", clip(t))
	}
	return func(holds func(string) bool) bool {
		hit := 0
		for _, name := range selected {
			if holds(name) {
				hit++
			}
		}
		return hit == len(selected) || !all && hit > 0
	}, nil
}

// selected lists the names that "them" or a pattern stands for. Names that
// begin with an underscore are for explicit use.
func (p *parser) selected(pattern string) (list []string) {
	them := strings.EqualFold(pattern, "them")
	match, err := (&modifiers{cased: true}).pattern(pattern)
	for _, name := range p.names {
		if them && !strings.HasPrefix(name, "_") || !them && err == nil && match(name) {
			list = append(list, name)
		}
	}
	return list
}
