package authz

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// A builtin is a function of casbin's that compares text with a pattern, or
// takes a part out of it.
type builtin struct {
	name  string
	named bool // has a third argument
	// compile reads a pattern. Loose is for rules that deny and for matches
	// that are negated: there a pattern means all that casbin takes it for,
	// so that nothing slips through that was meant to be denied.
	compile func(text string, loose bool) (*pattern, error)
	get     func(p *pattern, s, name string) string // or nil
}

var builtins = func() map[string]*builtin {
	m := map[string]*builtin{}
	for _, b := range []*builtin{
		{name: "keyMatch", compile: compilePrefix},
		{name: "keyMatch2", compile: pathCompiler(2)},
		{name: "keyMatch3", compile: pathCompiler(3)},
		{name: "keyMatch4", compile: pathCompiler(4)},
		{name: "keyMatch5", compile: pathCompiler(5)},
		{name: "regexMatch", compile: compileRegexp},
		{name: "globMatch", compile: func(text string, _ bool) (*pattern, error) { return compileGlob(text) }},
		{name: "ipMatch", compile: func(text string, _ bool) (*pattern, error) { return compileNetwork(text) }},
		{name: "keyGet", compile: compilePrefix, get: getPrefix},
		{name: "keyGet2", named: true, compile: pathCompiler(12), get: getNamed},
		{name: "keyGet3", named: true, compile: pathCompiler(13), get: getNamed},
	} {
		m[b.name] = b
	}
	return m
}()

// matchFunction is a function by which names of roles or domains are patterns.
func matchFunction(name string) (*builtin, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // none is none
	}
	b := builtins[name]
	if b == nil || b.get != nil {
		return nil, fmt.Errorf("function %q: want one of keyMatch to keyMatch5, regexMatch, globMatch, ipMatch", clip(name))
	}
	return b, nil
}

// patternKind is how a pattern matches.
type patternKind uint8

const (
	matchExact patternKind = iota
	matchPrefix
	matchSegments
	matchRegexp
	matchNetwork
	matchExpr // of eval
)

// A pattern is one that a rule or a matcher names, compiled.
type pattern struct {
	kind     patternKind
	strip    bool // what follows a ? does not count
	text     string
	segments []segment
	tail     bool // anything may follow, after a slash
	re       *regexp.Regexp
	names    []string // of the groups of re
	same     bool     // groups of one name are equal
	network  netip.Prefix
	expr     *node
	shape    shape
}

// A segment of a path is a literal, or something between a prefix and a
// suffix.
type segment struct {
	text, suffix string
	param        bool
}

func (g *segment) matches(s string) bool {
	if !g.param {
		return s == g.text
	}
	return len(s) > len(g.text)+len(g.suffix) && strings.HasPrefix(s, g.text) && strings.HasSuffix(s, g.suffix)
}

// A shape says by which segments of a path a pattern is found: those of the
// first length segments whose bit is set.
type shape struct {
	literals uint32
	length   uint8
	tail     bool // more segments may follow
}

// maxSegments is how many segments a shape has.
const maxSegments = 12

// fits reports whether a path of so many segments can have the shape.
func (h shape) fits(segments int) bool {
	return segments == int(h.length) || h.tail && segments > int(h.length)
}

func shapeOf(list []segment, tail bool) shape {
	if len(list) > maxSegments {
		list, tail = list[:maxSegments], true
	}
	h := shape{length: uint8(len(list)), tail: tail}
	for i := range list {
		if !list[i].param {
			h.literals |= 1 << i
		}
	}
	return h
}

func literals(path string) []segment {
	var list []segment
	for part := range strings.SplitSeq(path, "/") {
		list = append(list, segment{text: part})
	}
	return list
}

// compilePrefix is keyMatch: a * at the end stands for anything.
func compilePrefix(text string, _ bool) (*pattern, error) {
	prefix, rest, star := strings.Cut(text, "*")
	switch {
	case rest != "":
		return nil, errors.New("what stands after the * would not count: use keyMatch2 or globMatch")
	case !star:
		return &pattern{kind: matchExact, text: text, shape: shapeOf(literals(text), false)}, nil
	}
	list := literals(prefix)
	return &pattern{kind: matchPrefix, text: prefix, shape: shapeOf(list[:len(list)-1], true)}, nil
}

// compileRegexp is regexMatch. An expression that allows must match all of
// the text; casbin looks for it anywhere.
func compileRegexp(text string, loose bool) (*pattern, error) {
	p := &pattern{kind: matchRegexp, shape: shape{tail: true}}
	if _, err := regexp.Compile(text); err != nil {
		return nil, fmt.Errorf("expression %q: %w", clip(text), err) // on its own: ")(" is none
	}
	if !loose {
		text = "^(?:" + text + ")$"
	}
	var err error
	p.re, err = regexp.Compile(text)
	return p, err
}

func compileNetwork(text string) (*pattern, error) {
	p := &pattern{kind: matchNetwork, shape: shape{tail: true}}
	if strings.Contains(text, "/") {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("network %q is not understood", clip(text))
		}
		p.network = n.Masked()
		return p, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return nil, fmt.Errorf("address %q is not understood", clip(text))
	}
	p.network, err = a.Unmap().Prefix(a.Unmap().BitLen())
	return p, err
}

// meaning are the characters that a path would pass on to the regular
// expression that casbin makes of it. Nobody means that.
const meaning = `()[]|+?^$\{}`

// pathCompiler compiles keyMatch2 (":name") and keyMatch3 to 5 ("{name}"), and
// the same for keyGet2 and keyGet3, as 12 and 13.
func pathCompiler(variant int) func(string, bool) (*pattern, error) {
	return func(text string, loose bool) (*pattern, error) {
		loose = loose && strings.Contains(text, ".") // else both mean the same
		p := &pattern{kind: matchSegments, strip: variant == 5, same: variant == 4}
		path, tail := strings.CutSuffix(text, "/*")
		open := false // the pattern is more than segments: a * is not at its end
		for part := range strings.SplitSeq(path, "/") {
			g, name, err := parseSegment(part, variant)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", clip(text), err)
			}
			if g.param {
				p.names = append(p.names, name)
			}
			open = open || strings.HasPrefix(part, "*")
			p.segments = append(p.segments, g)
		}
		if strings.HasPrefix(text, "*") {
			return nil, fmt.Errorf("pattern %q: a * stands after a slash", clip(text))
		}
		p.tail, p.shape = tail, shapeOf(p.segments, tail)
		repeated := p.same && len(slices.Compact(slices.Sorted(slices.Values(p.names)))) < len(p.names)
		if !open && !loose && !repeated && variant < 10 {
			return p, nil
		}
		p.kind = matchRegexp
		p.limitShape(loose)
		var err error
		p.re, err = regexp.Compile(p.expression(loose, variant == 13))
		return p, err
	}
}

// limitShape ends the shape before the first segment that may stand for more
// or fewer than one.
func (p *pattern) limitShape(loose bool) {
	for i, g := range p.segments {
		if strings.HasPrefix(g.text, "*") || loose && strings.Contains(g.text+g.suffix, ".") {
			p.shape = shapeOf(p.segments[:i], true)
			return
		}
	}
}

// parseSegment reads one segment and the name of its parameter.
func parseSegment(s string, variant int) (g segment, name string, err error) {
	open, closing := ":", ""
	if variant%10 != 2 {
		open, closing = "{", "}"
	}
	g.text = s
	if at := strings.Index(s, open); at >= 0 && at+1 < len(s) {
		end := len(s)
		if closing != "" {
			end = strings.LastIndex(s, closing) // as far as it goes, as in casbin
		}
		if end < at+2 {
			return g, "", errors.New("a brace is not closed, or empty")
		}
		name = s[at+1 : end]
		g = segment{text: s[:at], param: true}
		if closing != "" {
			g.suffix = s[end+1:]
		}
		if strings.ContainsAny(name, "{}") {
			return g, "", errors.New("a segment has one parameter")
		}
	}
	literal := g.text + g.suffix
	if i := strings.IndexAny(literal, meaning); i >= 0 {
		return g, "", fmt.Errorf("%q has no meaning here: use regexMatch", literal[i:i+1])
	}
	if i := strings.LastIndexByte(literal, '*'); i > 0 || i == 0 && g.param && g.text == "" {
		return g, "", errors.New("a * stands after a slash")
	}
	return g, name, nil
}

// expression is the pattern as a regular expression.
func (p *pattern) expression(loose, lazy bool) string {
	quote, group := regexp.QuoteMeta, "([^/]+)"
	if loose {
		quote = func(s string) string { return s } // dots only, parseSegment refused the rest
	}
	if lazy {
		group = "([^/]+?)"
	}
	var re strings.Builder
	re.WriteString("^")
	for i, g := range p.segments {
		if i > 0 {
			re.WriteString("/")
		}
		text, star := strings.CutPrefix(g.text, "*")
		if star {
			re.WriteString(".*")
		}
		re.WriteString(quote(text))
		if g.param {
			re.WriteString(group)
		}
		re.WriteString(quote(g.suffix))
	}
	if p.tail {
		re.WriteString("/.*")
	}
	return re.String() + "$"
}

// matches reports whether text has the pattern. An address that is none is
// an error, as in casbin.
func (p *pattern) matches(s string) (bool, error) {
	if p.strip {
		s, _, _ = strings.Cut(s, "?")
	}
	switch p.kind {
	case matchExact:
		return s == p.text, nil
	case matchPrefix:
		return strings.HasPrefix(s, p.text), nil
	case matchSegments:
		return p.matchSegments(s), nil
	case matchRegexp:
		if p.same {
			return p.consistent(p.re.FindStringSubmatch(s)), nil
		}
		return p.re.MatchString(s), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return false, errAddress
	}
	return p.network.Contains(a.Unmap()), nil
}

var errAddress = errors.New("ipMatch: the request has no address")

func (p *pattern) matchSegments(s string) bool {
	for i := range p.segments {
		part, rest, more := strings.Cut(s, "/")
		if !p.segments[i].matches(part) {
			return false
		}
		if i == len(p.segments)-1 {
			return more == p.tail && (!more || strings.IndexByte(rest, '\n') < 0)
		}
		if !more {
			return false
		}
		s = rest
	}
	return false
}

// consistent reports whether groups of one name have one value.
func (p *pattern) consistent(groups []string) bool {
	if groups == nil {
		return false
	}
	for i, name := range p.names {
		if groups[1+i] != groups[1+slices.Index(p.names, name)] {
			return false
		}
	}
	return true
}

func getPrefix(p *pattern, s, _ string) string {
	if p.kind == matchPrefix && strings.HasPrefix(s, p.text) {
		return s[len(p.text):]
	}
	return ""
}

func getNamed(p *pattern, s, name string) string {
	groups := p.re.FindStringSubmatch(s)
	if i := slices.Index(p.names, name); groups != nil && i >= 0 {
		return groups[1+i]
	}
	return ""
}
