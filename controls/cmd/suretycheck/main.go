// Command suretycheck checks an evidence bundle offline.
//
//	suretycheck -key auditor-copy.pub [-json] [-strict] bundle.zip
//
// The key is the operator's Ed25519 public key as the auditor got it, never
// from the bundle: a file (PEM, or 32 bytes in base64) or the base64 itself.
//
// It exits with 0 when the bundle is what it claims, with 1 when it is not
// (with -strict also when it discloses an exception), and with 2 when it could
// not be checked.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/internal/textsafe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const (
	exitIntact = iota
	exitNotIntact
	exitUnchecked
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("suretycheck", flag.ContinueOnError)
	flags.SetOutput(stderr)
	key := flags.String("key", "", "operator's Ed25519 public `key`: a file, or 32 bytes in base64")
	asJSON := flags.Bool("json", false, "print the verdict as JSON")
	strict := flags.Bool("strict", false, "exit with 1 on disclosed exceptions too")
	if err := flags.Parse(args); err != nil {
		return exitUnchecked
	}
	if *key == "" || flags.NArg() != 1 {
		fmt.Fprintln(stderr, "usage: suretycheck -key KEY [-json] [-strict] BUNDLE")
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
	verdict := bundle.Check(ctx, public, evidence.CheckOptions{})
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
