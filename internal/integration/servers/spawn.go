package servers

import (
	"os/exec"
	"runtime"
	"sync"
)

// spawner starts commands, all on one thread that lives as long as the
// process. The kernel sends the parent death signal when the parent *thread*
// ends, and the Go runtime ends threads as it likes: a server started from an
// ordinary goroutine would die at random.
var spawner = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func spawn(cmd *exec.Cmd) error {
	result := make(chan error)
	spawner() <- func() { result <- cmd.Start() }
	return <-result
}
