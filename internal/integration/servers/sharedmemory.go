package servers

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// freeSharedMemory removes the System V segment that a killed PostgreSQL
// leaves behind; the kernel keeps segments for ever and has room for some
// thousands. A PostgreSQL that ends by itself removes it, and postmaster.pid.
func freeSharedMemory(site Site) {
	text, err := os.ReadFile(site.Path("data/postmaster.pid"))
	if err != nil {
		return
	}
	if id, ok := sharedMemoryID(string(text)); ok {
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) // gone already is as good
	}
}

// sharedMemoryID reads the segment's id from postmaster.pid: line 7 is its key
// and its id.
func sharedMemoryID(text string) (int, bool) {
	lines := strings.Split(text, "\n")
	if len(lines) < 7 {
		return 0, false
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return 0, false
	}
	id, err := strconv.Atoi(fields[1])
	return id, err == nil
}
