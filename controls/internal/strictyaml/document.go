package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of one file.
const (
	MaxBytes = 1 << 20
	MaxDepth = 16
	MaxNodes = 50_000
)

// An Error says where a file is wrong and what is wanted there.
type Error struct {
	File  string
	Line  int    // 1-based; 0 when the whole file is meant
	Field string // such as "risks[2].owner"; empty for the whole file
	Want  string
}

// Error is one line: file, line, field and what is wanted.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	return b.String() + ": " + e.Want
}

// A Document is a file whose structure is sound.
type Document struct {
	name  string
	root  *yaml.Node
	lines map[string]int // field path → line, filled by Decode
}

// Parse reads a file of one document. The name stands in messages.
func Parse(name string, data []byte) (*Document, error) {
	list, err := ParseAll(name, data)
	if err != nil {
		return nil, err
	}
	if len(list) > 1 {
		return nil, list[0].fail(list[1].root.Line, "", "one document is wanted, here begins a second")
	}
	return list[0], nil
}

// ParseAll reads a file of one or more documents.
func ParseAll(name string, data []byte) ([]*Document, error) {
	d := &Document{name: name}
	if len(data) > MaxBytes {
		return nil, d.fail(0, "", "a file of at most %d bytes is wanted, this one has %d", MaxBytes, len(data))
	}
	if !utf8.Valid(data) {
		return nil, d.fail(0, "", "UTF-8 text is wanted")
	}
	roots, err := d.roots(data)
	if err != nil {
		return nil, err
	}
	var list []*Document
	nodes := 0
	for _, root := range roots {
		if err := d.check(root, "", 0, &nodes); err != nil {
			return nil, err
		}
		list = append(list, &Document{name: name, root: root, lines: map[string]int{}})
	}
	return list, nil
}

// At is an error about a node of [Document.Root].
func (d *Document) At(n *yaml.Node, field, format string, args ...any) error {
	return d.fail(n.Line, field, format, args...)
}

// Root returns the top node, for callers with a grammar of their own. It
// holds no aliases, tags or repeated keys.
func (d *Document) Root() *yaml.Node { return d.root }

// Errorf is an error about a field that [Document.Decode] has read.
func (d *Document) Errorf(field, format string, args ...any) error {
	return d.fail(d.line(field), field, format, args...)
}

// line finds the field's line, or that of the nearest field around it.
func (d *Document) line(field string) int {
	for {
		if n, ok := d.lines[field]; ok || field == "" {
			return n
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
}

func (d *Document) fail(line int, field, format string, args ...any) error {
	return &Error{File: d.name, Line: line, Field: field, Want: fmt.Sprintf(format, args...)}
}

// roots decodes the documents of the file.
func (d *Document) roots(data []byte) ([]*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var roots []*yaml.Node
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF) && len(roots) == 0:
			return nil, d.fail(0, "", "the file is empty")
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			return nil, d.syntax(err)
		case doc.Kind != yaml.DocumentNode || len(doc.Content) != 1:
			return nil, d.fail(doc.Line, "", "a document is empty")
		}
		roots = append(roots, doc.Content[0])
	}
}

var lineOf = regexp.MustCompile(`^yaml: line (\d+): `)

// syntax turns the parser's error into ours.
func (d *Document) syntax(err error) error {
	text := err.Error()
	line := 0
	if m := lineOf.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return d.fail(line, "", "not YAML: %s", strings.TrimPrefix(text, "yaml: "))
}

// check refuses whatever makes a file mean more than it shows.
func (d *Document) check(n *yaml.Node, path string, depth int, nodes *int) error {
	*nodes++
	switch {
	case *nodes > MaxNodes:
		return d.fail(n.Line, path, "at most %d values are wanted in one file", MaxNodes)
	case depth > MaxDepth:
		return d.fail(n.Line, path, "at most %d levels are wanted", MaxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return d.fail(n.Line, path, "anchors and aliases are not allowed: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		return d.fail(n.Line, path, "tags such as %q are not allowed", Clip(n.Tag))
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.checkMapping(n, path, depth, nodes)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			if err := d.check(c, path+"["+strconv.Itoa(i)+"]", depth+1, nodes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Document) checkMapping(n *yaml.Node, path string, depth int, nodes *int) error {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if err := d.check(key, path, depth+1, nodes); err != nil {
			return err
		}
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			return d.fail(key.Line, path, "a key of plain text is wanted, got %s", shape(key))
		}
		field := join(path, key.Value)
		if first, ok := seen[key.Value]; ok {
			return d.fail(key.Line, field, "the key is repeated, it stands in line %d already", first)
		}
		seen[key.Value] = key.Line
		if err := d.check(value, field, depth+1, nodes); err != nil {
			return err
		}
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return Clip(key)
	}
	return path + "." + Clip(key)
}

// shape describes a node without repeating more than a few words of it.
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
		return strconv.Quote(Clip(n.Value))
	}
	return "something else"
}

// Clip shortens a value for a message.
func Clip(s string) string {
	const limit = 48
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
