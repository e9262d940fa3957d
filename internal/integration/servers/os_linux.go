package servers

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// dieWithParent asks the kernel to signal the process when its parent's
// thread ends; see spawn.
func dieWithParent(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }

// A state is what /proc knows about a process.
type state struct {
	parent  int
	letter  byte // R, S, D, T, Z, ...
	present bool
}

func (s state) stopped() bool { return !s.present || s.letter == 'T' || s.letter == 'Z' }
func (s state) gone() bool    { return !s.present || s.letter == 'Z' }

// look reads /proc/PID/stat: "pid (name) state ppid ...". The name may contain
// anything, also parentheses.
func look(pid int) state {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return state{}
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return state{}
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return state{parent: parent, letter: fields[0][0], present: err == nil}
}

// family is the process and all its descendants, parents first.
func family(pid int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{pid}
	}
	for _, e := range entries {
		if child, err := strconv.Atoi(e.Name()); err == nil {
			parent := look(child).parent
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}
