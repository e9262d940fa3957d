package verify

import (
	"fmt"
	"time"
)

// A Kind sorts findings.
type Kind uint8

// The kinds of finding.
const (
	// Tampered says that data is not what was signed, or is missing.
	Tampered Kind = iota
	// Unwitnessed says that witnesses did not vouch as the policy demands.
	Unwitnessed
	// Time says that times contradict each other, or witnesses' times.
	Time
	// Lost says that events were recorded and never written.
	Lost
)

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"tampered", "unwitnessed", "time", "lost"}[min(k, Lost)]
}

// NoIndex is the index of a finding that concerns no single entry.
const NoIndex = ^uint64(0)

// A Finding is one thing that is not as it must be.
type Finding struct {
	Kind    Kind
	Index   uint64 // of the first entry concerned, or NoIndex
	Where   string // the file, below the log's directory
	Problem string // one sentence
}

// String writes the finding on one line.
func (f Finding) String() string {
	s := f.Kind.String() + ": "
	if f.Index != NoIndex {
		s += fmt.Sprintf("entry %d: ", f.Index)
	}
	if f.Where != "" {
		s += f.Where + ": "
	}
	return s + f.Problem
}

// A Report is the outcome of a verification.
type Report struct {
	Origin   string
	Entries  uint64 // below the checkpoint, all checked
	Pruned   uint64 // entries that were pruned, as the log records
	Pending  uint64 // in segments, not yet below a checkpoint
	Root     [32]byte
	Cosigned uint64    // size of the last checkpoint that a quorum of witnesses cosigned
	At       time.Time // the time they stated
	Anchors  int       // number of such checkpoints
	Findings []Finding // empty when all is well; at most 100
	more     int
}

// OK reports whether the log is what it must be.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

// FirstBad returns the smallest index of an entry that was tampered with, or
// ok = false if none can be named.
func (r *Report) FirstBad() (index uint64, ok bool) {
	index = NoIndex
	for _, f := range r.Findings {
		if f.Kind == Tampered {
			index = min(index, f.Index)
		}
	}
	return index, index != NoIndex
}

const maxFindings = 100

func (r *Report) add(k Kind, index uint64, where, format string, args ...any) {
	if len(r.Findings) >= maxFindings {
		r.more++
		return
	}
	r.Findings = append(r.Findings, Finding{k, index, where, fmt.Sprintf(format, args...)})
}

// Verdict is the outcome in one line.
func (r *Report) Verdict() string {
	s := fmt.Sprintf("%s: %d entries verified", r.Origin, r.Entries)
	if r.Pruned > 0 {
		s += fmt.Sprintf(", %d before them pruned", r.Pruned)
	}
	if r.Pending > 0 {
		s += fmt.Sprintf(", %d more not yet under a checkpoint", r.Pending)
	}
	switch {
	case !r.OK():
		s = fmt.Sprintf("%s: NOT VERIFIED: %d findings", r.Origin, len(r.Findings)+r.more)
		if i, ok := r.FirstBad(); ok {
			s += fmt.Sprintf(", first bad entry %d", i)
		}
	case r.Anchors == 0:
		s += "; no witness was asked for: this proves nothing against the operator"
	default:
		s += fmt.Sprintf("; %d of them witnessed by %s", r.Cosigned, r.At.Format(time.RFC3339))
	}
	return s
}
