package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A Spec says how to run a server. Program, Install and Args are required.
type Spec struct {
	// Program is the name of the executable.
	Program string
	// Install is the command that installs it, for the message of a skip.
	Install string
	// Args are the arguments for a server in the foreground, listening on
	// site.Addr.
	Args func(site Site) []string
	// Prepare writes what the server needs into site.Dir. It runs before every
	// start, also of a restart. May be nil.
	Prepare func(ctx context.Context, site Site) error
	// Ready returns nil once the server answers. The default is that it
	// accepts a TCP connection.
	Ready func(ctx context.Context, site Site) error
	// StopSignal asks the server to finish in order. The default is SIGTERM.
	StopSignal syscall.Signal
	// DeathSignal reaches the server when the test process dies. The default
	// is SIGKILL.
	DeathSignal syscall.Signal
	// Cleanup runs after the server has stopped for good. May be nil.
	Cleanup func(site Site)
}

// withDefaults fills in what may be left out.
func (s Spec) withDefaults() Spec {
	if s.Prepare == nil {
		s.Prepare = func(context.Context, Site) error { return nil }
	}
	if s.Ready == nil {
		s.Ready = func(ctx context.Context, site Site) error { return dial(ctx, site.Addr) }
	}
	if s.StopSignal == 0 {
		s.StopSignal = syscall.SIGTERM
	}
	if s.DeathSignal == 0 {
		s.DeathSignal = syscall.SIGKILL
	}
	if s.Cleanup == nil {
		s.Cleanup = func(Site) {}
	}
	return s
}

func dial(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// A Site is where a server runs.
type Site struct {
	Dir  string // its own directory and working directory; it may write there
	Addr string // host:port to listen on
	Port int    // the port of Addr
}

// Path is the path of a file in the directory.
func (s Site) Path(name string) string { return filepath.Join(s.Dir, name) }

// WriteFile writes a file that the server's user owns and nobody else reads.
func (s Site) WriteFile(name, content string) error {
	if err := os.WriteFile(s.Path(name), []byte(content), 0o600); err != nil {
		return err
	}
	return own(s.Path(name))
}

// Run runs a helper program as the server's user, in the server's directory.
func (s Site) Run(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := s.command(exec.CommandContext(ctx, program, args...))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return nil
}

// command makes a command run as the server's user, without the variables of
// whoever runs the tests: PGHOST and its like would lead it elsewhere.
func (s Site) command(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = s.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "TMPDIR=" + s.Dir, "LC_ALL=C.UTF-8", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: unprivileged()}
	return cmd
}

// startTimeout is long because a cold machine with two busy cores is slow, and
// nobody waits for it unless something is broken.
const startTimeout = 60 * time.Second
