package authz

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// compileGlob is globMatch: * and ? within a segment, ** for any number of
// segments, [a-z] and {a,b}.
func compileGlob(text string) (*pattern, error) {
	g := glob{text: text}
	if err := g.translate(0); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", clip(text), err)
	}
	re, err := regexp.Compile("^(?s:" + g.re.String() + ")$")
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", clip(text), err)
	}
	p := &pattern{kind: matchRegexp, text: text, re: re, shape: shape{tail: true}}
	if at := strings.IndexAny(text, `*?[{`); at >= 0 {
		list := literals(text[:at])
		p.shape = shapeOf(list[:len(list)-1], true)
	} else {
		p.shape = shapeOf(literals(text), false)
	}
	return p, nil
}

// A glob is being translated to a regular expression.
type glob struct {
	text string
	at   int
	re   strings.Builder
}

// translate reads until the end, or inside of braces until they end.
func (g *glob) translate(depth int) error {
	if depth > 4 {
		return errors.New("braces are nested deeper than 4")
	}
	for g.at < len(g.text) {
		c := g.text[g.at]
		switch {
		case c == '*':
			g.stars(depth)
			continue
		case c == '?':
			g.re.WriteString("[^/]")
		case c == '[':
			if err := g.class(); err != nil {
				return err
			}
			continue
		case c == '{':
			g.at++
			if err := g.braces(depth); err != nil {
				return err
			}
			continue
		case depth > 0 && (c == ',' || c == '}'):
			return nil
		case c == '\\' || c == ']' || c == '}':
			return fmt.Errorf("%q has no meaning here", c)
		default:
			g.re.WriteString(regexp.QuoteMeta(string(c)))
		}
		g.at++
	}
	if depth > 0 {
		return errors.New("a brace is not closed")
	}
	return nil
}

// stars reads * or **. Two stars that are a segment of their own stand for
// any number of segments.
func (g *glob) stars(depth int) {
	start := g.at
	for g.at < len(g.text) && g.text[g.at] == '*' {
		g.at++
	}
	whole := depth == 0 && g.at-start == 2 && (start == 0 || g.text[start-1] == '/')
	switch {
	case whole && g.at == len(g.text) && start == 0:
		g.re.WriteString(".*")
	case whole && g.at == len(g.text):
		// The slash before is written already: make it and all behind it optional.
		g.dropSlash()
		g.re.WriteString("(?:/.*)?")
	case whole && g.text[g.at] == '/':
		g.re.WriteString("(?:.*/)?")
		g.at++
	default:
		g.re.WriteString("[^/]*")
	}
}

func (g *glob) dropSlash() {
	s := g.re.String()
	g.re.Reset()
	g.re.WriteString(strings.TrimSuffix(s, "/"))
}

func (g *glob) class() error {
	end := strings.IndexByte(g.text[g.at:], ']')
	if end < 0 {
		return errors.New("a bracket is not closed")
	}
	body := g.text[g.at+1 : g.at+end]
	g.at += end + 1
	negated := strings.HasPrefix(body, "^") || strings.HasPrefix(body, "!")
	if negated {
		body = body[1:]
	}
	if body == "" || strings.ContainsAny(body, `[]\^&~/`) {
		return errors.New("the class in brackets is not understood")
	}
	if negated {
		g.re.WriteString("[^/" + body + "]")
	} else {
		g.re.WriteString("[" + body + "]")
	}
	return nil
}

func (g *glob) braces(depth int) error {
	g.re.WriteString("(?:")
	for {
		if err := g.translate(depth + 1); err != nil {
			return err
		}
		g.at++
		if g.text[g.at-1] == '}' {
			g.re.WriteString(")")
			return nil
		}
		g.re.WriteString("|")
	}
}
