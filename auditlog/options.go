package auditlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog/internal/engine"
)

// Options are the settings of a [Log]. The zero value is safe, except that a
// log without witnesses proves nothing against its own operator; its control
// says so.
type Options struct {
	// Table gives every event its acknowledgement; default [DefaultTable].
	Table Table
	// CheckpointEvery is the time between signed checkpoints; default 1 s,
	// at least 10 ms.
	CheckpointEvery time.Duration
	// Witnesses cosign checkpoints. They belong to other parties.
	Witnesses []Witness
	// Quorum is how many witnesses must cosign; default all.
	Quorum int
	// WitnessEvery is the time between cosigned checkpoints; default 5 min.
	WitnessEvery time.Duration
	// WitnessGap is the time without one after which the log's control
	// fails; default 15 min.
	WitnessGap time.Duration
	// AggregateEvery is the interval of aggregated events; default 1 min.
	AggregateEvery time.Duration
	// AggregateKinds bounds the kinds of aggregated events that are told
	// apart within an interval; default 1024. Further ones are counted
	// together under the action auditlog.aggregate.rest.
	AggregateKinds int
	// DropWhenFull drops asynchronous events while the disk can't keep up,
	// instead of making their callers wait. Drops show as gaps in the sequence
	// and as an event, and in evidence.
	DropWhenFull bool
	// Reserve is the space in bytes that the log leaves free on the disk;
	// default 1 GiB. At twice the reserve [Log.Ready] warns; once it is
	// reached the log takes what its prepared segments hold and then answers
	// [ErrFull].
	Reserve int64
	// SegmentSize is the size of a segment file in bytes; default 64 MiB.
	SegmentSize int64
	// Store, when set, remembers the last checkpoint outside the directory, so
	// that an old copy of the directory is refused instead of being continued
	// with a second history. See [FileStore].
	Store CheckpointStore
}

// A CheckpointStore remembers one signed checkpoint.
type CheckpointStore interface {
	// Load returns the last checkpoint, or nothing.
	Load() ([]byte, error)
	// Swap replaces old by new, or fails if old is not what is stored.
	Swap(old, new []byte) error
}

func (o *Options) setDefaults() {
	if o.Table == nil {
		o.Table = DefaultTable()
	}
	setDefault(&o.CheckpointEvery, time.Second)
	setDefault(&o.WitnessEvery, 5*time.Minute)
	setDefault(&o.WitnessGap, 15*time.Minute)
	setDefault(&o.AggregateEvery, time.Minute)
	setDefault(&o.AggregateKinds, 1024)
	setDefault(&o.Quorum, len(o.Witnesses))
	setDefault(&o.Reserve, 1<<30)
	setDefault(&o.SegmentSize, engine.DefaultSegment)
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// validate reports an option that makes no sense, by name.
func (o *Options) validate() error {
	switch {
	case o.CheckpointEvery < 10*time.Millisecond:
		return badOption("CheckpointEvery", o.CheckpointEvery, "at least 10ms")
	case o.WitnessEvery < time.Second:
		return badOption("WitnessEvery", o.WitnessEvery, "at least 1s")
	case o.WitnessGap < o.WitnessEvery:
		return badOption("WitnessGap", o.WitnessGap, "at least WitnessEvery")
	case o.AggregateEvery < 10*time.Millisecond:
		return badOption("AggregateEvery", o.AggregateEvery, "at least 10ms")
	case o.AggregateKinds < 1 || o.AggregateKinds > 1<<20:
		return badOption("AggregateKinds", o.AggregateKinds, "1 to 1048576")
	case o.Quorum < 0 || o.Quorum > len(o.Witnesses):
		return badOption("Quorum", o.Quorum, "at most the number of Witnesses")
	case o.Reserve < 0:
		return badOption("Reserve", o.Reserve, "0 or more bytes")
	}
	for _, w := range o.Witnesses {
		if w == nil {
			return errors.New("auditlog: Options.Witnesses holds a nil witness")
		}
	}
	return nil
}

func badOption(name string, value any, want string) error {
	return fmt.Errorf("auditlog: Options.%s is %v, want %s", name, value, want)
}
