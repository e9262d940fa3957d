package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A Process is a running server. Its methods fail the test that started it;
// call them from that test's goroutine. They are not safe for concurrent use.
type Process struct {
	Site

	t    testing.TB // nil for a shared server, which nobody outside may stop
	spec Spec
	path string
	log  *os.File
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has been waited for
}

// Start runs a server for one test, on a free port of 127.0.0.1, and returns
// when it is ready. The end of the test stops it and removes its directory.
// Without the program the test is skipped, or fails; see the package's text.
func Start(t testing.TB, spec Spec) *Process {
	t.Helper()
	p, err := launch(require(t, spec.Program, spec.Install), spec)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(p.discard)
	return p
}

// launch starts a server in a new directory. The port may be taken between
// our looking and the server's listening, so it tries a few.
func launch(path string, spec Spec) (*Process, error) {
	spec = spec.withDefaults()
	dir, err := newDir(spec.Program)
	if err != nil {
		return nil, err
	}
	p := &Process{Site: Site{Dir: dir}, spec: spec, path: path}
	if p.log, err = os.Create(p.Path("server.log")); err != nil {
		return nil, err
	}
	for range 3 {
		if p.Port, err = freePort(); err != nil {
			return nil, err
		}
		p.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port))
		if err = p.start(); err == nil {
			return p, nil
		}
	}
	p.discard()
	return nil, err
}

// freePort picks a port below the range from which the kernel serves outgoing
// connections (32768 and up on Linux), else one of those could take the port
// while a killed server is down.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1 between 20000 and 32000 in 100 tries")
}

// PID is the process id of the server's main process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is all that the server has printed so far.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Pause stops the server and its children with SIGSTOP: connections stay open
// and nothing answers, as if the machine hung. It returns when all have
// stopped.
func (p *Process) Pause() {
	p.t.Helper()
	p.must(p.pause())
}

// Resume lets a paused server go on.
func (p *Process) Resume() {
	p.t.Helper()
	p.must(p.signalAll(syscall.SIGCONT))
}

// Kill ends the server and its children with SIGKILL, without a chance to
// write anything, as if the power failed. It returns when all are gone.
func (p *Process) Kill() {
	p.t.Helper()
	p.must(p.kill())
}

// Stop asks the server to finish and waits for it.
func (p *Process) Stop() {
	p.t.Helper()
	p.must(p.stop())
}

// Restart starts the server again, with the same address and directory, and
// returns when it is ready. A running server is stopped first.
func (p *Process) Restart() {
	p.t.Helper()
	p.must(p.stop())
	p.must(p.start())
}

func (p *Process) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *Process) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := p.spec.Prepare(ctx, p.Site); err != nil {
		return fmt.Errorf("%s: %w", p.spec.Program, err)
	}
	cmd := p.command(exec.Command(p.path, p.spec.Args(p.Site)...)) //nolint:noctx // stopped by id, not by a context
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr.Setpgid = true // an interrupt from the terminal reaches the tests, and they stop it
	dieWithParent(cmd.SysProcAttr, p.spec.DeathSignal)
	if err := spawn(cmd); err != nil {
		return fmt.Errorf("%s: %w", p.spec.Program, err)
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the log says more than its exit code
	}()
	return p.waitReady(ctx)
}

func (p *Process) waitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.spec.Ready(ctx, p.Site)
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready:\n%s", p.spec.Program, p.Log())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s was not ready after %v: %w\n%s", p.spec.Program, startTimeout, err, p.Log()), p.kill())
		default:
		}
		if err == nil {
			return nil
		}
		<-tick.C
	}
}

func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signalAll signals the server and its descendants, parents first: a stopped
// parent starts no more children while we go on.
func (p *Process) signalAll(signal syscall.Signal) error {
	if !p.running() {
		return fmt.Errorf("%s is not running:\n%s", p.spec.Program, p.Log())
	}
	for _, pid := range family(p.PID()) {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%s: %v to process %d: %w", p.spec.Program, signal, pid, err)
		}
	}
	return nil
}

// pause signals twice, because a child may have been born between the listing
// and its parent's stop.
func (p *Process) pause() error {
	for range 2 {
		if err := p.signalAll(syscall.SIGSTOP); err != nil {
			return err
		}
		if err := await(family(p.PID()), state.stopped); err != nil {
			return fmt.Errorf("%s: pausing: %w", p.spec.Program, err)
		}
	}
	return nil
}

// kill pauses first, so that no parent sees its children die and reacts.
func (p *Process) kill() error {
	if !p.running() {
		return nil
	}
	if err := p.pause(); err != nil && p.running() {
		return err
	}
	pids := family(p.PID())
	if err := p.signalAll(syscall.SIGKILL); err != nil && p.running() {
		return err
	}
	<-p.done
	if err := await(pids, state.gone); err != nil {
		return fmt.Errorf("%s: killing: %w", p.spec.Program, err)
	}
	return nil
}

func (p *Process) stop() error {
	if !p.running() {
		return nil
	}
	if err := p.signalAll(syscall.SIGCONT); err != nil && p.running() {
		return err
	}
	if err := syscall.Kill(p.PID(), p.spec.StopSignal); err != nil && p.running() {
		return fmt.Errorf("%s: %v: %w", p.spec.Program, p.spec.StopSignal, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
		return errors.Join(fmt.Errorf("%s did not stop within 20s of %v:\n%s", p.spec.Program, p.spec.StopSignal, p.Log()), p.kill())
	}
}

// discard ends the server for good. Nobody needs its data, so there is no
// reason to wait for an orderly end, but children and shared memory must go.
func (p *Process) discard() {
	err := p.stop()
	p.spec.Cleanup(p.Site)
	_ = p.log.Close()
	err = errors.Join(err, os.RemoveAll(p.Dir))
	if err != nil && p.t != nil {
		p.t.Error(err)
	}
}

// await polls until all processes are in a state.
func await(pids []int, reached func(state) bool) error {
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range pids {
		for !reached(look(pid)) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d is still in state %+v after 10s", pid, look(pid))
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}
