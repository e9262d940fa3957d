package servers

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// requireVariable makes a missing program a failure instead of a skip.
const requireVariable = "SURETY_REQUIRE_SERVICES"

// Program returns the absolute path of a program, or skips the test, or fails
// it when SURETY_REQUIRE_SERVICES is set. install is the command that installs
// it on Debian.
func Program(t testing.TB, program, install string) string {
	t.Helper()
	return require(t, program, install)
}

// require returns the absolute path of a program, or skips the test, or fails
// it when requireVariable is set.
func require(t testing.TB, program, install string) string {
	t.Helper()
	path, ok := find(program)
	if ok {
		return path
	}
	text, fatal := missing(program, install, os.Getenv(requireVariable))
	if fatal {
		t.Fatal(text)
	}
	t.Skip(text)
	return ""
}

// missing says what to do about a program that is not installed. Any value of
// the variable but nothing and 0 makes it fatal: a typing error must not turn
// tests off.
func missing(program, install, variable string) (text string, fatal bool) {
	text = fmt.Sprintf("%s is not installed; install it with: %s", program, install)
	if variable == "" || variable == "0" {
		return text + " (with " + requireVariable + "=1 this is a failure)", false
	}
	return text, true
}

// find looks on PATH, then where Debian keeps servers that an ordinary user's
// PATH lacks.
func find(program string) (string, bool) {
	if path, err := exec.LookPath(program); err == nil {
		abs, err := filepath.Abs(path)
		return abs, err == nil
	}
	for _, dir := range systemDirs() {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, true
		}
	}
	return "", false
}

// systemDirs ends with PostgreSQL's own directories, highest version first.
func systemDirs() []string {
	pg, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
	slices.SortFunc(pg, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) })
	return append([]string{"/usr/local/sbin", "/usr/sbin", "/sbin"}, pg...)
}
