package service_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/surety-go/surety/examples/records/service"
)

func options(dir string) service.Options {
	return service.Options{
		Dir: filepath.Join(dir, "data"), KeyDir: filepath.Join(dir, "keys"), Demo: true, Logger: slog.New(slog.DiscardHandler),
	}
}

func open(t *testing.T, o service.Options) *service.Service {
	t.Helper()
	s, err := service.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpensServesAndOpensAgain(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	if n := len(s.Accounts()); n != 8 {
		t.Errorf("%d demo accounts", n)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/livez") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("/livez: %d", resp.StatusCode)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve = %v", err)
	}
	again := open(t, o)
	if n := len(again.Accounts()); n != 0 {
		t.Errorf("the second opening seeded %d accounts", n)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
