package servers_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surety-go/surety/internal/integration/servers"
)

func TestStopAndRestart(t *testing.T) {
	server := servers.StartRedis(t)
	first := server.PID()
	server.Stop()
	server.Stop() // a stopped server is stopped
	if err := server.Client(t).Ping(t.Context()).Err(); err == nil {
		t.Error("a stopped server answers")
	}
	server.Restart()
	second := server.PID()
	server.Restart() // also of a running one
	if third := server.PID(); first == second || second == third {
		t.Errorf("process ids %d, %d, %d: want three", first, second, third)
	}
	if err := server.Client(t).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestStopResumesAPausedServer(t *testing.T) {
	server := servers.StartRedis(t)
	server.Pause()
	start := time.Now()
	server.Stop()
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("stopping a paused server took %v: it was killed, not stopped", d)
	}
}

func TestServersAreNotRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has privileges to drop: run as root")
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", servers.StartRedis(t).PID()))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the server runs as root")
	}
}

func TestFailureToStartShowsTheLog(t *testing.T) {
	fake := &recorder{TB: t}
	fake.run(func() {
		servers.Start(fake, servers.Spec{
			Program: "sh", Install: "-",
			Args: func(servers.Site) []string { return []string{"-c", "echo the reason >&2; exit 3"} },
		})
	})
	if !fake.failed || !strings.Contains(fake.text, "the reason") {
		t.Errorf("failed: %v, text %q; want the server's own words", fake.failed, fake.text)
	}
}
