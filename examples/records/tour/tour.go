// Package tour drives a records service of its own through its HTTP and gRPC
// APIs, as a real client would, and shows for each subject what was promised,
// what was tried and what happened. It ends with an error if anything was not
// as promised.
package tour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/examples/records/service"
)

// A row is one subject of the tour.
type row struct {
	subject   string // what it is about
	criterion string // Trust Services Criterion
	control   string // ID in the catalogue
	promise   string // what is promised
	try       func(context.Context, *client) (string, error)
	evidence  string // where to look
	thin      string // what is still missing, or what only a fake could show
}

// errPromise says that a control answered otherwise than promised.
var errPromise = errors.New("not as promised")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errPromise, fmt.Sprintf(format, args...))
}

// Run starts a service in a temporary directory, drives it and prints a row
// per subject.
func Run(ctx context.Context, out io.Writer) error {
	start := time.Now()
	dir, err := os.MkdirTemp("", "records-tour-")
	if err != nil {
		return fmt.Errorf("tour: %w", err)
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(out, "Starting the service on a free port, in a temporary directory …")
	c, err := launch(ctx, dir)
	if err != nil {
		return fmt.Errorf("tour: %w", err)
	}
	rows := subjects()
	failed := 0
	for i, r := range rows {
		fmt.Fprintf(out, "\n%2d/%d  %s\n", i+1, len(rows), r.subject)
		begun := time.Now()
		happened, err := r.try(ctx, c)
		r.print(out, happened, time.Since(begun), err)
		if err != nil {
			failed++
		}
	}
	if err := errors.Join(c.close(), c.stop()); err != nil {
		fmt.Fprintln(out, "\nThe service did not end cleanly:", err)
		failed++
	}
	fmt.Fprintf(out, "\n%d of %d subjects as promised, in %.1f s.\n", len(rows)-failed, len(rows), time.Since(start).Seconds())
	if failed > 0 {
		return fmt.Errorf("tour: %d of %d subjects %w", failed, len(rows), errPromise)
	}
	return nil
}

func (r row) print(out io.Writer, happened string, took time.Duration, err error) {
	mark := "✓"
	if err != nil {
		mark, happened = "✗", err.Error()
	}
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "       %-9s %s\n", name, strings.ReplaceAll(text, "\n", "\n                 "))
		}
	}
	line("criterion", r.criterion+"  ·  control "+r.control)
	line("promise", r.promise)
	line(mark+" result", fmt.Sprintf("%s (%.1f s)", happened, took.Seconds()))
	line("evidence", r.evidence)
	line("thin", r.thin)
}

// launch opens a service and serves it on a free loopback port. The client's
// stop drains it, once.
func launch(ctx context.Context, dir string) (*client, error) {
	o := service.Options{
		Dir: filepath.Join(dir, "data"), KeyDir: filepath.Join(dir, "keys"), Demo: true, Logger: slog.New(slog.DiscardHandler),
	}
	key, err := o.LogKey()
	if err != nil {
		return nil, err
	}
	vouching, err := newNeighbour(filepath.Join(dir, "witness"), key)
	if err != nil {
		return nil, err
	}
	o.Witnesses, o.WitnessEvery, o.WitnessGap = []auditlog.Witness{vouching.client}, time.Second, 2*time.Second
	machine, err := newHost()
	if err != nil {
		vouching.close()
		return nil, err
	}
	o.Scanner, o.Host = scanner{}, machine.rules
	svc, err := service.Open(ctx, o)
	if err != nil {
		vouching.close()
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		vouching.close()
		return nil, errors.Join(err, svc.Close())
	}
	serving, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- svc.Serve(serving, listener) }()
	stop := sync.OnceValue(func() error {
		cancel()
		defer vouching.close()
		return <-done
	})
	c, err := newClient(listener.Addr().String(), dir, svc.Accounts())
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	c.svc, c.witness, c.host, c.o = svc, vouching, machine, o
	c.stop = sync.OnceValue(func() error { return errors.Join(c.unwatch(), stop()) })
	return c, nil
}
