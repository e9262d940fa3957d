package servers

import (
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"
)

// unprivileged is the user that servers run as when the tests run as root:
// PostgreSQL refuses root, and the others have no need of it. It is nil when
// the tests don't run as root.
var unprivileged = sync.OnceValue(func() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"nobody", "postgres"} {
		if u, err := user.Lookup(name); err == nil {
			return credential(u)
		}
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534} // nobody by convention
})

func credential(u *user.User) *syscall.Credential {
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		panic("user " + u.Username + " has no numeric id")
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// own gives a file to the servers' user.
func own(path string) error {
	if c := unprivileged(); c != nil {
		return os.Chown(path, int(c.Uid), int(c.Gid))
	}
	return nil
}
