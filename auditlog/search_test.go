package auditlog_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/auditlog/verify"
)

// mixed fills a log with events of several kinds and returns what is in it.
func mixed(t testing.TB, l *auditlog.Log, n int) []auditlog.Indexed {
	t.Helper()
	actions := []string{"records.read", "records.update", "salaries.read", "authn.password.verify"}
	for i := range n {
		ev := auditlog.Event{
			Action: actions[i%4], Outcome: auditlog.Outcome(1 + i%3), Reason: "test",
			Actor:   auditlog.Actor{ID: fmt.Sprintf("u-%d", i%50), Tenant: fmt.Sprintf("t-%d", i/300), Kind: auditlog.User},
			Targets: []auditlog.Target{{Type: "record", ID: fmt.Sprintf("r-%d", i%70)}},
		}
		ack := auditlog.Async
		if i == n-1 {
			ack = auditlog.Durable
		}
		if _, err := l.Append(t.Context(), ev, ack); err != nil {
			t.Fatal(err)
		}
	}
	return all(t, l)
}

func collect(t testing.TB, l *auditlog.Log, q auditlog.Query) (list []auditlog.Indexed) {
	t.Helper()
	for e, err := range l.Search(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func queries(entries []auditlog.Indexed) map[string]auditlog.Query {
	mid := entries[len(entries)/2].Time
	return map[string]auditlog.Query{
		"tenant":        {Tenant: "t-1"},
		"actor":         {Actor: "u-7"},
		"action":        {Action: "records.update"},
		"action prefix": {Action: "records.*"},
		"action verb":   {Action: "*.read"},
		"part of word":  {Action: "sal*"},
		"outcome":       {Outcome: auditlog.Denied},
		"target":        {Target: auditlog.Target{Type: "record", ID: "r-3"}},
		"target type":   {Target: auditlog.Target{Type: "record"}},
		"from":          {From: mid},
		"to":            {To: mid},
		"several":       {Tenant: "t-2", Action: "salaries.read", Outcome: auditlog.Success, From: mid},
		"nothing":       {Tenant: "t-999"},
	}
}

// A search finds exactly what reading everything would have found, with a
// fresh index, one that is kept, one that is stale, and one that is damaged.
func TestSearchFindsWhatReadingFinds(t *testing.T) {
	signer, _ := key(t, origin)
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, signer, small)
	check := func(when string) {
		t.Helper()
		entries := all(t, l)
		for name, q := range queries(entries) {
			var want []uint64
			for _, e := range entries {
				if q.Matches(&e.Entry) && !strings.HasPrefix(e.Action, "auditlog.") {
					want = append(want, e.Index)
				}
			}
			var got []uint64
			for _, e := range collect(t, l, q) {
				if !strings.HasPrefix(e.Action, "auditlog.") {
					got = append(got, e.Index)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, %s: %d entries, want %d", when, name, len(got), len(want))
			}
		}
	}
	mixed(t, l, 1000)
	check("fresh")
	mixed(t, l, 700)
	check("stale")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, signer, small)
	check("kept")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "index")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 3000; i < 3500; i++ {
		b[i] ^= 0xff
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, signer, small)
	check("damaged")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("another file's contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, signer, small)
	check("foreign")
}

func TestSearchLimitAndTrace(t *testing.T) {
	l := newLog(t, small)
	mixed(t, l, 600)
	ctx := auditlog.WithActor(t.Context(), auditlog.Actor{ID: "auditor-1", Tenant: "acme", Kind: auditlog.User})
	n := 0
	for _, err := range l.Search(ctx, auditlog.Query{Action: "records.read", Limit: 5}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d entries with a limit of 5", n)
	}
	got := find(t, l, "auditlog.log.search")
	if len(got) != 1 || got[0].Actor.ID != "auditor-1" {
		t.Fatalf("trace %+v", got)
	}
	if action, _ := auditlogtest.Attr(got[0].Entry, "action"); action != "records.read" {
		t.Errorf("the query is not in the trace: %+v", got[0].Attrs)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range l.Search(ended, auditlog.Query{}) {
		if err == nil {
			t.Error("a search that leaves no trace found something")
		}
	}
}

// The index is outside the tree and must not keep what erasure removes.
func TestTheIndexHoldsNoPersonalValues(t *testing.T) {
	signer, _ := key(t, origin)
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, dir, signer, small)
	var keys auditlogtest.Keys
	rec, err := auditlog.Sealing(l, &keys)
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		ev := event("a.b")
		ev.Attrs = []auditlog.Attr{auditlog.Personal("u-1", "mail", "alice@example.org")}
		if err := rec.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	found := collect(t, l, auditlog.Query{Action: "a.b", Limit: 1})
	keys.Destroy("acme", "u-1")
	if _, err := auditlog.OpenAttr(t.Context(), &keys, &found[0].Entry, found[0].Attrs[0]); err == nil {
		t.Error("an erased value was read")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for path, b := range snapshot(t, dir) {
		if strings.Contains(b, "alice") {
			t.Errorf("%s holds the value in the clear", path)
		}
	}
}

func TestExportIsProvable(t *testing.T) {
	signer, vkey := key(t, origin)
	l := open(t, filepath.Join(t.TempDir(), "log"), signer, small)
	mixed(t, l, 900)
	policy := verify.Policy{Key: vkey}
	for name, q := range queries(all(t, l)) {
		var out bytes.Buffer
		b, err := l.Export(t.Context(), &out, q, auditlog.JSONLines())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := verify.Export(bytes.NewReader(out.Bytes()), policy)
		if err != nil || !r.OK() {
			t.Fatalf("%s: %v, %v", name, r.Findings, err)
		}
		if want := uint64(len(collect(t, l, q))); r.Entries > want || b.Next < b.First {
			t.Errorf("%s: %d entries, want at most %d", name, r.Entries, want)
		}
		if q.Tenant == "t-1" && bytes.Contains(out.Bytes(), []byte(`"tenant":"t-2"`)) {
			t.Errorf("%s: the export tells of another tenant", name)
		}
	}
}

func TestChangedExportsAreRejected(t *testing.T) {
	signer, vkey := key(t, origin)
	l := open(t, filepath.Join(t.TempDir(), "log"), signer, small)
	mixed(t, l, 700)
	var out bytes.Buffer
	if _, err := l.Export(t.Context(), &out, auditlog.Query{Tenant: "t-1", Action: "records.*"}, auditlog.JSONLines()); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	drop := func(i int) string { return strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "") }
	swap := func(old, new string) string {
		s := strings.Replace(out.String(), old, new, 1)
		if s == out.String() {
			t.Fatalf("%q is not in the export", old)
		}
		return s
	}
	for name, s := range map[string]string{
		"an entry changed":  swap(`"kind":"user"`, `"kind":"probe"`),
		"an entry removed":  drop(5),
		"the last removed":  drop(len(lines) - 3),
		"cut short":         strings.Join(lines[:len(lines)/2], ""),
		"no header":         drop(0),
		"header's range":    swap(`"first":`, `"first":1`),
		"header's hashes":   swap(`"left":["`, `"left":["AAAA`),
		"entry twice":       swap(`"entry":{`, `"entry":{},"entry":{`),
		"checkpoint":        swap(`\n`+strings.Split(string(l.Checkpoint()), "\n")[1]+`\n`, `\n9\n`),
		"nothing":           "",
		"the counts":        swap(`{"end":true,"entries":`, `{"end":true,"entries":1`),
		"an index repeated": strings.Join(lines[:6], "") + lines[5] + strings.Join(lines[6:], ""),
	} {
		r, err := verify.Export(strings.NewReader(s), verify.Policy{Key: vkey})
		if err != nil || r.OK() {
			t.Errorf("%s: it verifies: %v", name, err)
		}
	}
	opts := verify.Policy{Key: vkey, Witnesses: []string{witnessKey}}
	if r, err := verify.Export(bytes.NewReader(out.Bytes()), opts); err != nil || r.OK() {
		t.Errorf("an unwitnessed export under a policy with witnesses: %v", err)
	}
}

const witnessKey = "witness.example+259821e5+BMBTrpBo0fJCuuGD09pguku76hBsrvNxgLZunhO+l2Pf"

// A spreadsheet must not run what a caller sent.
func TestCSVExport(t *testing.T) {
	l := newLog(t, small)
	ev := event("a.b")
	ev.Targets = []auditlog.Target{{Type: "=HYPERLINK(1)", ID: "x"}}
	ev.Reason = "@SUM(1)"
	ev.Attrs = []auditlog.Attr{auditlog.String("agent", "=1+1,\"\n")}
	if err := l.Record(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := l.Export(t.Context(), &out, auditlog.Query{Action: "a.b"}, auditlog.CSV()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, cell := range rows[1] {
		if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
			t.Errorf("column %s is a formula: %q", rows[0][i], cell)
		}
	}
	if n := len(find(t, l, "auditlog.log.export")); n != 1 {
		t.Errorf("%d events of one export", n)
	}
}

// An export taken under a witnessed checkpoint carries it.
func TestExportUnderWitnesses(t *testing.T) {
	opts := small
	opts.Witnesses = []auditlog.Witness{fakeWitness{at: time.Now}}
	l := newLog(t, opts)
	if _, err := l.Append(t.Context(), event("a.b"), auditlog.Witnessed); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), event("a.c"), auditlog.Witnessed); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	b, err := l.Export(t.Context(), &out, auditlog.Query{Action: "a.c"}, auditlog.JSONLines())
	if err != nil {
		t.Fatal(err)
	}
	for name, note := range map[string][]byte{"Checkpoint": b.Checkpoint, "Before": b.Before} {
		if !strings.Contains(string(note), "— witness.example ") {
			t.Errorf("%s is not cosigned: %q", name, note)
		}
	}
}
