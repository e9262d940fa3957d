package main

import (
	"fmt"
	"strings"
	"time"
)

// table writes a group as Markdown.
func table(g Group, results []result, conditions string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s\n\n", g.Title, g.Note)
	b.WriteString("| case | what | | time | × floor | spread | MiB/s | B | allocations |\n")
	b.WriteString("|---|---|---|---:|---:|---:|---:|---:|---:|\n")
	last := ""
	for _, r := range results {
		name := r.Case
		if name == last {
			name = ""
		}
		last = r.Case
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.2f | %.0f %% | %s | %d | %d |\n", cell(name), r.Kind, cell(r.Name),
			duration(r.Nanoseconds), r.Ratio, r.Spread*100, throughput(r.PerSecond), r.Bytes, r.Allocs)
	}
	fmt.Fprintf(&b, "\n%s\n", conditions)
	return b.String()
}

// cell keeps text from ending its cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// duration has three digits that count.
func duration(nanoseconds float64) string {
	switch {
	case nanoseconds < 100:
		return fmt.Sprintf("%.1f ns", nanoseconds)
	case nanoseconds < 10e3:
		return fmt.Sprintf("%.0f ns", nanoseconds)
	case nanoseconds < 10e6:
		return fmt.Sprintf("%.1f µs", nanoseconds/1e3)
	case nanoseconds < 10e9:
		return fmt.Sprintf("%.1f ms", nanoseconds/1e6)
	}
	return time.Duration(nanoseconds).Round(100 * time.Millisecond).String()
}

func throughput(perSecond float64) string {
	if perSecond == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", perSecond)
}

// insert puts a group's text into a document, between two comments that name
// the group; at the end if they are not there yet.
func insert(document, group, text string) (string, error) {
	begin, end := "<!-- bench:"+group+" -->\n", "<!-- /bench:"+group+" -->\n"
	before, rest, found := strings.Cut(document, begin)
	if !found {
		if document != "" {
			document = strings.TrimRight(document, "\n") + "\n\n"
		}
		return document + begin + text + end, nil
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("the document has %q but not %q after it: mend it by hand", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + text + end + after, nil
}
