package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/surety-go/surety"

// A pkg is what go list says of a package.
type pkg struct {
	ImportPath   string
	Standard     bool
	Module       *struct{ Path string }
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	Error        *struct{ Err string }
	DepsErrors   []struct{ Err string }
}

// packages are by import path.
type packages map[string]pkg

// of is the module of a package; empty for the standard library.
func (ps packages) of(importPath string) string {
	if m := ps[importPath].Module; m != nil {
		return m.Path
	}
	return ""
}

// ours tells which packages this policy is about, and their path in the
// module.
func (p pkg) ours() (string, bool) {
	if p.ImportPath == module {
		return "", false
	}
	return strings.CutPrefix(p.ImportPath, module+"/")
}

// goList runs go list in the root directory.
func goList(t *testing.T, env []string, args ...string) packages {
	t.Helper()
	readTree(t)
	fields := "-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports,Deps,Error,DepsErrors"
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", fields}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), append(env, "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	return decode(t, out)
}

func decode(t *testing.T, out []byte) packages {
	t.Helper()
	all := packages{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// readTree opens every directory. go test caches a result until a file or
// directory that the test opened changes, but knows nothing of what go list
// reads.
func readTree(t *testing.T) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
