package browser

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Policy is a content security policy (W3C CSP Level 3): sources by
// directive, such as "img-src": {"'self'", "data:"}. The source [NonceSource]
// stands for the response's nonce.
type Policy map[string][]string

// NonceSource is the source that becomes the response's own nonce.
const NonceSource = "'nonce'"

// DefaultPolicy returns the policy used unless another is given: nothing from
// anywhere else, scripts by nonce only, no framing, forms to this origin only.
func DefaultPolicy() Policy {
	return Policy{
		"default-src":     {"'none'"},
		"script-src":      {NonceSource, "'strict-dynamic'"},
		"style-src":       {"'self'", NonceSource},
		"img-src":         {"'self'", "data:"},
		"font-src":        {"'self'"},
		"connect-src":     {"'self'"},
		"form-action":     {"'self'"},
		"base-uri":        {"'none'"},
		"frame-ancestors": {"'none'"},
	}
}

// With returns a copy of the policy with one directive replaced, or removed
// when no sources are given.
func (p Policy) With(directive string, sources ...string) Policy {
	q := maps.Clone(p)
	if q == nil {
		q = Policy{}
	}
	delete(q, directive)
	if len(sources) > 0 {
		q[directive] = sources
	}
	return q
}

var errUnsafe = errors.New("browser: Policy")

// compile writes the policy in a fixed order, cut where nonces go. It refuses
// what makes a policy worthless, so that a careless edit is an error at start.
func (p Policy) compile() ([]string, error) {
	if len(p["default-src"]) == 0 {
		return nil, fmt.Errorf("%w: default-src is missing: what is not named would be allowed", errUnsafe)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "" || name == "" {
			return nil, fmt.Errorf("%w: directive %q", errUnsafe, name)
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(name)
		for _, source := range p[name] {
			if err := checkSource(name, source); err != nil {
				return nil, err
			}
			b.WriteString(" " + source)
		}
	}
	// A nonce goes where the text says 'nonce'.
	text := strings.ReplaceAll(b.String(), NonceSource, "'nonce-\x00'")
	return strings.Split(text, "\x00"), nil
}

func checkSource(directive, source string) error {
	switch {
	case source == "" || strings.ContainsAny(source, "; ,\r\n\x00"):
		return fmt.Errorf("%w: %s: source %q: want one source without separators", errUnsafe, directive, source)
	case strings.HasPrefix(source, "'nonce-"):
		return fmt.Errorf("%w: %s: a fixed nonce protects nothing: use NonceSource", errUnsafe, directive)
	case source == "'unsafe-inline'" || source == "'unsafe-eval'":
		if directive == "script-src" || directive == "default-src" {
			return fmt.Errorf("%w: %s: %s lets injected scripts run", errUnsafe, directive, source)
		}
	case source == "*" && (directive == "script-src" || directive == "default-src"):
		return fmt.Errorf("%w: %s: * lets scripts from anywhere run", errUnsafe, directive)
	}
	return nil
}
