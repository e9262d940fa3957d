// Command records is a personal-records service (HR files) that a company
// could copy: two tenants, four roles, net/http and gRPC, SQLite, and every
// control of Surety wired in. It is a demo; it refuses to serve anything but
// this machine.
//
//	go run ./examples/records                 # serve, and print how to sign in
//	go run ./examples/records -watch http://127.0.0.1:8080   # beside it: measure whether it serves
//	go run ./examples/records -tour           # drive a service of its own and show each control
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/examples/records/service"
	"github.com/surety-go/surety/examples/records/tour"
	"github.com/surety-go/surety/ratelimit/hostcheck"
	"github.com/surety-go/surety/ratelimit/upload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "records:", sentence(err))
		stop()
		os.Exit(1)
	}
}

// sentence puts an error on one line, also one that lists several mistakes.
func sentence(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("records", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "loopback address to serve HTTP and gRPC on")
	dir := flags.String("data", "records-data", "directory for the database, the log and the registers")
	policy := flags.String("policy", "", "file with a casbin policy in place of the built-in one")
	clamd := flags.String("clamd", "", "`address` of a ClamAV daemon that looks at uploads, /run/clamav/clamd.ctl or host:port; without it none is let in")
	hostRules := flags.String("host-rules", "", "`file` with the packet filter's rules that somebody signed, compared with nft list ruleset; needs -host-key")
	hostKey := flags.String("host-key", "", "`public key` of who signed the host's rules (a signed note's verifier)")
	watch := flags.String("watch", "", "base URL of a running service: measure from outside whether it serves, for its objectives")
	show := flags.Bool("tour", false, "drive a service of its own through every control, and exit")
	flags.SetOutput(io.Discard) // errors are printed once, by main
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(out)
		flags.Usage()
		return nil
	} else if err != nil {
		return fmt.Errorf("%w: -h shows what there is", err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *show {
		return tour.Run(ctx, out)
	}
	o, err := options(*dir, *policy)
	if err != nil {
		return err
	}
	if err := beyond(&o, *clamd, *hostRules, *hostKey); err != nil {
		return err
	}
	if *watch != "" {
		fmt.Fprintf(out, "Asking %s every 10 s whether it serves.\n", *watch)
		return service.Watch(ctx, o, strings.TrimSuffix(*watch, "/"))
	}
	return serve(ctx, *addr, o, out)
}

// options are those of the demo in a directory.
func options(dir, policy string) (service.Options, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return service.Options{}, fmt.Errorf("data directory %q: %w", dir, err)
	}
	keys, err := service.DefaultKeyDir(abs)
	if err != nil {
		return service.Options{}, err
	}
	o := service.Options{
		Dir: abs, KeyDir: keys, Passphrase: os.Getenv("SURETY_PASSPHRASE"),
		Demo: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if policy == "" {
		return o, nil
	}
	rules, err := os.ReadFile(policy)
	if err != nil {
		return o, fmt.Errorf("policy: %w", err)
	}
	if len(bytes.TrimSpace(rules)) == 0 {
		return o, fmt.Errorf("policy %s is empty: nobody could do anything", policy)
	}
	o.Policy, o.PolicyName = string(rules), policy
	return o, nil
}

// beyond adds what lies outside of the process: a scanner and the host's packet
// filter.
func beyond(o *service.Options, clamd, rules, key string) (err error) {
	if clamd != "" {
		network := "tcp"
		if strings.HasPrefix(clamd, "/") {
			network = "unix"
		}
		if o.Scanner, err = upload.Clamd(network, clamd, upload.ScannerOptions{}); err != nil {
			return fmt.Errorf("-clamd: %w", err)
		}
	}
	if rules == "" {
		return nil
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return fmt.Errorf("-host-key: %w", err)
	}
	signed, err := os.ReadFile(rules)
	if err != nil {
		return fmt.Errorf("-host-rules: %w", err)
	}
	o.Host, err = hostcheck.NewRules(signed, verifier, hostcheck.Command("nft", "list", "ruleset"))
	return err
}

// serve runs the demo until the context ends.
func serve(ctx context.Context, addr string, o service.Options, out io.Writer) error {
	if err := loopback(addr); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w: choose another address with -addr", err)
	}
	svc, err := service.Open(ctx, o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	svc.Welcome(out, listener.Addr().String())
	return svc.Serve(ctx, listener)
}

// loopback refuses addresses that others can reach: the demo's cookies are
// not protected by TLS.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: want host:port", addr)
	}
	if host == "localhost" {
		return nil
	}
	if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
		return fmt.Errorf("address %q: the demo serves loopback only, such as 127.0.0.1:8080", addr)
	}
	return nil
}
