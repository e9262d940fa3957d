package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A family is a directory at the top, or a module below internal.
type family struct {
	name                 string
	files, functions     []int // lines of each, outside of tests
	codeLines, testLines int
	long                 []longFunction
}

type longFunction struct {
	at    token.Position
	name  string
	lines int
	test  bool
}

// String says whether it is a failure: in tests a long table of cases is fine.
func (l longFunction) String() string {
	verdict := "FAIL"
	if l.test {
		verdict = "note"
	}
	return fmt.Sprintf("%s %s:%d: %s has %d lines, more than %d", verdict, l.at.Filename, l.at.Line, l.name, l.lines, limits.function)
}

// measure reads all Go files but generated ones and test data.
func measure(root fs.FS) ([]family, error) {
	byName := map[string]*family{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f := byName[familyOf(name)]
		if f == nil {
			f = &family{name: familyOf(name)}
			byName[f.name] = f
		}
		return f.add(name, src)
	})
	families := make([]family, 0, len(byName))
	for _, f := range byName {
		families = append(families, *f)
	}
	slices.SortFunc(families, func(a, b family) int { return strings.Compare(a.name, b.name) })
	return families, err
}

// familyOf is the first directory, or the first two for internal.
func familyOf(name string) string {
	parts := strings.Split(path.Dir(name), "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

func (f *family) add(name string, src []byte) error {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(parsed) {
		return nil
	}
	lines := files.File(parsed.FileStart).LineCount()
	test := strings.HasSuffix(name, "_test.go")
	if test {
		f.testLines += lines
	} else {
		f.codeLines += lines
		f.files = append(f.files, lines)
	}
	for _, d := range parsed.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		begin, end := files.Position(fn.Pos()), files.Position(fn.End())
		n := end.Line - begin.Line + 1
		if !test {
			f.functions = append(f.functions, n)
		}
		if n > limits.function {
			f.long = append(f.long, longFunction{begin, fn.Name.Name, n, test})
		}
	}
	return nil
}

func (f family) row() string {
	return fmt.Sprintf("%-22s %6d %6s %5s %5d   %6d %6s %5s %5s   %s", f.name,
		len(f.files), over(quantile(f.files, 50), limits.fileMedian), over(quantile(f.files, 90), limits.fileP90), quantile(f.files, 100),
		len(f.functions), over(quantile(f.functions, 50), limits.functionMedian), over(quantile(f.functions, 90), limits.functionP90),
		over(quantile(f.functions, 100), limits.function), f.ratio())
}

func (f family) ratio() string {
	if f.codeLines == 0 {
		return "-"
	}
	r := float64(f.testLines) / float64(f.codeLines)
	text := fmt.Sprintf("%.2f", r)
	if r < limits.testRatio {
		text += "!"
	}
	return text
}

func over(n, limit int) string {
	if n > limit {
		return fmt.Sprintf("%d!", n)
	}
	return fmt.Sprintf("%d ", n) // so that digits stand below digits
}

// quantile is the smallest value that at least percent of the values don't
// exceed; 0 if there are none.
func quantile(values []int, percent int) int {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*percent+99)/100-1]
}
