// Command auditverify checks a copy of an audit log offline.
//
//	auditverify -key KEY [-former-key KEY]... [-witness KEY]... [-quorum N] [-older FILE] DIR
//	auditverify -key KEY [-witness KEY]... [-quorum N] EXPORT
//	auditverify -key KEY [-witness KEY]... -proof FILE ENTRY
//
// The keys are given by the auditor, who got them from the log's operator when
// the log began and from the witnesses; they are never read from the log. A
// key is the text itself or "@" and a file that holds it. The second form
// checks an export in JSON Lines, by itself, and the third one entry, in
// canonical JSON, against its .tlog-proof.
//
// It exits with 0 if everything holds, with 1 if something does not, and with
// 2 if the check could not be made.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	verified = iota
	notVerified
	notChecked
)

type settings struct {
	policy       verify.Policy
	proof, older string
	quiet        bool
	path         string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "auditverify:", err)
		}
		return notChecked
	}
	if s.proof != "" {
		return checkProof(s, stdout, stderr)
	}
	if info, err := os.Stat(s.path); err == nil && info.Mode().IsRegular() {
		return checkExport(s, stdout, stderr)
	}
	return checkDir(ctx, s, stdout, stderr)
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	f := flag.NewFlagSet("auditverify", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Func("key", "the log's public `key`, or @FILE", func(v string) (err error) {
		s.policy.Key, err = keyText(v)
		return err
	})
	f.Func("former-key", "a public `key` that signed before, or @FILE; repeatable, the oldest first", func(v string) error {
		key, err := keyText(v)
		s.policy.Former = append(s.policy.Former, key)
		return err
	})
	f.Func("witness", "a witness's public `key`, or @FILE; repeatable", func(v string) error {
		key, err := keyText(v)
		s.policy.Witnesses = append(s.policy.Witnesses, key)
		return err
	})
	f.IntVar(&s.policy.Quorum, "quorum", 0, "how many witnesses must have cosigned (default all)")
	f.DurationVar(&s.policy.MaxGap, "max-gap", 15*time.Minute, "longest time between cosigned checkpoints")
	f.StringVar(&s.older, "older", "", "`file` with a checkpoint kept from before, which the log must continue")
	f.StringVar(&s.proof, "proof", "", "`file` with the .tlog-proof of one entry")
	f.BoolVar(&s.quiet, "quiet", false, "no progress")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() != 1 || s.policy.Key == "" {
		f.Usage()
		return s, errors.New("want -key and one directory, export or entry")
	}
	s.path = f.Arg(0)
	if s.older != "" {
		s.policy.Older, err = os.ReadFile(s.older)
	}
	return s, err
}

func keyText(v string) (string, error) {
	path, ok := strings.CutPrefix(v, "@")
	if !ok {
		return v, nil
	}
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

func checkDir(ctx context.Context, s settings, stdout, stderr io.Writer) int {
	progress := func(done, total uint64) { fmt.Fprintf(stderr, "\r%d of %d entries", done, total) }
	if s.quiet {
		progress = nil
	}
	report, err := verify.Dir(ctx, s.path, s.policy, progress)
	if !s.quiet {
		fmt.Fprintln(stderr)
	}
	return tell(report, err, stdout, stderr)
}

// tell writes what was found.
func tell(report verify.Report, err error, stdout, stderr io.Writer) int {
	if err != nil {
		fmt.Fprintln(stderr, "auditverify:", err)
		return notChecked
	}
	fmt.Fprintln(stdout, report.Verdict())
	for _, f := range report.Findings {
		fmt.Fprintf(stdout, "  %q\n", f.String()) // quoted: its text may be an attacker's
	}
	if !report.OK() {
		return notVerified
	}
	return verified
}

func checkExport(s settings, stdout, stderr io.Writer) int {
	if s.older != "" {
		fmt.Fprintln(stderr, "auditverify: -older is for directories: an export says nothing about what came before it")
		return notChecked
	}
	f, err := os.Open(s.path)
	if err != nil {
		return tell(verify.Report{}, err, stdout, stderr)
	}
	defer f.Close()
	report, err := verify.Export(f, s.policy)
	return tell(report, err, stdout, stderr)
}

func checkProof(s settings, stdout, stderr io.Writer) int {
	entry, err := os.ReadFile(s.path)
	proof, err2 := os.ReadFile(s.proof)
	if err := errors.Join(err, err2); err != nil {
		fmt.Fprintln(stderr, "auditverify:", err)
		return notChecked
	}
	index, err := verify.Proof([]byte(strings.TrimSuffix(string(entry), "\n")), proof, s.policy)
	switch {
	case errors.Is(err, verify.ErrProof):
		fmt.Fprintln(stdout, "NOT VERIFIED:", err)
		return notVerified
	case err != nil:
		fmt.Fprintln(stderr, "auditverify:", err)
		return notChecked
	}
	fmt.Fprintf(stdout, "the entry is at index %d of the log\n", index)
	return verified
}
