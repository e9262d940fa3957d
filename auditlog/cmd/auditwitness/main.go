// Command auditwitness is a small witness for audit logs (C2SP tlog-witness),
// to be run by another party than the logs' operator.
//
//	auditwitness -new-key witness.example/w1 [-algorithm ed25519|ml-dsa-44] -key FILE
//	auditwitness -key FILE -dir DIR -log KEY [-log KEY]... [-addr ADDR] [-tls-cert FILE -tls-key FILE]
//
// The first form makes a key and prints its public half, for the operator and
// the auditor. The second one serves POST /add-checkpoint. DIR holds the last
// checkpoint of each log; who loses it can be shown a second history.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/surety-go/surety/auditlog/witness"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "auditwitness:", err)
		os.Exit(1)
	}
}

type settings struct {
	newKey, algorithm, key, dir, addr, cert, tlsKey string
	logs                                            []string
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var s settings
	f := flag.NewFlagSet("auditwitness", flag.ContinueOnError)
	f.StringVar(&s.newKey, "new-key", "", "make a key with this `name` and end")
	f.StringVar(&s.algorithm, "algorithm", "ed25519", "of a new key: ed25519 or ml-dsa-44")
	f.StringVar(&s.key, "key", "", "`file` with the witness's key")
	f.StringVar(&s.dir, "dir", "", "`directory` for the last checkpoint of each log")
	f.StringVar(&s.addr, "addr", "127.0.0.1:7380", "`address` to listen on")
	f.StringVar(&s.cert, "tls-cert", "", "`file` with the TLS certificate")
	f.StringVar(&s.tlsKey, "tls-key", "", "`file` with the TLS key")
	f.Func("log", "public `key` of a log; repeatable", func(v string) error { s.logs = append(s.logs, v); return nil })
	if err := f.Parse(args); err != nil {
		return err
	}
	if s.newKey != "" {
		return makeKey(s, stdout)
	}
	return serve(ctx, s, stdout)
}

func makeKey(s settings, stdout io.Writer) error {
	alg, ok := map[string]witness.Algorithm{"ed25519": witness.Ed25519, "ml-dsa-44": witness.MLDSA44}[s.algorithm]
	if !ok {
		return fmt.Errorf("-algorithm is %q, want ed25519 or ml-dsa-44", s.algorithm)
	}
	key, err := witness.NewKey(s.key, s.newKey, alg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, key.Public())
	return err
}

func serve(ctx context.Context, s settings, stdout io.Writer) error {
	if s.dir == "" {
		return errors.New("want -dir")
	}
	key, err := witness.LoadKey(s.key)
	if err != nil {
		return err
	}
	h, err := witness.NewServer(key, s.dir, s.logs...)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\nlistening on %s\n", key.Public(), l.Addr())
	srv := &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	stopped := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(drain)
	})
	defer stopped()
	if s.cert != "" {
		err = srv.ServeTLS(l, s.cert, s.tlsKey)
	} else {
		err = srv.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
