package servers

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// sweep waits until the test process is gone, which closes its standard
// input, and then removes what is left: first every process that works below
// the directory (a stopped one is continued first, so that it can take the
// signal it got on its parent's death), then the directory.
const sweep = `read -r never
i=0
while [ $i -lt 60 ]; do
	i=$((i + 1)); left=
	for p in /proc/[0-9]*; do
		case "$(readlink "$p/cwd" 2>/dev/null)" in
		"$1"/*) left=1; if [ $i -lt 30 ]; then kill -CONT "${p#/proc/}"; else kill -KILL "${p#/proc/}"; fi ;;
		esac
	done 2>/dev/null
	if [ -z "$left" ]; then rm -rf -- "$1" && exit; fi
	sleep 0.1
done`

// root is the directory of all servers of this test process. Its janitor is a
// shell, because nothing inside the process survives a SIGKILL or os.Exit.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "surety-servers-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the servers' user passes through, and can't list it
		return "", err
	}
	return dir, startJanitor(dir)
})

func startJanitor(dir string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", sweep, "janitor", dir)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is not for it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("janitor of %s: %w", dir, err)
	}
	held = w
	return nil
}

// held stays open until the process ends; a file nobody refers to would be
// closed by the garbage collector.
var held *os.File

// newDir makes a directory for one server.
func newDir(program string) (string, error) {
	base, err := root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(base, program+"-")
	if err != nil {
		return "", err
	}
	return dir, own(dir)
}
