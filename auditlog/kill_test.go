package auditlog_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
)

var kills = flag.Int("kills", 1000, "how often TestKill kills the writing process; up to 1000, within a minute")

var events = flag.Int("events", 200_000, "how many events TestManyEvents writes before its process ends")

const (
	childEnv = "SURETY_AUDITLOG_TEST_CHILD"
	manyEnv  = "SURETY_AUDITLOG_TEST_MANY" // the child writes so many events and ends
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if n, err := strconv.Atoi(os.Getenv(manyEnv)); err == nil {
			writeMany(dir, n)
		}
		child(dir)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// child writes events until it is killed and prints what was acknowledged.
func child(dir string) {
	signer, _, err := auditlog.KeyFile(filepath.Join(dir, "key"), origin)
	if err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
	opts := small
	opts.CheckpointEvery = 10 * time.Millisecond
	l, err := auditlog.Open(filepath.Join(dir, "log"), signer, opts)
	if err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
	fmt.Println("OPEN")
	for c := range 4 {
		go func() {
			for i := 0; ; i++ {
				ev := event("kill.step")
				ev.Attrs = []auditlog.Attr{auditlog.String("pad", strings.Repeat("x", (i*c*37)%3000))}
				r, err := l.Append(context.Background(), ev, auditlog.Durable)
				if err != nil {
					fmt.Println("ERROR", err)
					os.Exit(1)
				}
				os.Stdout.WriteString(fmt.Sprintf("%d %s\n", r.Index, r.ID)) // one write
			}
		}()
	}
	select {}
}

// TestKill kills the writing process again and again. Afterwards every event
// that was acknowledged is at its place, and no event is there twice. A kill
// leaves what was written in the system's memory, so it can't expose a missing
// sync: the engine's tests do that.
func TestKill(t *testing.T) {
	n := *kills
	slice := time.Now().Add(time.Minute)
	dir := t.TempDir()
	signer, _, err := auditlog.NewKeyFile(filepath.Join(dir, "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	acked := make(map[uint64]string)
	done := 0
	for ; done < n && (time.Now().Before(slice) || n > 1000); done++ {
		killOnce(t, dir, acked)
	}
	if done < min(n, 100) {
		t.Errorf("%d kills in a minute: the log opens too slowly", done)
	}
	t.Logf("%d kills, %d acknowledged events", done, len(acked))
	l := open(t, filepath.Join(dir, "log"), signer, small)
	ids := make(map[auditlog.ID]uint64)
	for e, err := range l.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := acked[e.Index]; ok && want != e.ID.String() {
			t.Fatalf("entry %d is not the one that was acknowledged", e.Index)
		}
		if at, twice := ids[e.ID]; twice {
			t.Fatalf("entries %d and %d are the same event", at, e.Index)
		}
		ids[e.ID] = e.Index
		delete(acked, e.Index)
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged events are lost", len(acked))
	}
}

// killOnce runs a child for a moment and adds what it was promised.
func killOnce(t *testing.T, dir string, acked map[uint64]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "ERROR") {
			t.Fatal(line)
		}
		once.Do(func() {
			time.AfterFunc(time.Duration(rand.IntN(6_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		})
		var index uint64
		var id string
		if _, err := fmt.Sscan(line, &index, &id); err == nil && len(id) == 36 {
			acked[index] = id
		}
	}
	_ = cmd.Wait() // killed
}

// writeMany writes n events without waiting, prints the heap after each tenth
// of them, and ends without closing the log.
func writeMany(dir string, n int) {
	signer, _, err := auditlog.KeyFile(filepath.Join(dir, "key"), origin)
	if err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
	l, err := auditlog.Open(filepath.Join(dir, "log"), signer, auditlog.Options{Reserve: 1 << 20, CheckpointEvery: time.Hour})
	if err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
	ev := event("records.update")
	ev.Attrs = []auditlog.Attr{auditlog.String("pad", strings.Repeat("x", 200))}
	for i := range n {
		ack := auditlog.Async
		if (i+1)%(n/10) == 0 {
			ack = auditlog.Durable
		}
		if _, err := l.Append(context.Background(), ev, ack); err != nil {
			fmt.Println("ERROR", err)
			os.Exit(1)
		}
		if ack == auditlog.Durable {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Println(m.HeapAlloc)
		}
	}
	os.Exit(0)
}

// Memory does not depend on how many events there are, and a log whose process
// ended far beyond its last checkpoint opens with all of them: with -events
// 10000000 it had reused its segments long ago.
func TestManyEvents(t *testing.T) {
	dir := t.TempDir()
	signer, _, err := auditlog.NewKeyFile(filepath.Join(dir, "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, manyEnv+"="+strconv.Itoa(*events))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var heap []uint64
	for line := range strings.Lines(string(out)) {
		n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatal(line)
		}
		heap = append(heap, n)
	}
	if len(heap) != 10 {
		t.Fatalf("%s", out)
	}
	if early, late := max(heap[1], heap[2], heap[3]), min(heap[7], heap[8], heap[9]); late > early+early/2+(4<<20) {
		t.Errorf("the heap grows from %d to %d bytes", early, late)
	}
	before := time.Now()
	l := open(t, filepath.Join(dir, "log"), signer, auditlog.Options{Reserve: 1 << 20})
	t.Logf("%d events: heap %d to %d kB, opened in %s", *events, heap[0]/1000, heap[9]/1000, time.Since(before).Round(time.Millisecond))
	if want := uint64(*events) + 2; l.Size() != want { // and two openings
		t.Errorf("%d entries, want %d", l.Size(), want)
	}
}
