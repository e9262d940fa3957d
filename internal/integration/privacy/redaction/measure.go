package redaction

import (
	"slices"
	"strings"

	"github.com/surety-go/surety/privacy/redact"
)

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// A Score counts one type's matches.
type Score struct{ True, False, Missed int }

// Precision is the share of matches that are right.
func (s Score) Precision() float64 { return float64(s.True) / float64(max(1, s.True+s.False)) }

// Recall is the share of values that were found.
func (s Score) Recall() float64 { return float64(s.True) / float64(max(1, s.True+s.Missed)) }

// Measure compares what a redactor finds in lines with their labels. A match
// counts when it lies on the value and leaves at most a prefix or a suffix
// of punctuation, or an extension, outside.
func Measure(r *redact.Redactor, lines []Line) (scores map[redact.Type]*Score, mistakes []string) {
	scores = map[redact.Type]*Score{}
	score := func(t redact.Type) *Score {
		if scores[t] == nil {
			scores[t] = &Score{}
		}
		return scores[t]
	}
	for _, l := range lines {
		found := r.Find(nil, []byte(l.Text))
		for _, label := range l.Labels {
			at := strings.LastIndex(l.Text, label.Value)
			i := slices.IndexFunc(found, func(m redact.Match) bool {
				return m.Type == label.Type && m.Start <= at+2 && m.End >= at+len(label.Value)-1 && m.Start >= at-1
			})
			if i < 0 {
				score(label.Type).Missed++
				mistakes = append(mistakes, "missed "+label.Type.String()+": "+l.Text)
				continue
			}
			score(label.Type).True++
			found = slices.Delete(found, i, i+1)
		}
		for _, m := range found {
			score(m.Type).False++
			mistakes = append(mistakes, "wrong "+m.Type.String()+" "+l.Text[m.Start:m.End]+": "+l.Text)
		}
	}
	return scores, mistakes
}
