package auditlog

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answering is a witness that answers after a while, or only when it is told
// to stop.
type answering struct {
	name  string
	after time.Duration // negative: never
	err   error
}

func (w answering) Name() string { return w.name }

func (w answering) Cosign(ctx context.Context, _ []byte, _ func(uint64) ([][32]byte, error)) (Cosignature, error) {
	if w.after < 0 {
		<-ctx.Done()
		return Cosignature{}, context.Cause(ctx)
	}
	time.Sleep(w.after)
	return Cosignature{Line: "— " + w.name + " AAAA", Time: time.Now()}, w.err
}

// Witnesses that accept a connection and never answer are the cheapest way to
// keep a log unwitnessed: asked in turn, two of them use up the round's time.
func TestWitnessesThatHangDoNotStarveAQuorum(t *testing.T) {
	for name, tc := range map[string]struct {
		witnesses []Witness
		quorum    int
		want      int
		takes     time.Duration
	}{
		"all answer at once":      {[]Witness{answering{name: "a"}, answering{name: "b"}}, 2, 2, 0},
		"a quorum and a late one": {[]Witness{answering{name: "a"}, answering{name: "b", after: witnessGrace / 2}}, 1, 2, witnessGrace / 2},
		"two hang":                {[]Witness{answering{name: "a", after: -1}, answering{name: "b", after: -1}, answering{name: "c"}}, 1, 1, witnessGrace},
		"no quorum, one hangs":    {[]Witness{answering{name: "a", after: -1}, answering{name: "b"}}, 2, 1, witnessTimeout},
		"one refuses":             {[]Witness{answering{name: "a", err: errors.New("refused")}, answering{name: "b"}}, 2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &Log{opts: Options{Witnesses: tc.witnesses, Quorum: tc.quorum}}
				ctx, cancel := context.WithTimeout(t.Context(), witnessTimeout)
				defer cancel()
				begun := time.Now()
				cos, err := l.cosign(ctx, nil, nil)
				if took := time.Since(begun); len(cos) != tc.want || took != tc.takes {
					t.Errorf("%d cosignatures after %s, want %d after %s", len(cos), took, tc.want, tc.takes)
				}
				if tc.want < tc.quorum && err == nil {
					t.Error("no quorum, and no error says why")
				}
				l.tasks.Wait() // nobody is left behind
			})
		})
	}
}

func TestTheTimeIsTheQuorums(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	cos := func(offsets ...time.Duration) (list []Cosignature) {
		for _, o := range offsets {
			list = append(list, Cosignature{Time: at.Add(o)})
		}
		return append(list, Cosignature{})
	}
	for name, tc := range map[string]struct {
		cos    []Cosignature
		quorum int
		want   time.Time
	}{
		"one":                      {cos(0), 1, at},
		"a slow clock among three": {cos(time.Second, -time.Hour, 0), 2, at},
		"a fast clock among three": {cos(time.Second, time.Hour, 0), 2, at.Add(time.Second)},
		"too few state one":        {cos(0), 2, time.Time{}},
		"none is asked for":        {cos(), 0, time.Time{}},
	} {
		if got := vouched(tc.cos, tc.quorum); !got.Equal(tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// The wall clock is trusted as far as the monotonic clock and the witnesses
// agree with it. After a machine has slept, the witnesses alone can tell.
func TestClockRules(t *testing.T) {
	l := clockLog(t)
	ahead := func(d time.Duration) moment {
		m := present()
		m.wall = m.wall.Add(d)
		return m
	}
	for name, tc := range map[string]struct {
		now  moment
		says string
	}{
		"right":          {present(), ""},
		"a minute ahead": {ahead(time.Minute), ""},
		"an hour ahead":  {ahead(time.Hour), "set by 1h0m"},
		"behind the log": {ahead(-time.Hour), "set by -1h0m"},
	} {
		if err := l.clockError(tc.now); (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}

	awake := ahead(time.Hour) // the monotonic clock stood still
	l.anchor.at = awake.wall
	l.anchor.compareClocks(awake, awake)
	if err := l.clockError(awake); err != nil {
		t.Errorf("the witnesses agree with the clock after a sleep: %v", err)
	}

	for _, off := range []time.Duration{3 * time.Minute, -3 * time.Minute} {
		asked := present()
		l.anchor.finished(asked, 2, asked.wall.Add(off), nil)
		if err := l.clockError(present()); err == nil || !strings.Contains(err.Error(), "witnesses") {
			t.Errorf("the witnesses' time is off by %s: %v", off, err)
		}
	}
	l.anchor.finished(present(), 3, time.Time{}, nil) // a cosignature without a time proves none
	if err := l.clockError(present()); err == nil {
		t.Error("a witness without a clock made the error go away")
	}
	now := present()
	l.anchor.finished(now, 4, now.wall, nil)
	if err := l.clockError(present()); err != nil {
		t.Errorf("the witnesses agree again: %v", err)
	}
}

func clockLog(t *testing.T) *Log {
	t.Helper()
	signer, _, err := NewKeyFile(filepath.Join(t.TempDir(), "key"), "example.org/audit")
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(filepath.Join(t.TempDir(), "log"), signer, Options{SegmentSize: 256 << 10, Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
