package monitor

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// steady makes an hour of heartbeats every minute and probes every ten.
func steady() (list []Entry) {
	add := func(e Entry) {
		e.Seq = uint64(len(list) + 1)
		list = append(list, e)
	}
	for minute := range 60 {
		at := day.Add(time.Duration(minute) * time.Minute)
		add(Entry{Kind: Heartbeat, At: at, Every: time.Minute})
		if minute%10 == 0 {
			add(Entry{Kind: Probed, At: at, Control: "a.b", ID: "a.b", State: controls.Pass, Every: 10 * time.Minute})
		}
	}
	return list
}

func TestGaps(t *testing.T) {
	end := day.Add(time.Hour)
	cases := []struct {
		name   string
		change func([]Entry) []Entry
		want   string // kind and control of each gap
	}{
		{"none", func(e []Entry) []Entry { return e }, ""},
		{"an entry is missing", func(e []Entry) []Entry { return append(e[:5], e[6:]...) }, "lost silent"},
		{"entries are missing and the rest renumbered", func(e []Entry) []Entry {
			e = append(e[:5], e[9:]...)
			for i := range e {
				e[i].Seq = uint64(i + 1)
			}
			return e
		}, "silent"},
		{"a number is repeated", func(e []Entry) []Entry { e[5].Seq = e[4].Seq; return e }, "lost lost"},
		{"the order of the slice does not matter", func(e []Entry) []Entry { e[3], e[9] = e[9], e[3]; return e }, ""},
		{"the end is missing", func(e []Entry) []Entry { return e[:40] }, "silent"},
		{"the start is missing", func(e []Entry) []Entry { return e[20:] }, "silent"},
		{"a probe is missing", func(e []Entry) []Entry { e[23].Kind, e[23].Control, e[23].Every = Heartbeat, "", time.Minute; return e }, "late a.b"},
		{"a control is new", func(e []Entry) []Entry {
			for i := range 40 {
				if e[i].Kind == Probed {
					e[i].Kind, e[i].Control, e[i].Every = Heartbeat, "", time.Minute
				}
			}
			return e
		}, "new a.b"},
		{"a probe is missing before a silence", func(e []Entry) []Entry {
			e[12].Kind, e[12].Control, e[12].Every = Heartbeat, "", time.Minute
			return append(e[:20], e[40:]...)
		}, "late a.b lost silent"},
		{"a control vanished", func(e []Entry) []Entry { e[23].Kind = Vanished; return e }, "gone a.b"},
		{"nothing at all", func([]Entry) []Entry { return nil }, "silent"},
		{"an entry is back-dated", func(e []Entry) []Entry {
			e[30].At = e[30].At.Add(-20 * time.Minute)
			return e
		}, "clock silent"},
		{"a failed probe is no gap", func(e []Entry) []Entry { e[1].State = controls.Fail; return e }, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, g := range Gaps(tc.change(steady()), day, end) {
				got = append(got, strings.TrimSpace(string(g.Kind)+" "+g.Control))
				if g.To.Before(g.From) || g.Detail == "" || g.String() == "" {
					t.Errorf("gap %+v", g)
				}
			}
			if s := strings.Join(got, " "); s != tc.want {
				t.Errorf("gaps %q, want %q", s, tc.want)
			}
		})
	}
}

func TestEntryJSON(t *testing.T) {
	e := Entry{
		Seq: 7, Kind: Probed, At: day, Control: "a.b/c", ID: "a.b", Instance: "c", State: controls.Fail, Observed: "x",
		Took: time.Second, Every: time.Hour, Parameters: []controls.Parameter{controls.Int("n", 1)},
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Entry
	if err := json.Unmarshal(b, &back); err != nil || back.State != controls.Fail || back.Every != time.Hour || !back.At.Equal(day) {
		t.Errorf("%s came back as %+v, %v", b, back, err)
	}
	if json.Unmarshal([]byte(`{"kind":"guess"}`), &back) == nil {
		t.Error("an unknown kind was taken")
	}
}

func TestMemoryThatIsFullShowsAGap(t *testing.T) {
	m := NewMemory()
	for i := range maxMemory + 1 {
		if _, err := m.Append(t.Context(), "t", Entry{Kind: Heartbeat, At: day.Add(time.Duration(i) * time.Second), Every: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	var list []Entry
	_ = m.Range(t.Context(), "t", day, day.Add(1e6*time.Second), func(e Entry) bool { list = append(list, e); return true })
	if len(list) != maxMemory-maxMemory/10+1 {
		t.Errorf("%d entries are kept", len(list))
	}
	gaps := Gaps(list, day, day.Add(maxMemory*time.Second))
	if len(gaps) != 1 || gaps[0].Kind != Silent || !gaps[0].From.Equal(day) {
		t.Errorf("gaps %v, want the dropped start", gaps)
	}
}

// Whatever stretch of a steady history is cut out, and whether or not the rest
// is renumbered, a gap covers it.
func TestEveryCutShows(t *testing.T) {
	end := day.Add(time.Hour)
	n := len(steady())
	for from := 0; from < n; from += 2 {
		for _, length := range []int{3, 17, n - from} {
			to := min(from+length, n)
			if to-from < 3 {
				continue // two neighbours may be a heartbeat and a probe of one moment
			}
			for _, renumbered := range []bool{false, true} {
				whole := steady()
				rest := append(append([]Entry(nil), whole[:from]...), whole[to:]...)
				for i := range rest {
					if renumbered {
						rest[i].Seq = uint64(i + 1)
					}
				}
				cutFrom, cutTo := whole[from].At, whole[to-1].At
				covered := false
				for _, g := range Gaps(rest, day, end) {
					covered = covered || !g.From.After(cutFrom) && !g.To.Before(cutTo)
				}
				if !covered {
					t.Fatalf("entries %d to %d are cut out (renumbered %v) and no gap covers it", from, to, renumbered)
				}
			}
		}
	}
}

// The entries may come from a hostile bundle.
func FuzzGaps(f *testing.F) {
	seed, err := json.Marshal(steady()[:6])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, int64(0), int64(time.Hour))
	f.Add([]byte(`[{"seq":18446744073709551615,"kind":"heartbeat","every_ns":-9223372036854775808}]`), int64(-1), int64(1))
	f.Add([]byte(`[{"seq":1,"kind":"vanished","control":"a"},{"seq":1,"kind":"probed","control":"a","every_ns":9223372036854775807}]`), int64(5), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, from, to int64) {
		var entries []Entry
		if json.Unmarshal(data, &entries) != nil {
			return
		}
		before := len(entries)
		for _, g := range Gaps(entries, day.Add(time.Duration(from)), day.Add(time.Duration(to))) {
			if g.Kind == "" || g.Detail == "" {
				t.Fatalf("gap %+v", g)
			}
		}
		if len(entries) != before {
			t.Fatal("the caller's entries changed")
		}
	})
}
