// Command sizes reports how long files and functions are, and how much test
// there is for the code, against the limits of docs/design.md.
//
//	GOWORK=off go run -C internal/tools ./sizes ../..
//
// It only reports, except that a function of more than 100 lines outside of
// tests makes it exit with status 1.
package main

import (
	"fmt"
	"io"
	"os"
)

// limits are what a family is measured against. Above a limit the report shows
// a mark.
var limits = struct {
	functionMedian, functionP90, function int // lines
	fileMedian, fileP90                   int // lines
	testRatio                             float64
}{10, 30, 100, 150, 450, 1}

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	families, err := measure(os.DirFS(root))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sizes:", err)
		os.Exit(1)
	}
	if !report(os.Stdout, families) {
		os.Exit(1)
	}
}

// report writes the table, and tells whether no function is too long.
func report(w io.Writer, families []family) bool {
	fmt.Fprintf(w, "%-22s %25s   %25s   %s\n", "", "lines a file", "lines a function", "test lines")
	fmt.Fprintf(w, "%-22s %6s %6s %5s %5s   %6s %6s %5s %5s   %s\n",
		"family", "files", "median", "p90", "max", "number", "median", "p90", "max", "a code line")
	for _, f := range families {
		fmt.Fprintln(w, f.row())
	}
	fmt.Fprintln(w, "! is over the limit")
	ok := true
	for _, f := range families {
		for _, long := range f.long {
			fmt.Fprintln(w, long)
			ok = ok && long.test
		}
	}
	return ok
}
