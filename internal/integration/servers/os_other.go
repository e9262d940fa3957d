//go:build unix && !linux

package servers

import "syscall"

// dieWithParent does nothing: only Linux can.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

type state struct{ present bool }

func (s state) stopped() bool { return true } // there is no portable way to know
func (s state) gone() bool    { return !s.present }

func look(pid int) state { return state{present: syscall.Kill(pid, 0) == nil} }

func family(pid int) []int { return []int{pid} }
