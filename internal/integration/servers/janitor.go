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

// A home is the directory of all servers of this test process.
type home struct {
	dir   string
	alive *os.File // open until the process ends, which the janitor notices
}

// root makes the home and starts its janitor: a shell, because nothing inside
// the process survives a SIGKILL or os.Exit.
var root = sync.OnceValues(func() (home, error) {
	dir, err := os.MkdirTemp("", "surety-servers-")
	if err != nil {
		return home{}, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the servers' user passes through, and can't list it
		return home{}, err
	}
	alive, err := startJanitor(dir)
	return home{dir, alive}, err
})

func startJanitor(dir string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", sweep, "janitor", dir) //nolint:noctx // it must outlive every context
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is not for it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("janitor of %s: %w", dir, err)
	}
	return w, nil
}

// newDir makes a directory for one server.
func newDir(program string) (string, error) {
	base, err := root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(base.dir, program+"-")
	if err != nil {
		return "", err
	}
	return dir, own(dir)
}
