package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// options are the flags.
type options struct {
	group  string
	time   time.Duration
	rounds int
	write  string
	list   bool
}

func main() {
	testing.Init() // defines test.benchtime
	var o options
	flag.StringVar(&o.group, "group", "", "measure only the group of this `name`")
	flag.DurationVar(&o.time, "time", time.Second, "how long each run of a row takes")
	flag.IntVar(&o.rounds, "rounds", 5, "how often the rows run in turn")
	flag.StringVar(&o.write, "write", "", "put the tables into this Markdown `file` too")
	flag.BoolVar(&o.list, "list", false, "list the groups and measure nothing")
	flag.Parse()
	if err := run(os.Stdout, os.Stderr, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out, progress io.Writer, o options) error {
	if o.rounds < 1 || o.time <= 0 {
		return errors.New("-rounds and -time must be positive")
	}
	if err := flag.Set("test.benchtime", o.time.String()); err != nil {
		return err
	}
	chosen, err := choose(o.group)
	if err != nil {
		return err
	}
	for _, g := range chosen {
		if o.list {
			fmt.Fprintf(out, "%-12s %s\n", g.Name, g.Title)
			continue
		}
		results, err := measure(g, o.rounds, benchmark, func(line string) { fmt.Fprintln(progress, line) })
		if err != nil {
			return err
		}
		text := table(g, results, conditions(o))
		fmt.Fprintln(out, text)
		if err := writeInto(o.write, g.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// choose builds all groups, or the one of a name.
func choose(name string) ([]Group, error) {
	var chosen []Group
	var names []string
	for _, build := range groups {
		g := build()
		names = append(names, g.Name)
		if name == "" || name == g.Name {
			chosen = append(chosen, g)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no group %q; there are: %s", name, strings.Join(names, ", "))
	}
	return chosen, nil
}

// conditions say what the numbers hold for.
func conditions(o options) string {
	return fmt.Sprintf("%s %s/%s, %s, %d cores; median of %d rounds of %v.",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, processor(), runtime.GOMAXPROCS(0), o.rounds, o.time)
}

// processor is its name on Linux.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown processor"
}

func writeInto(file, group, text string) error {
	if file == "" {
		return nil
	}
	document, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	updated, err := insert(string(document), group, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(updated), 0o644) //nolint:gosec // documentation, for everyone to read
}
