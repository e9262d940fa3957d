package auditlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/surety-go/surety/auditlog"
)

func full() auditlog.Event {
	return auditlog.Event{
		Action:  "records.update",
		Outcome: auditlog.Denied,
		Actor:   auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User, For: "u-2"},
		Tenant:  "acme",
		Targets: []auditlog.Target{{Type: "record", ID: "r-1"}, {Type: "table"}},
		Reason:  "authz.policy",
		Attrs: []auditlog.Attr{
			auditlog.String("agent", "cur\"l\\\n\x01\u2028<é>\xff"),
			auditlog.Int("status", 403),
			auditlog.Bool("fresh", true),
			auditlog.Bool("stale", false),
			auditlog.Duration("elapsed", 1500*time.Microsecond),
			auditlog.Duration("whole", -2*time.Second),
			auditlog.Duration("negative", -50*time.Millisecond),
			auditlog.Time("until", time.Unix(1, 5e8)),
		},
	}
}

func stamp(t *testing.T, ctx context.Context, ev auditlog.Event) auditlog.Entry {
	t.Helper()
	e, err := auditlog.Stamp(ctx, ev)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCanonicalForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := stamp(t, context.Background(), full())
		got, err := e.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"v":1,"id":"` + e.ID.String() + `","time":"2000-01-01T00:00:00.000000000Z",` +
			`"action":"records.update","outcome":"denied",` +
			`"actor":{"kind":"user","id":"u-1","tenant":"acme","for":"u-2"},"tenant":"acme",` +
			`"targets":[{"type":"record","id":"r-1"},{"type":"table"}],"reason":"authz.policy",` +
			`"attrs":{"agent":"cur\"l\\\n\u0001` + "\u2028<é>\uFFFD" + `","status":403,"fresh":true,"stale":false,` +
			`"elapsed":0.0015,"whole":-2,"negative":-0.05,"until":"1970-01-01T00:00:01.5Z"}}`
		if string(got) != want {
			t.Errorf("canonical form\n got %s\nwant %s", got, want)
		}
		if !json.Valid(got) {
			t.Error("the canonical form is no JSON")
		}
		back, err := auditlog.ParseEntry(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := back.AppendJSON(nil)
		if err != nil || string(again) != want {
			t.Errorf("a parsed entry is written differently: %s, %v", again, err)
		}
	})
}

func TestParseRefusesOtherSpellings(t *testing.T) {
	e := stamp(t, context.Background(), auditlog.Event{
		Action: "a.b", Outcome: auditlog.Success, Attrs: []auditlog.Attr{auditlog.Int("n", 1), auditlog.String("s", "é")},
	})
	good, err := e.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auditlog.ParseEntry(good); err != nil {
		t.Fatalf("the good form: %v", err)
	}
	swap := func(old, new string) string {
		s := strings.Replace(string(good), old, new, 1)
		if s == string(good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return s
	}
	cases := map[string]string{
		"white space":       swap(`,"action"`, `, "action"`),
		"leading zero":      swap(`"n":1`, `"n":01`),
		"minus zero":        swap(`"n":1`, `"n":-0`),
		"exponent":          swap(`"n":1`, `"n":1e0`),
		"needless escape":   swap(`é`, `\u00e9`),
		"repeated key":      swap(`"n":1`, `"s":1`),
		"unknown member":    swap(`,"action"`, `,"extra":1,"action"`),
		"order":             swap(`{"v":1,`, `{"id":"x","v":1,`),
		"trailing data":     string(good) + " ",
		"truncated":         string(good[:len(good)-1]),
		"upper-case id":     swap(e.ID.String(), strings.ToUpper(e.ID.String())),
		"empty member":      swap(`,"action"`, `,"trace":"","action"`),
		"another version":   swap(`"v":1`, `"v":2`),
		"outcome unknown":   swap(`"success"`, `"unknown"`),
		"empty attrs":       swap(`{"n":1,"s":"é"}`, `{}`),
		"sealed not base64": swap(`"s":"é"`, `"s":{"subject":"u","sealed":"%"}`),
		"nothing":           "",
		"too large":         strings.Repeat("x", auditlog.MaxEntry+1),
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := auditlog.ParseEntry([]byte(s)); err == nil {
				t.Errorf("accepted %s", s)
			}
		})
	}
}

func FuzzParseEntry(f *testing.F) {
	e, err := auditlog.Stamp(context.Background(), full())
	if err != nil {
		f.Fatal(err)
	}
	good, err := e.AppendJSON(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), `"status":403`, `"mail":{"subject":"u","sealed":"AAEC"}`, 1)))
	f.Add([]byte(`{"v":1,"id":"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := auditlog.ParseEntry(data)
		if err != nil {
			return
		}
		again, err := e.AppendJSON(nil)
		if err != nil || string(again) != string(data) {
			t.Fatalf("accepted a second spelling: %q for %q (%v)", data, again, err)
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what is no JSON: %q", data)
		}
	})
}

func TestStampFillsInWhatTheContextKnows(t *testing.T) {
	actor := auditlog.Actor{ID: "u-9", Tenant: "acme", Kind: auditlog.User}
	ctx := auditlog.WithActor(context.Background(), actor)
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx = trace.ContextWithSpanContext(ctx, sc)
	e := stamp(t, ctx, auditlog.Event{Action: "a.b", Outcome: auditlog.Success})
	if e.Actor != actor || e.Tenant != "acme" || e.Trace != sc.TraceID().String() || e.Span != sc.SpanID().String() {
		t.Errorf("entry = %+v", e)
	}
	other := auditlog.Actor{ID: "job", Kind: auditlog.System}
	e = stamp(t, ctx, auditlog.Event{Action: "a.b", Outcome: auditlog.Success, Actor: other, Tenant: "globex"})
	if e.Actor != other || e.Tenant != "globex" {
		t.Errorf("the event's own actor and tenant were overridden: %+v", e)
	}
	if got := auditlog.ActorFrom(context.Background()); !got.IsZero() || got.Kind != auditlog.Anonymous {
		t.Errorf("an empty context acts as %+v", got)
	}
}

func TestIDsAreUniqueAndSortByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := stamp(t, t.Context(), full())
		same := stamp(t, t.Context(), full())
		time.Sleep(time.Millisecond)
		later := stamp(t, t.Context(), full())
		if first.ID == same.ID {
			t.Error("two entries share an id")
		}
		if first.ID.String() >= later.ID.String() {
			t.Errorf("%s does not sort before %s", first.ID, later.ID)
		}
		if s := first.ID.String(); s[14] != '7' || !strings.ContainsRune("89ab", rune(s[19])) {
			t.Errorf("%s is no UUID of version 7", s)
		}
	})
}

func TestValidateNamesTheField(t *testing.T) {
	long := strings.Repeat("x", auditlog.MaxName+1)
	many := make([]auditlog.Attr, auditlog.MaxAttrs+1)
	cases := []struct {
		says   string
		change func(*auditlog.Event)
	}{
		{"Action", func(e *auditlog.Event) { e.Action = "update" }},
		{"Action", func(e *auditlog.Event) { e.Action = "" }},
		{"Outcome", func(e *auditlog.Event) { e.Outcome = 0 }},
		{"Outcome", func(e *auditlog.Event) { e.Outcome = 99 }},
		{"Actor.Kind", func(e *auditlog.Event) { e.Actor.Kind = 99 }},
		{"Actor.ID", func(e *auditlog.Event) { e.Actor.ID = long }},
		{"Tenant", func(e *auditlog.Event) { e.Tenant = long }},
		{"Reason", func(e *auditlog.Event) { e.Reason = long }},
		{"Target", func(e *auditlog.Event) { e.Targets = []auditlog.Target{{ID: "x"}} }},
		{"Target", func(e *auditlog.Event) { e.Targets = []auditlog.Target{{Type: "x", ID: long}} }},
		{"Targets", func(e *auditlog.Event) { e.Targets = make([]auditlog.Target, auditlog.MaxTargets+1) }},
		{"Attrs", func(e *auditlog.Event) { e.Attrs = many }},
		{"Attrs[0]", func(e *auditlog.Event) { e.Attrs = []auditlog.Attr{auditlog.String("", "x")} }},
		{"subject", func(e *auditlog.Event) { e.Attrs = []auditlog.Attr{auditlog.Personal("", "mail", "x")} }},
		{"repeated", func(e *auditlog.Event) { e.Attrs = []auditlog.Attr{auditlog.Int("k", 1), auditlog.Int("k", 2)} }},
	}
	for _, tc := range cases {
		ev := full()
		tc.change(&ev)
		_, err := auditlog.Stamp(context.Background(), ev)
		if !errors.Is(err, auditlog.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("error = %v, want ErrInvalid naming %s", err, tc.says)
		}
	}
}

func TestTooLargeIsRefusedNotCut(t *testing.T) {
	ev := full()
	ev.Attrs = []auditlog.Attr{auditlog.String("body", strings.Repeat("x", auditlog.MaxEntry))}
	e := stamp(t, context.Background(), ev)
	b, err := e.AppendJSON([]byte("kept"))
	if !errors.Is(err, auditlog.ErrTooLarge) || string(b) != "kept" {
		t.Errorf("AppendJSON = %d bytes, %v", len(b), err)
	}
}

// vault is a Sealer that only marks what it was given.
type vault struct {
	fail   error
	erased bool
}

func (v *vault) SealPersonal(_ context.Context, tenant, subject, key string, value []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%s/%s/%s/%d", tenant, subject, key, len(value)), v.fail
}

func (v *vault) OpenPersonal(_ context.Context, tenant, subject, key string, sealed []byte) ([]byte, error) {
	if v.erased {
		return nil, fmt.Errorf("key destroyed: %w", auditlog.ErrErased)
	}
	return fmt.Appendf(nil, "opened %s", sealed), nil
}

func TestPersonalValuesNeverReachTheLogInTheClear(t *testing.T) {
	const secret = "alice@example.org"
	ev := full()
	ev.Attrs = []auditlog.Attr{auditlog.Int("n", 1), auditlog.Personal("u-1", "mail", secret)}

	e := stamp(t, context.Background(), ev)
	_, err := e.AppendJSON(nil)
	if !errors.Is(err, auditlog.ErrUnsealed) || strings.Contains(err.Error(), secret) {
		t.Fatalf("an unsealed value: %v", err)
	}
	if got := fmt.Sprint(ev.LogValue()); strings.Contains(got, secret) {
		t.Errorf("an ordinary log shows the value: %s", got)
	}
	if got := ev.Attrs[1].Text(); got != "" {
		t.Errorf("Text shows the value: %q", got)
	}

	var stored []byte
	v := &vault{}
	rec, err := auditlog.Sealing(auditlog.RecorderFunc(func(ctx context.Context, ev auditlog.Event) error {
		e := stamp(t, ctx, ev)
		stored, err = e.AppendJSON(nil)
		return err
	}), v)
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Record(context.Background(), ev); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(stored), secret) || !strings.Contains(string(stored), `"mail":{"subject":"u-1","sealed":"`) {
		t.Errorf("stored %s", stored)
	}
	if !ev.Attrs[1].IsPersonal() {
		t.Error("the caller's event was changed")
	}

	back, err := auditlog.ParseEntry(stored)
	if err != nil {
		t.Fatal(err)
	}
	got, err := auditlog.OpenAttr(context.Background(), v, &back, back.Attrs[1])
	if err != nil || got != "opened acme/u-1/mail/17" {
		t.Errorf("OpenAttr = %q, %v", got, err)
	}
	if got, err := auditlog.OpenAttr(context.Background(), v, &back, back.Attrs[0]); err != nil || got != "1" {
		t.Errorf("OpenAttr of a plain attribute = %q, %v", got, err)
	}
	v.erased = true
	if _, err := auditlog.OpenAttr(context.Background(), v, &back, back.Attrs[1]); !errors.Is(err, auditlog.ErrErased) {
		t.Errorf("after erasure: %v", err)
	}
}

func TestSealingFailsClosed(t *testing.T) {
	down := errors.New("key store down")
	called := false
	rec, err := auditlog.Sealing(auditlog.RecorderFunc(func(context.Context, auditlog.Event) error {
		called = true
		return nil
	}), &vault{fail: down})
	if err != nil {
		t.Fatal(err)
	}
	ev := full()
	ev.Attrs = []auditlog.Attr{auditlog.Personal("u-1", "mail", "x")}
	if err := rec.Record(context.Background(), ev); !errors.Is(err, down) || called {
		t.Errorf("Record = %v, reached the log: %v", err, called)
	}
	if _, err := auditlog.Sealing(nil, &vault{}); err == nil {
		t.Error("a sealing recorder without a log was made")
	}
	if _, err := auditlog.Sealing(rec, nil); err == nil {
		t.Error("a sealing recorder without a sealer was made")
	}
}

func TestSealTakesTheContextsTenant(t *testing.T) {
	ctx := auditlog.WithActor(context.Background(), auditlog.Actor{ID: "u-1", Tenant: "globex", Kind: auditlog.User})
	ev := auditlog.Event{Action: "a.b", Outcome: auditlog.Success, Attrs: []auditlog.Attr{auditlog.Personal("u-1", "mail", "x")}}
	sealed, err := auditlog.Seal(ctx, &vault{}, ev)
	if err != nil {
		t.Fatal(err)
	}
	subject, b, ok := sealed.Attrs[0].Sealed()
	if !ok || subject != "u-1" || string(b) != "globex/u-1/mail/1" {
		t.Errorf("sealed for %q as %q", subject, b)
	}
}

func TestDefaultTable(t *testing.T) {
	user, nobody := auditlog.Actor{ID: "u", Kind: auditlog.User}, auditlog.Actor{}
	cases := []struct {
		ev   auditlog.Event
		want auditlog.Ack
	}{
		{auditlog.Event{Action: "records.update", Outcome: auditlog.Success, Actor: user}, auditlog.Durable},
		{auditlog.Event{Action: "records.read", Outcome: auditlog.Success, Actor: user}, auditlog.Async},
		{auditlog.Event{Action: "records.list", Outcome: auditlog.Success, Actor: user}, auditlog.Async},
		{auditlog.Event{Action: "records.read", Outcome: auditlog.Denied, Actor: user, Reason: "authz.policy"}, auditlog.Durable},
		{auditlog.Event{Action: "records.export", Outcome: auditlog.Success, Actor: user}, auditlog.Durable},
		{auditlog.Event{Action: "records.read", Outcome: auditlog.Denied, Reason: "ratelimit.limiter", Actor: user}, auditlog.Aggregated},
		{auditlog.Event{Action: "records.read", Outcome: auditlog.Denied, Reason: "authn.required", Actor: nobody}, auditlog.Aggregated},
		{auditlog.Event{Action: "guard.route", Outcome: auditlog.Denied, Reason: "guard.route", Actor: nobody}, auditlog.Aggregated},
		{auditlog.Event{Action: "guard.route", Outcome: auditlog.Denied, Reason: "guard.route", Actor: user}, auditlog.Durable},
		{auditlog.Event{Action: "authn.password.verify", Outcome: auditlog.Denied, Reason: "authn.password", Actor: nobody}, auditlog.Durable},
	}
	table := auditlog.DefaultTable()
	for _, tc := range cases {
		if got := table.Ack(&tc.ev); got != tc.want {
			t.Errorf("%s %s %s by %s: %s, want %s", tc.ev.Action, tc.ev.Outcome, tc.ev.Reason, tc.ev.Actor.Kind, got, tc.want)
		}
	}
	own := append(auditlog.Table{{Action: "salaries.read", Ack: auditlog.Durable}}, table...)
	if got := own.Ack(&auditlog.Event{Action: "salaries.read", Outcome: auditlog.Success}); got != auditlog.Durable {
		t.Errorf("a rule put before the defaults does not decide: %s", got)
	}
	if got := auditlog.Table(nil).Ack(&auditlog.Event{}); got != auditlog.Durable {
		t.Errorf("an empty table gives %s: the safe level is durable", got)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{
		auditlog.Success.String(), auditlog.Denied.String(), auditlog.Failed.String(),
		auditlog.Durable.String(), auditlog.Witnessed.String(), auditlog.Probe.String(),
	} {
		if name == "unknown" || name == "" {
			t.Errorf("a constant has the name %q", name)
		}
	}
	var k auditlog.Kind
	if err := k.UnmarshalText([]byte("root")); !errors.Is(err, auditlog.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
	if got := auditlog.Outcome(77).String(); got != "unknown" {
		t.Errorf("Outcome(77) is %q", got)
	}
	b, err := json.Marshal(struct {
		K auditlog.Kind
		O auditlog.Outcome
		I auditlog.ID
	}{auditlog.Service, auditlog.Failed, auditlog.ID{}})
	if err != nil || string(b) != `{"K":"service","O":"failed","I":"00000000-0000-0000-0000-000000000000"}` {
		t.Errorf("as JSON: %s, %v", b, err)
	}
	var id auditlog.ID
	want := stamp(t, context.Background(), full()).ID
	if err := id.UnmarshalText([]byte(want.String())); err != nil || !reflect.DeepEqual(id, want) {
		t.Errorf("id %v came back as %v, %v", want, id, err)
	}
	for _, bad := range []string{"", "x", want.String()[1:], want.String() + "0", strings.ReplaceAll(want.String(), "-", "0")} {
		if err := id.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("id %q was accepted", bad)
		}
	}
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	e := stamp(t, context.Background(), full())
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := e.AppendJSON(buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("AppendJSON allocates %v times with room in the buffer", n)
	}
}

func FuzzTimes(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(1795500000), int64(999_999_999))
	f.Add(int64(-62135596800), int64(1))
	f.Add(int64(253402300800), int64(0)) // the year 10000
	f.Fuzz(func(t *testing.T, sec, nsec int64) {
		at := time.Unix(sec, nsec).UTC()
		e := auditlog.Entry{Time: at, Event: auditlog.Event{Action: "a.b", Outcome: auditlog.Success}}
		b, err := e.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		want := `"time":"` + at.Format("2006-01-02T15:04:05.000000000Z") + `",`
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s\nwant %s", b, want)
		}
	})
}

// A payload that no event can hold is stood for by a commitment, which tells
// nothing without its salt.
func TestCommitmentStandsForALargePayload(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 10*auditlog.MaxEntry)
	a, salt := auditlog.Commitment("document", payload)
	b, other := auditlog.Commitment("document", payload)
	if a.Text() == b.Text() || bytes.Equal(salt, other) {
		t.Error("two commitments to one payload are alike: it could be guessed")
	}
	ev := event("documents.create")
	ev.Attrs = []auditlog.Attr{a}
	e, err := auditlog.Stamp(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.AppendJSON(nil); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(payload)
	changed[7] = 'y'
	for name, tc := range map[string]struct {
		payload, salt []byte
		want          bool
	}{
		"the payload": {payload, salt, true}, "another": {changed, salt, false}, "a part": {payload[1:], salt, false},
		"another salt": {payload, other, false}, "no salt": {payload, nil, false},
	} {
		if got := auditlog.Commits(a.Text(), tc.payload, tc.salt); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
