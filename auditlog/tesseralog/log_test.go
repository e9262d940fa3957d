package tesseralog_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/auditlog/tesseralog"
	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/auditlog/witness"
	"github.com/surety-go/surety/controls"
)

const origin = "example.org/audit"

var quick = tesseralog.Options{CheckpointEvery: 100 * time.Millisecond}

// A place is where a log is, and its key.
type place struct {
	dir    string
	signer note.Signer
	vkey   string
}

func newPlace(t testing.TB) *place {
	t.Helper()
	root := t.TempDir()
	signer, vkey, err := auditlog.NewKeyFile(filepath.Join(root, "key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	return &place{filepath.Join(root, "log"), signer, vkey}
}

func (p *place) open(t testing.TB, o tesseralog.Options) *tesseralog.Log {
	t.Helper()
	driver, err := posix.New(t.Context(), posix.Config{Path: p.dir})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tesseralog.New(t.Context(), driver, p.signer, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func event(action string) auditlog.Event {
	return auditlog.Event{Action: action, Outcome: auditlog.Success, Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}}
}

func all(ctx context.Context, l *tesseralog.Log) (list []auditlog.Entry, err error) {
	for e, err := range l.Entries(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(e.Action, "auditlog.tessera.") {
			list = append(list, e.Entry)
		}
	}
	return list, nil
}

// published waits until all that was recorded is published.
func published(t testing.TB, l *tesseralog.Log) {
	t.Helper()
	if _, err := l.Append(t.Context(), event("auditlog.tessera.mark"), auditlog.Published); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	auditlogtest.TestRecorder(t, func(t *testing.T) auditlogtest.Store {
		l := newPlace(t).open(t, quick)
		return auditlogtest.Store{Recorder: l, Entries: func(ctx context.Context) ([]auditlog.Entry, error) {
			published(t, l)
			return all(ctx, l)
		}}
	})
}

// What Tessera wrote, auditverify's package checks, through restarts; and a
// changed entry is found.
func TestTheLogVerifies(t *testing.T) {
	p := newPlace(t)
	for life := range 2 {
		l := p.open(t, quick)
		var callers sync.WaitGroup
		for c := range 8 {
			callers.Go(func() {
				for i := range 40 {
					ev := event("records.update")
					ev.Attrs = []auditlog.Attr{auditlog.Int("life", life), auditlog.Int("caller", c), auditlog.Int("i", i)}
					if err := l.Record(t.Context(), ev); err != nil {
						t.Error(err)
					}
				}
			})
		}
		callers.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := verify.Dir(t.Context(), p.dir, verify.Policy{Key: p.vkey}, nil)
	if err != nil || !r.OK() || r.Entries != 640 {
		t.Fatalf("%s: %v, %v", r.Verdict(), r.Findings, err)
	}
	name := filepath.Join(p.dir, "tile", "entries", "000")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(string(b), "u-1", "u-2", 1)
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := verify.Dir(t.Context(), p.dir, verify.Policy{Key: p.vkey}, nil); err != nil || r.OK() {
		t.Errorf("a changed entry verifies: %s, %v", r.Verdict(), err)
	}
}

// newWitness runs a witness of our own for the log; handle stands before it.
func (p *place) newWitness(t testing.TB, name string, handle func(http.Handler) http.Handler) tesseralog.Witness {
	t.Helper()
	dir := t.TempDir()
	key, err := witness.NewKey(filepath.Join(dir, "key"), name, witness.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	s, err := witness.NewServer(key, filepath.Join(dir, "state"), p.vkey)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(handle(s))
	t.Cleanup(ts.Close)
	return tesseralog.Witness{URL: ts.URL, Key: key.Public()}
}

func plain(h http.Handler) http.Handler { return h }

// Our witness cosigns Tessera's checkpoints, the log keeps them, and an auditor
// with the witness's key sees every entry between two times.
func TestWitnessed(t *testing.T) {
	p := newPlace(t)
	o := quick
	o.Witnesses = []tesseralog.Witness{p.newWitness(t, "w.example/1", plain)}
	o.WitnessGap = time.Second // a mark each third of it
	l := p.open(t, o)
	r, err := l.Append(t.Context(), event("records.update"), auditlog.Witnessed)
	if err != nil || r.Ack != auditlog.Witnessed {
		t.Fatalf("%+v, %v", r, err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		ok := true
		for _, c := range l.Controls() {
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			ok = ok && c.Run(t.Context()).State == controls.Pass
		}
		if ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the controls never pass")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := verify.Dir(t.Context(), p.dir, verify.Policy{Key: p.vkey, Witnesses: []string{o.Witnesses[0].Key}}, nil)
	if err != nil || !report.OK() || report.Anchors < 2 || report.At.IsZero() {
		t.Errorf("%s: %v, %v", report.Verdict(), report.Findings, err)
	}
}

// Without the witnesses' word nothing is published: the event is durable, and
// whoever asked for more is told.
func TestSilentWitnessesHoldUpPublication(t *testing.T) {
	p := newPlace(t)
	o := quick
	var silent atomic.Bool
	defer silent.Store(false) // so that closing can publish
	o.Witnesses = []tesseralog.Witness{p.newWitness(t, "w.example/1", func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if silent.Load() {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			h.ServeHTTP(w, r)
		})
	})}
	l := p.open(t, o)
	silent.Store(true)
	if err := l.Record(t.Context(), event("records.update")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if r, err := l.Append(ctx, event("records.update"), auditlog.Witnessed); err == nil || r.Ack != auditlog.Durable {
		t.Errorf("%+v, %v", r, err)
	}
	for _, c := range l.Controls() {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if r := c.Run(ctx); r.State == controls.Pass {
			t.Errorf("%s passes: %s", c.ID, r.Observed)
		}
		cancel()
	}
}

// Other people's readers work on a directory of auditlog's own engine as it
// is: here Tessera's client, over HTTP, with its proofs.
func TestTesserasClientReadsOurDirectory(t *testing.T) {
	p := newPlace(t)
	l, err := auditlog.Open(p.dir, p.signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20, CheckpointEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var older []byte
	for i := range 700 {
		if _, err := l.Append(t.Context(), event("records.update"), auditlog.Async); err != nil {
			t.Fatal(err)
		}
		if i == 300 {
			if older, err = l.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(p.dir)))
	defer srv.Close()
	u, err := url.Parse(srv.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	f, err := client.NewHTTPFetcher(u, srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(p.vkey)
	if err != nil {
		t.Fatal(err)
	}
	// The tracker checks that the newer checkpoint continues the older one.
	tracker, err := client.NewLogStateTracker(t.Context(), f.ReadTile, older, v, origin, client.UnilateralConsensus(f.ReadCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := tracker.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	size := tracker.Latest().Size
	if size < 702 {
		t.Fatalf("%d entries", size)
	}
	for i := uint64(0); i*256 < size; i++ {
		bundle, err := client.GetEntryBundle(t.Context(), f.ReadEntryBundle, i, size)
		if err != nil {
			t.Fatal(err)
		}
		if want := min(256, size-i*256); uint64(len(bundle.Entries)) != want {
			t.Errorf("bundle %d has %d entries, want %d", i, len(bundle.Entries), want)
		}
		for j, b := range bundle.Entries {
			if _, err := auditlog.ParseEntry(b); err != nil {
				t.Fatalf("entry %d: %v", i*256+uint64(j), err)
			}
		}
	}
	builder, err := client.NewProofBuilder(t.Context(), size, f.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	if proof, err := builder.InclusionProof(t.Context(), 300); err != nil || len(proof) == 0 {
		t.Errorf("%d hashes, %v", len(proof), err)
	}
}

func TestBadSettings(t *testing.T) {
	p := newPlace(t)
	driver, err := posix.New(t.Context(), posix.Config{Path: p.dir})
	if err != nil {
		t.Fatal(err)
	}
	w := p.newWitness(t, "w.example/1", plain)
	for field, o := range map[string]tesseralog.Options{
		"CheckpointEvery":  {CheckpointEvery: time.Millisecond},
		"BatchEvery":       {BatchEvery: time.Minute},
		"MaxOutstanding":   {MaxOutstanding: -1},
		"Quorum":           {Quorum: 1},
		"WitnessGap":       {WitnessGap: time.Millisecond},
		"Witnesses[0].Key": {Witnesses: []tesseralog.Witness{{URL: w.URL, Key: "x"}}},
		"Witnesses[0].URL": {Witnesses: []tesseralog.Witness{{URL: "://", Key: w.Key}}},
		"Witnesses[1].Key": {Witnesses: []tesseralog.Witness{w, w}},
	} {
		if _, err := tesseralog.New(t.Context(), driver, p.signer, o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := tesseralog.New(t.Context(), nil, p.signer, quick); err == nil {
		t.Error("no driver")
	}
	l := p.open(t, quick)
	if _, err := l.Append(t.Context(), event("a.b"), auditlog.Witnessed); err == nil {
		t.Error("witnessed by nobody")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(t.Context(), event("a.b")); !errors.Is(err, auditlog.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	signer, _, err := auditlog.NewKeyFile(filepath.Join(dir, "key"), "example.org/audit")
	if err != nil {
		panic(err)
	}
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(dir, "log")})
	if err != nil {
		panic(err)
	}
	log, err := tesseralog.New(ctx, driver, signer, tesseralog.Options{})
	if err != nil {
		panic(err)
	}
	defer log.Close()
	r, err := log.Append(ctx, auditlog.Event{Action: "records.read", Outcome: auditlog.Success}, auditlog.Published)
	fmt.Println(r.Index, r.Ack, err)
	// Output: 0 published <nil>
}
