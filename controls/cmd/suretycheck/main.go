// Command suretycheck checks an evidence bundle offline.
//
//	suretycheck -key operator.pub [-log-key KEY [-witness KEY]…] [-json] [-strict] bundle.zip
//
// The keys are the operator's as the auditor got them, never from the bundle.
// -key is the Ed25519 public key of the evidence: a file (PEM, or 32 bytes in
// base64) or the base64 itself. -log-key is the audit log's, in the form
// name+hash+base64; with it the log's export is verified and every run and
// finding is looked up in it. -witness, which may be repeated, is the key of a
// witness that must have cosigned it.
//
// It exits with 0 when the bundle is what it claims, with 1 when it is not
// (with -strict also when it discloses an exception), and with 2 when it could
// not be checked.
package main

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/internal/textsafe"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const (
	exitIntact = iota
	exitNotIntact
	exitUnchecked
)

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("suretycheck", flag.ContinueOnError)
	flags.SetOutput(stderr)
	key := flags.String("key", "", "operator's Ed25519 public `key`: a file, or 32 bytes in base64")
	logKey := flags.String("log-key", "", "audit log's public `key`, name+hash+base64")
	var witnesses []string
	flags.Func("witness", "public `key` of a witness of the audit log; may be repeated", func(s string) error {
		witnesses = append(witnesses, s)
		return nil
	})
	asJSON := flags.Bool("json", false, "print the verdict as JSON")
	strict := flags.Bool("strict", false, "exit with 1 on disclosed exceptions too")
	if err := flags.Parse(args); err != nil {
		return exitUnchecked
	}
	if *key == "" || flags.NArg() != 1 || *logKey == "" && len(witnesses) > 0 {
		fmt.Fprintln(stderr, "usage: suretycheck -key KEY [-log-key KEY [-witness KEY]...] [-json] [-strict] BUNDLE")
		return exitUnchecked
	}
	bundle, public, err := read(flags.Arg(0), *key)
	if err != nil {
		fmt.Fprintln(stderr, "suretycheck:", textsafe.Terminal(err.Error()))
		if errors.Is(err, evidence.ErrBundle) {
			return exitNotIntact
		}
		return exitUnchecked
	}
	var opts evidence.CheckOptions
	if *logKey != "" {
		opts.Log = &verify.Policy{Key: *logKey, Witnesses: witnesses}
		if _, err := verify.Export(strings.NewReader(""), *opts.Log); errors.Is(err, verify.ErrPolicy) {
			fmt.Fprintln(stderr, "suretycheck:", textsafe.Terminal(err.Error()))
			return exitUnchecked
		}
	}
	verdict := bundle.Check(public, opts)
	if err := show(stdout, bundle, verdict, *asJSON); err != nil {
		fmt.Fprintln(stderr, "suretycheck:", err)
		return exitUnchecked
	}
	if !verdict.Intact() || *strict && len(verdict.Exceptions) > 0 {
		return exitNotIntact
	}
	return exitIntact
}

// read opens the bundle and the auditor's key.
func read(name, key string) (*evidence.Bundle, ed25519.PublicKey, error) {
	text, err := os.ReadFile(key) // the auditor names the file
	if errors.Is(err, os.ErrNotExist) {
		text, err = []byte(key), nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the key can't be read: %w", err)
	}
	public, err := evidence.ParsePublicKey(text)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(name) // the auditor names the file
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	bundle, err := evidence.Open(f, info.Size())
	return bundle, public, err
}

// show prints the verdict. Whatever comes from the bundle is made harmless for
// a terminal.
func show(w io.Writer, b *evidence.Bundle, v *evidence.Verdict, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(v)
	}
	var errs []error
	line := func(format string, args ...any) {
		// A text in the bundle must not look like a line of the verdict.
		text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
		_, err := fmt.Fprintln(w, textsafe.Terminal(text))
		errs = append(errs, err)
	}
	if v.Intact() {
		m := b.Manifest
		line("INTACT: %s, %s to %s: %d files, %d controls, %d probe entries, %d exceptions", m.System,
			m.From.Format("2006-01-02 15:04"), m.To.Format("2006-01-02 15:04"), len(m.Files), len(b.Controls), len(b.History.Entries), len(v.Exceptions))
	} else {
		line("NOT INTACT: %d problems", len(v.Problems))
	}
	for _, p := range v.Problems {
		line("  problem (%s): %s", p.Check, p.What)
	}
	for _, e := range v.Exceptions {
		line("  exception: %s", e)
	}
	for _, n := range v.Notes {
		line("  note: %s", n)
	}
	return errors.Join(errs...)
}
