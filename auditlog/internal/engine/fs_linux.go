package engine

import (
	"os"
	"runtime"
	"syscall"
)

// Sync calls fdatasync: the size of a prepared segment never changes, so the
// inode's times are all that is left out.
func (f osFile) Sync() error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return err
		}
	}
}

// Free returns the bytes an unprivileged process can still write.
func (OS) Free(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// syncfs is the number of the system call, which package syscall has not.
var syncfs = map[string]uintptr{
	"amd64": 306, "386": 344, "arm": 373, "arm64": 267, "riscv64": 267,
	"loong64": 267, "ppc64le": 348, "s390x": 338,
}[runtime.GOARCH]

// syncFS syncs the file system that holds root: one call instead of one per
// file. It reports false where there is no such call.
func syncFS(root string) (bool, error) {
	if syncfs == 0 {
		return false, nil
	}
	d, err := os.Open(root)
	if err != nil {
		return true, err
	}
	defer d.Close()
	if _, _, errno := syscall.Syscall(syncfs, d.Fd(), 0, 0); errno != 0 {
		return errno != syscall.ENOSYS, errno
	}
	return true, nil
}
