package servers_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/surety-go/surety/internal/integration/servers"
)

func TestMissingProgramSkipsOrFails(t *testing.T) {
	for variable, fatal := range map[string]bool{"": false, "0": false, "1": true, "true": true, "yes": true, "O": true} {
		text, got := servers.Missing("some-server", "apt-get install -y some-server", variable)
		if got != fatal {
			t.Errorf("SURETY_REQUIRE_SERVICES=%s: fatal %v, want %v", variable, got, fatal)
		}
		if !strings.Contains(text, "some-server is not installed") || !strings.Contains(text, "apt-get install -y some-server") {
			t.Errorf("message %q names neither the program nor its installation", text)
		}
	}
}

func TestRequire(t *testing.T) {
	for variable, want := range map[string]string{"": "skipped", "1": "failed"} {
		t.Setenv("SURETY_REQUIRE_SERVICES", variable)
		fake := &recorder{TB: t}
		fake.run(func() {
			servers.Start(fake, servers.Spec{Program: "no-such-server", Install: "apt-get install -y no-such-package"})
		})
		if got := fake.outcome(); got != want || !strings.Contains(fake.text, "no-such-package") {
			t.Errorf("SURETY_REQUIRE_SERVICES=%q: %s with %q, want %s with the command", variable, got, fake.text, want)
		}
	}
}

func TestFindLooksBesidePath(t *testing.T) {
	t.Setenv("PATH", "")
	servers.RequireProgram(t, "initdb", "apt-get install -y postgresql")
	if path, ok := servers.Find("no-such-server"); ok {
		t.Errorf("found %s", path)
	}
}

// A recorder is a testing.TB that remembers how it ended.
type recorder struct {
	testing.TB
	failed, skipped bool
	text            string
}

// run calls f in a goroutine of its own, since Skip and Fatal end it.
func (r *recorder) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *recorder) outcome() string {
	switch {
	case r.failed:
		return "failed"
	case r.skipped:
		return "skipped"
	}
	return "passed"
}

func (r *recorder) Helper()                  {}
func (r *recorder) Cleanup(func())           {}
func (r *recorder) Context() context.Context { return context.Background() }

func (r *recorder) Fatal(args ...any) {
	r.failed, r.text = true, fmt.Sprint(args...)
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any) {
	r.skipped, r.text = true, fmt.Sprint(args...)
	runtime.Goexit()
}
