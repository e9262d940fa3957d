package servers_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surety-go/surety/internal/integration/servers"
)

// The kernel sends the parent death signal when the thread ends that started
// the process. A goroutine that ends locked to its thread ends the thread.
func TestServerOutlivesTheThreadThatAskedForIt(t *testing.T) {
	var server *servers.RedisServer
	tid := onDisposableThread(func() { server = servers.StartRedis(t) })
	eventually(t, fmt.Sprintf("thread %d has ended", tid), func() bool { return !threadExists(tid) })
	if err := server.Client(t).Ping(t.Context()).Err(); err != nil {
		t.Errorf("the server died with a thread: %v", err)
	}
}

// onDisposableThread runs f on a thread that then ends. The main thread never
// does: if the goroutine got that one, it keeps it while another goroutine
// gets another.
func onDisposableThread(f func()) (tid int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		tid = syscall.Gettid()
		if tid == os.Getpid() {
			tid = onDisposableThread(f)
			return
		}
		f()
	}()
	<-done
	return tid
}

func threadExists(tid int) bool {
	return !errors.Is(syscall.Tgkill(os.Getpid(), tid, 0), syscall.ESRCH)
}

// childVariable makes the test binary a process that starts a server, says
// where it is, and then dies in some way without cleaning up.
const childVariable = "SURETY_TEST_DIE"

func TestMain(m *testing.M) {
	how := os.Getenv(childVariable)
	if how == "" {
		os.Exit(m.Run())
	}
	t := &recorder{}
	t.run(func() { dieWithServers(t, how) })
	fmt.Println("could not start:", t.text)
	os.Exit(1)
}

func dieWithServers(t *recorder, how string) {
	redis := servers.StartRedis(t)
	pg := servers.StartPostgres(t)
	if how == "paused" {
		pg.Pause()
	}
	fmt.Println(redis.PID(), pg.PID(), redis.Dir)
	if how == "exit" {
		os.Exit(0)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func TestServersDieWithTheTestProcess(t *testing.T) {
	servers.RequireProgram(t, "initdb", "apt-get install -y postgresql")
	servers.RequireProgram(t, "redis-server", "apt-get install -y redis-server")
	for _, how := range []string{"exit", "killed", "paused"} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+how)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var redis, pg int
			var dir string
			if _, err := fmt.Sscan(line, &redis, &pg, &dir); err != nil {
				t.Fatalf("child says %q: %v", line, err)
			}
			_ = cmd.Wait() // killed is how it is meant to end
			root := dir[:strings.LastIndex(dir, "/")]
			eventually(t, fmt.Sprintf("redis %d is gone", redis), func() bool { return !alive(redis) })
			eventually(t, fmt.Sprintf("postgres %d is gone", pg), func() bool { return !alive(pg) })
			eventually(t, root+" is removed", func() bool { _, err := os.Stat(root); return errors.Is(err, os.ErrNotExist) })
		})
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("after 20s it is not so that %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive doesn't count a zombie: who reaps orphans is the machine's business.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}
