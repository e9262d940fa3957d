package hostcheck

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/internal/textsafe"
)

// ErrExpectation says that the expected rules are not signed as they should
// be, or are no rules.
var ErrExpectation = errors.New("hostcheck: expectation refused")

// header begins an expectation, so that a signature of something else by the
// same key is none.
const header = "surety host ruleset v1\n"

// maxRuleset bounds the output of a command.
const maxRuleset = 16 << 20

// changing is what differs from one listing to the next of the same rules:
// counters, handles, the rest of an element's time, and lines that are a
// comment. A number sign inside a line begins no comment: behind it, in the
// text of an iptables --comment, a rule's target could be changed unseen.
var changing = []*regexp.Regexp{
	regexp.MustCompile(`packets \d+ bytes \d+`),
	regexp.MustCompile(`\[\d+:\d+\]`),
	regexp.MustCompile(` expires [0-9dhms]+`),
	regexp.MustCompile(`^\s*#.*`),
	regexp.MustCompile(`\s# handle \d+\s*$`),
}

// normal is a ruleset without comments, counters, handles and spaces that mean
// nothing. The order stays: it decides.
func normal(ruleset []byte) []string {
	var lines []string
	for line := range strings.Lines(string(ruleset)) {
		for _, c := range changing {
			line = c.ReplaceAllString(line, "")
		}
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Sign makes an expectation of the output of "nft list ruleset" or
// "iptables-save": a C2SP signed note of the rules without their counters. An
// empty ruleset is an error, because it lets everything in.
func Sign(ruleset []byte, signer note.Signer) ([]byte, error) {
	lines := normal(ruleset)
	if len(lines) == 0 {
		return nil, fmt.Errorf("%w: the ruleset is empty", ErrExpectation)
	}
	signed, err := note.Sign(&note.Note{Text: header + strings.Join(lines, "\n") + "\n"}, signer)
	if err != nil {
		return nil, fmt.Errorf("hostcheck: sign: %w", err)
	}
	return signed, nil
}

// Rules compares the host's packet filter with an expectation.
type Rules struct {
	expected []string
	signer   string
	read     func(context.Context) ([]byte, error)
}

// NewRules makes the comparison. The verifier's key belongs to whoever is
// responsible for the network; read lists the rules in force.
func NewRules(expectation []byte, verifier note.Verifier, read func(context.Context) ([]byte, error)) (*Rules, error) {
	if verifier == nil || read == nil {
		return nil, errors.New("hostcheck: NewRules needs a verifier and a function that reads")
	}
	n, err := note.Open(expectation, note.VerifierList(verifier))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExpectation, err)
	}
	text, ok := strings.CutPrefix(n.Text, header)
	lines := normal([]byte(text))
	if !ok || len(lines) == 0 {
		return nil, fmt.Errorf("%w: it is not a ruleset", ErrExpectation)
	}
	return &Rules{expected: lines, signer: verifier.Name(), read: read}, nil
}

// Command reads the output of a program, such as nft list ruleset, which needs
// the right to list rules (CAP_NET_ADMIN). It gets 10 s, no input and no
// environment.
func Command(name string, args ...string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the program's own text
		out := &limited{full: cancel}
		cmd.Stdout, cmd.Env = out, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("hostcheck: %s: %w", name, err)
		}
		return out.b, nil
	}
}

// limited takes up to maxRuleset, and then ends the program, which would wait
// for somebody to read the rest. It is no bytes.Buffer, whose ReadFrom would
// take everything.
type limited struct {
	b    []byte
	full func()
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.b)+len(p) > maxRuleset {
		l.full()
		return 0, fmt.Errorf("hostcheck: more than %d bytes", maxRuleset)
	}
	l.b = append(l.b, p...)
	return len(p), nil
}

// Controls describes the comparison, which is its probe.
func (r *Rules) Controls() []controls.Control {
	return []controls.Control{{
		ID: "ratelimit.hostcheck.rules",
		Parameters: []controls.Parameter{
			controls.Text("signed_by", r.signer), controls.Int("lines", len(r.expected)),
		},
		Probe: r.probe,
	}}
}

func (r *Rules) probe(ctx context.Context) controls.Result {
	out, err := r.read(ctx)
	if err != nil {
		return controls.Errored("the host's rules can't be read: %v", err)
	}
	now := normal(out)
	if slices.Equal(now, r.expected) {
		return controls.Passed("the host's %d lines of rules are those that %s signed", len(now), r.signer)
	}
	missing, added := differences(r.expected, now), differences(now, r.expected)
	first := "the order"
	switch {
	case len(missing) > 0:
		first = "missing: " + missing[0]
	case len(added) > 0:
		first = "new: " + added[0]
	}
	return controls.Failed("the host's rules are not those that %s signed: %d lines are missing and %d are new; first, %s",
		r.signer, len(missing), len(added), clip(first))
}

// differences lists what a has more of than b.
func differences(a, b []string) (list []string) {
	count := make(map[string]int)
	for _, line := range b {
		count[line]++
	}
	for _, line := range a {
		if count[line]--; count[line] < 0 {
			list = append(list, line)
		}
	}
	return list
}

func clip(s string) string {
	s = textsafe.Terminal(s)
	return s[:min(len(s), 120)]
}
