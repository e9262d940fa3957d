package auditlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog"
)

// ErrOutsideTest answers every call of a test double in a production binary.
var ErrOutsideTest = errors.New("auditlogtest: refused outside a test")

// A Recorder keeps events in memory. It is as strict as the log: an event is
// stamped, written in canonical JSON and read back, so that an invalid event,
// one that is too large and one with an unsealed personal attribute are
// refused here too. The zero Recorder is ready, and safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	fail    error
	entries []auditlog.Entry
}

// Record keeps the event, or answers with the error given to [Recorder.FailWith].
func (r *Recorder) Record(ctx context.Context, ev auditlog.Event) error {
	if !testing.Testing() {
		return ErrOutsideTest
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	e, err := stored(ctx, ev)
	if err != nil {
		return err
	}
	r.entries = append(r.entries, e)
	return nil
}

// stored is the event as it would come back from a log.
func stored(ctx context.Context, ev auditlog.Event) (auditlog.Entry, error) {
	e, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		return auditlog.Entry{}, err
	}
	b, err := e.AppendJSON(nil)
	if err != nil {
		return auditlog.Entry{}, err
	}
	return auditlog.ParseEntry(b)
}

// FailWith makes every following Record return err; nil ends that.
func (r *Recorder) FailWith(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Reset forgets the events recorded so far, not the failure.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = nil
}

// Entries returns what was recorded, oldest first.
func (r *Recorder) Entries() []auditlog.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.entries)
}

// Events returns the events that were recorded, oldest first.
func (r *Recorder) Events() []auditlog.Event {
	entries := r.Entries()
	events := make([]auditlog.Event, len(entries))
	for i := range entries {
		events[i] = entries[i].Event
	}
	return events
}

// Find returns the entries with the action, oldest first.
func (r *Recorder) Find(action string) []auditlog.Entry {
	return slices.DeleteFunc(r.Entries(), func(e auditlog.Entry) bool { return e.Action != action })
}

// JSON returns the entries in canonical JSON, one a line.
func (r *Recorder) JSON() []byte {
	var buf bytes.Buffer
	for _, e := range r.Entries() {
		b, err := e.AppendJSON(nil)
		if err != nil { // it was written this way before
			panic(err)
		}
		buf.Write(b)
		buf.WriteByte('\n')
	}
	return buf.Bytes()
}

// Want fails the test unless exactly one entry has the action, and with the
// given outcome; it returns that entry.
func (r *Recorder) Want(tb testing.TB, action string, outcome auditlog.Outcome) auditlog.Entry {
	tb.Helper()
	found := r.Find(action)
	if len(found) != 1 || found[0].Outcome != outcome {
		tb.Fatalf("want one event %s %s; recorded are:%s", action, outcome, r.list())
	}
	return found[0]
}

// WantNone fails the test if an entry has one of the actions, or, without
// actions, if there is any entry.
func (r *Recorder) WantNone(tb testing.TB, actions ...string) {
	tb.Helper()
	for _, e := range r.Entries() {
		if len(actions) == 0 || slices.Contains(actions, e.Action) {
			tb.Errorf("want no event %s; recorded are:%s", strings.Join(actions, " or "), r.list())
			return
		}
	}
}

// WantWithout fails the test if one of the texts, such as a password or an
// email address, stands anywhere in the entries.
func (r *Recorder) WantWithout(tb testing.TB, texts ...string) {
	tb.Helper()
	all := r.JSON()
	for i, text := range texts {
		if text == "" {
			tb.Errorf("text %d is empty: the check would say nothing", i)
		} else if bytes.Contains(all, []byte(text)) {
			tb.Errorf("text %d of %d bytes stands in the log", i, len(text))
		}
	}
}

func (r *Recorder) list() string {
	var b strings.Builder
	for _, e := range r.Entries() {
		fmt.Fprintf(&b, "\n\t%s %s", e.Action, e.Outcome)
		if e.Reason != "" {
			fmt.Fprintf(&b, " (%s)", e.Reason)
		}
	}
	if b.Len() == 0 {
		return " none"
	}
	return b.String()
}

// Attr returns the value of an entry's attribute as text, and whether the
// entry has it. A sealed value has no text.
func Attr(e auditlog.Entry, key string) (string, bool) {
	for _, a := range e.Attrs {
		if a.Key == key {
			return a.Text(), true
		}
	}
	return "", false
}
