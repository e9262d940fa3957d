package sigma

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
)

func load(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Load(map[string][]byte{"r.yaml": []byte(text)}, Options{Quiet: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// one makes a rule of a detection in flow style.
func one(detection string) string {
	return "title: T\nname: n\ndetection: " + detection + "\n"
}

var login = auditlog.Event{
	Action: "authn.login", Outcome: auditlog.Denied, Reason: "authn.password", Tenant: "acme",
	Actor:   auditlog.Actor{ID: "acc-1", Kind: auditlog.User, Tenant: "acme"},
	Targets: []auditlog.Target{{Type: "account", ID: "acc-7"}, {Type: "account", ID: "acc-8"}},
	Attrs: []auditlog.Attr{
		auditlog.String("network", "192.0.2.0/24"), auditlog.String("address", "192.0.2.77"), auditlog.Int("status", 401), auditlog.Bool("mfa", false),
		auditlog.String("path", `C:\Temp\a*b`), auditlog.String("agent", "Mozilla/5.0\nsecond line"), auditlog.String("empty", ""),
		auditlog.Personal("acc-7", "mail", "x@example.org"), auditlog.String("who", "ACC-7"),
	},
}

func TestSelections(t *testing.T) {
	cases := []struct {
		detection string
		want      bool
	}{
		{`{s: {action: authn.login}, condition: s}`, true},
		{`{s: {action: AUTHN.Login}, condition: s}`, true},
		{`{s: {action|cased: AUTHN.Login}, condition: s}`, false},
		{`{s: {action: authn.log}, condition: s}`, false},
		{`{s: {action: authn.*}, condition: s}`, true},
		{`{s: {action: "*.log?n"}, condition: s}`, true},
		{`{s: {action: "authn.log?"}, condition: s}`, false},
		{`{s: {action: authn.login, outcome: success}, condition: s}`, false},
		{`{s: {action: [x.y, authn.login]}, condition: s}`, true},
		{`{s: [{action: x.y}, {outcome: denied}], condition: s}`, true},
		{`{s: [{action: x.y}, {outcome: failed}], condition: s}`, false},
		{`{s: {action|startswith: authn}, condition: s}`, true},
		{`{s: {action|endswith: login}, condition: s}`, true},
		{`{s: {action|endswith: logi}, condition: s}`, false},
		{`{s: {action|contains: "n.l"}, condition: s}`, true},
		{`{s: {action|contains|all: [authn, login]}, condition: s}`, true},
		{`{s: {action|contains|all: [authn, logout]}, condition: s}`, false},
		{`{s: {target.account: acc-8}, condition: s}`, true},
		{`{s: {target.account|all: [acc-7, acc-8]}, condition: s}`, true},
		{`{s: {attr.status: 401}, condition: s}`, true},
		{`{s: {attr.status|gte: 400, attr.status|lt: 500}, condition: s}`, true},
		{`{s: {attr.status|gt: 401}, condition: s}`, false},
		{`{s: {attr.status|lte: 401}, condition: s}`, true},
		{`{s: {attr.network|gt: 1}, condition: s}`, false},
		{`{s: {attr.mfa: false}, condition: s}`, true},
		{`{s: {attr.address|cidr: 192.0.2.0/24}, condition: s}`, true},
		{`{s: {attr.address|cidr: [198.51.100.0/24, 192.0.0.0/16]}, condition: s}`, true},
		{`{s: {attr.network|cidr: 192.0.0.0/16}, condition: s}`, true},
		{`{s: {attr.network|cidr: 192.0.2.0/25}, condition: s}`, false},
		{`{s: {attr.address|re: '^192\.0\.2\.\d+$'}, condition: s}`, true},
		{`{s: {attr.agent|re: '^mozilla'}, condition: s}`, false},
		{`{s: {attr.agent|re|i: '^mozilla'}, condition: s}`, true},
		{`{s: {attr.agent|re|m: '^second'}, condition: s}`, true},
		{`{s: {attr.agent|re|s: '5.0.second'}, condition: s}`, true},
		{`{s: {attr.path: 'c:\temp\*'}, condition: s}`, false},
		{`{s: {attr.path: 'c:\temp\\*'}, condition: s}`, true},
		{`{s: {attr.path|endswith: 'a\*b'}, condition: s}`, true},
		{`{s: {attr.path|endswith: 'a\?b'}, condition: s}`, false},
		{`{s: {attr.path|contains: '\temp\'}, condition: s}`, true},
		{`{s: {attr.gone: null}, condition: s}`, true},
		{`{s: {attr.empty: null}, condition: s}`, true},
		{`{s: {attr.empty: ''}, condition: s}`, true},
		{`{s: {attr.status: null}, condition: s}`, false},
		{`{s: {attr.gone: [null, x]}, condition: s}`, true},
		{`{s: {attr.gone|exists: false, attr.status|exists: true}, condition: s}`, true},
		{`{s: {attr.gone|exists: true}, condition: s}`, false},
		{`{s: {attr.status|neq: 200}, condition: s}`, true},
		{`{s: {attr.status|neq: 401}, condition: s}`, false},
		{`{s: {actor.tenant|fieldref: tenant}, condition: s}`, true},
		{`{s: {actor.id|fieldref: tenant}, condition: s}`, false},
		{`{s: {target.account|fieldref: attr.who}, condition: s}`, true},
		{`{s: {target.account|fieldref|cased: attr.who}, condition: s}`, false},
		{`{s: {attr.mail: '*'}, condition: s}`, false}, // personal values are not seen
		{`{s: {actor.kind: user, actor.for: null, reason: authn.password}, condition: s}`, true},
		{`{s: [nothing, MOZILLA], condition: s}`, true},
		{`{s: [nothing], condition: s}`, false},
		{`{s: mozilla, condition: s}`, true},
		{`{s: {'|all': [mozilla, second]}, condition: s}`, true},
		{`{s: {'|all': [mozilla, third]}, condition: s}`, false},
		{`{s: [x@example], condition: s}`, false},
	}
	for _, tc := range cases {
		s, err := Load(map[string][]byte{"r": []byte(one(tc.detection))}, Options{})
		if err != nil {
			t.Errorf("%s: %v", tc.detection, err)
			continue
		}
		if got := len(s.Evaluate(&login, time.Now())) > 0; got != tc.want {
			t.Errorf("%s matched: %v, want %v", tc.detection, got, tc.want)
		}
	}
}

func TestConditions(t *testing.T) {
	yes, no := "{action: '*'}", "{action: none}"
	detection := func(condition string) string {
		return "{yes_a: " + yes + ", yes_b: " + yes + ", no_a: " + no + ", no_b: " + no + ", _hidden: " + yes + ", condition: " + condition + "}"
	}
	for condition, want := range map[string]bool{
		"yes_a": true, "no_a": false, "not no_a": true, "not not yes_a": true, "yes_a and no_a": false, "yes_a or no_a": true,
		"no_a or yes_a and no_b":       false, // and binds tighter
		"(no_a or yes_a) and yes_b":    true,
		"yes_a and not (no_a or no_b)": true,
		"yes_a AND NOT no_a":           true,
		"not yes_a or yes_b":           true,
		"1 of yes_*":                   true, "all of yes_*": true, "1 of no_*": false, "any of *_a": true, "all of *_a": false,
		"1 of them": true, "all of them": false, "not 1 of no_*": true, "1 of yes_a": true, "all of _*": true,
		"1 of them and all of yes_* and not any of no_*": true,
		"[no_a, yes_a]": true, "[no_a, no_b]": false,
	} {
		s := load(t, one(detection(condition)))
		if got := len(s.Evaluate(&login, time.Now())) > 0; got != want {
			t.Errorf("%s: %v, want %v", condition, got, want)
		}
	}
}

func TestMistakesAreErrors(t *testing.T) {
	deep := strings.Repeat("(", maxDepth+5) + "s" + strings.Repeat(")", maxDepth+5)
	sel := func(s string) string { return one("{s: " + s + ", condition: s}") }
	cond := func(s string) string { return one("{s: {action: a}, condition: '" + s + "'}") }
	corr := func(s string) string {
		return one("{s: {action: a}, condition: s}") + "---\ntitle: C\ncorrelation: " + s + "\n"
	}
	cases := []struct{ text, want string }{
		{"title: T\n", "r.yaml:1: detection: either detection or correlation"},
		{"detection: {s: {a: b}, condition: s}\n", "title: the field is required"},
		{one("{s: {action: a}}"), "r.yaml:3: detection.condition: the field is required"},
		{one("{condition: s}"), `names "s", which is no selection`},
		{one("[a]"), "a mapping of selections is wanted"},
		{"title: T\ntitel: x\n" + one("{s: a, condition: s}")[9:], "r.yaml:2: titel: the key is not one of Sigma's"},
		{one("{s: a, timeframe: 5m, condition: s}"), "timeframe: it is no part of Sigma 2"},
		{sel("{action|base64: a}"), `detection.s: action|base64: the modifier "base64" is not supported`},
		{sel("{action|contains|startswith: a}"), "don't go together"},
		{sel("{action|contains|re: a}"), "don't go together"},
		{sel("{action|i: a}"), "the modifier i follows re"},
		{sel("{action|re: '['}"), "a regular expression of RE2"},
		{sel("{action|re: '(?<=a)b'}"), "a regular expression of RE2"},
		{sel("{action|cidr: x}"), "cidr wants a range"},
		{sel("{action|gt: x}"), "gt wants a number"},
		{sel("{action|exists: 1}"), "exists wants true or false"},
		{sel("{action|all: a}"), "more values are wanted"},
		{sel("{action: []}"), "more values are wanted"},
		{sel("{action: {a: b}}"), "a value or a list of values"},
		{sel("{action|contains: null}"), "null goes without a modifier"},
		{sel("{'|contains': a}"), "a field's name is wanted"},
		{sel("{}"), "a mapping of fields to values"},
		{sel("[]"), "the selection is empty"},
		{sel("[a, {b: c}]"), "a keyword is text"},
		{sel("[{b: c}, a]"), "a mapping of fields to values"},
		{cond("s |count() > 5"), "aggregations behind | are no part of Sigma 2"},
		{cond("s and"), "ends too early"},
		{cond("(s"), "ends too early"},
		{cond("s)"), `")" is not expected`},
		{cond("s s"), `"s" is not expected`},
		{cond("2 of s*"), "1, any or all is wanted before of"},
		{cond("1 of x*"), "stands for no selection"},
		{cond("1 of"), "ends too early"},
		{cond(""), "ends too early"},
		{cond(deep), "at most 50 levels"},
		{cond(strings.Repeat("not ", maxTokens) + "s"), "at most 500 words"},
		{"title: T\nlevel: dire\n", "one of informational, low"},
		{"title: T\ntags: [surety.X]\ndetection: {s: a, condition: s}\n", "surety.CONTROL wants the ID of a control"},
		{one("{s: a, condition: s}") + "---\n" + one("{s: a, condition: s}"), `the name or id "n" is used twice`},
		{corr("{type: event_count, rules: [x], timespan: 5m, condition: {gte: 2}}"), `no rule has the name or id "x"`},
		{corr("{type: event_sum, rules: [n], timespan: 5m}"), "correlation.type: the type \"event_sum\" is not supported"},
		{corr("{type: event_count, rules: [n], timespan: 5m}"), "condition: the field is required"},
		{corr("{type: event_count, rules: [n], condition: {gte: 2}}"), "timespan: the field is required"},
		{corr("{type: event_count, timespan: 5m, condition: {gte: 2}}"), "rules: 1 to 16"},
		{corr("{type: event_count, rules: [n], timespan: 5w, condition: {gte: 2}}"), "a timespan such as 90s"},
		{corr("{type: event_count, rules: [n], timespan: 8d, condition: {gte: 2}}"), "at most 7d"},
		{corr("{type: event_count, rules: [n], timespan: 99999999999d, condition: {gte: 2}}"), "at most 7d"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {lt: 2}}"), "lt would have to be asked when nothing happens"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {gte: 0}}"), "one count of 1 to 1000"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {gte: 2, gt: 3}}"), "one count of"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {gte: 2, field: x}}"), "it is required for value_count, and only there"},
		{corr("{type: value_count, rules: [n], timespan: 5m, condition: {gte: 2}}"), "it is required for value_count"},
		{corr("{type: temporal, rules: [n], timespan: 5m}"), "at least 2 are wanted"},
		{corr("{type: temporal, rules: [n, n], timespan: 5m, condition: {gte: 2}}"), "not supported for a temporal"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {gte: 2}, gruop-by: [x]}"), "not one of Sigma's correlations"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {gte: 2}, aliases: {a: b}}"), "a mapping of names"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {gte: 2}, generate: maybe}"), "true or false"},
		{corr("{type: event_count, rules: [n], timespan: 5m, condition: {gte: 2}}\nname: c\n---\ntitle: D\ncorrelation: {type: event_count, rules: [c], timespan: 5m, condition: {gte: 2}}"), "is a correlation itself"},
		{"title: &a T\n", "anchors and aliases"},
		{"- a\n", "a rule is a mapping"},
	}
	for _, tc := range cases {
		_, err := Load(map[string][]byte{"r.yaml": []byte(tc.text)}, Options{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.120s\n got %v\nwant %s", tc.text, err, tc.want)
		}
		if err != nil && len(err.Error()) > 600 {
			t.Errorf("the message has %d bytes", len(err.Error()))
		}
	}
	if _, err := Load(nil, Options{MaxGroups: -1}); err == nil {
		t.Error("negative room: accepted")
	}
}

const twoRules = `
title: Failed login
name: failed
level: low
tags: [attack.t1110, surety.authn.throttle]
logsource: {product: surety}
detection:
  s: {action: authn.login, outcome: denied}
  condition: s
---
title: Login
name: ok
detection:
  s: {action: authn.login, outcome: success}
  condition: s
---
`

func attempt(outcome auditlog.Outcome, account, network string) *auditlog.Event {
	return &auditlog.Event{
		Action: "authn.login", Outcome: outcome, Tenant: "acme",
		Targets: []auditlog.Target{{Type: "account", ID: account}}, Attrs: []auditlog.Attr{auditlog.String("network", network)},
	}
}

// fired sends events and returns the titles of what matched.
func fired(s *Set, events ...*auditlog.Event) string {
	var titles []string
	for _, e := range events {
		for _, m := range s.Evaluate(e, time.Now()) {
			titles = append(titles, m.Rule.Title)
		}
	}
	return strings.Join(titles, ",")
}

func TestEventCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, twoRules+`
title: Guessing
level: high
tags: [surety.authn.throttle, surety-action.lock]
correlation:
  type: event_count
  rules: [failed]
  group-by: [tenant, target.account]
  timespan: 5m
  condition: {gte: 3}
`)
		bad := attempt(auditlog.Denied, "a", "n")
		if got := fired(s, bad, bad, attempt(auditlog.Denied, "b", "n"), attempt(auditlog.Success, "a", "n")); got != "Login" {
			t.Errorf("fired %q: two are not three, and the rule itself is silent", got)
		}
		matches := s.Evaluate(bad, time.Now())
		if len(matches) != 1 || matches[0].Group["target.account"] != "a" || matches[0].Count != 3 || matches[0].Rule.Action != "lock" || matches[0].Rule.Control != "authn.throttle" {
			t.Fatalf("matches %+v", matches)
		}
		if got := fired(s, bad, bad, bad); got != "" {
			t.Errorf("fired %q within the quiet time", got)
		}
		time.Sleep(6 * time.Minute)
		for range 10 {
			if got := fired(s, bad); got != "" {
				t.Errorf("fired %q for slow events", got)
			}
			time.Sleep(151 * time.Second)
		}
	})
}

func TestValueCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, twoRules+`
title: Spraying
correlation:
  type: value_count
  rules: [failed]
  group-by: [attr.network]
  timespan: 10m
  condition: {gt: 2, field: target.account}
`)
		try := func(account string) string { return fired(s, attempt(auditlog.Denied, account, "n")) }
		for _, a := range []string{"a", "a", "b", "b", "a"} {
			if got := try(a); got != "" {
				t.Errorf("fired %q for two accounts", got)
			}
		}
		if got := fired(s, attempt(auditlog.Denied, "c", "other")); got != "" {
			t.Errorf("fired %q for another network", got)
		}
		if got := try("c"); got != "Spraying" {
			t.Errorf("fired %q for three accounts", got)
		}
		time.Sleep(11 * time.Minute)
		if got := try("x") + try("y"); got != "" {
			t.Errorf("fired %q: old accounts count no more", got)
		}
		if got := try("z"); got != "Spraying" {
			t.Errorf("fired %q for three new accounts", got)
		}
	})
}

func TestTemporal(t *testing.T) {
	for _, kind := range []string{"temporal", "temporal_ordered"} {
		synctest.Test(t, func(t *testing.T) {
			s := load(t, twoRules+`
title: Broken in
correlation:
  type: `+kind+`
  rules: [failed, ok]
  group-by: [target.account]
  timespan: 10m
`)
			bad, good := attempt(auditlog.Denied, "a", "n"), attempt(auditlog.Success, "a", "n")
			want := map[string]string{"temporal": "Broken in", "temporal_ordered": ""}[kind]
			if got := fired(s, good, bad); got != want {
				t.Errorf("%s, the wrong way round: %q", kind, got)
			}
			time.Sleep(time.Hour)
			if got := fired(s, bad, attempt(auditlog.Success, "b", "n")); got != "" {
				t.Errorf("%s, another account: %q", kind, got)
			}
			time.Sleep(11 * time.Minute)
			if got := fired(s, good); got != "" {
				t.Errorf("%s, too late: %q", kind, got)
			}
			time.Sleep(time.Hour)
			if got := fired(s, bad); got != "" {
				t.Errorf("%s, one of two: %q", kind, got)
			}
			time.Sleep(9 * time.Minute)
			if got := fired(s, good); got != "Broken in" {
				t.Errorf("%s, in order: %q", kind, got)
			}
		})
	}
}

// A chain of three needs three events, also when one event matches two rules.
func TestOrderedChain(t *testing.T) {
	s := load(t, `
title: A
name: a
detection: {s: {action: x.a}, condition: s}
---
title: B
name: b
detection: {s: {action: [x.a, x.b]}, condition: s}
---
title: C
name: c
detection: {s: {action: x.c}, condition: s}
---
title: Chain
correlation: {type: temporal_ordered, rules: [a, b, c], timespan: 5m}
`)
	ev := func(action string) *auditlog.Event {
		return &auditlog.Event{Action: action, Outcome: auditlog.Success}
	}
	if got := fired(s, ev("x.a"), ev("x.c")); got != "" {
		t.Errorf("fired %q: one event served as two steps", got)
	}
	if got := fired(s, ev("x.b"), ev("x.c")); got != "Chain" {
		t.Errorf("fired %q", got)
	}
}

func TestAliasesAndFields(t *testing.T) {
	text := `
title: Failed
name: failed
detection: {s: {eventName: authn.login, outcome: denied}, condition: s}
---
title: Export
id: 5b8ab4b6-0000-4000-8000-000000000001
detection: {s: {eventName: records.export}, condition: s}
---
title: Failed, then exported
correlation:
  type: temporal
  rules: [failed, 5b8ab4b6-0000-4000-8000-000000000001]
  group-by: [person]
  timespan: 1h
  generate: true
  aliases:
    person: {failed: target.account, 5b8ab4b6-0000-4000-8000-000000000001: actor.id}
`
	s, err := Load(map[string][]byte{"r": []byte(text)}, Options{Fields: map[string]string{"eventName": "action"}, Quiet: 1})
	if err != nil {
		t.Fatal(err)
	}
	export := &auditlog.Event{Action: "records.export", Outcome: auditlog.Success, Actor: auditlog.Actor{ID: "a"}}
	if got := fired(s, attempt(auditlog.Denied, "a", "n"), export); got != "Failed,Export,Failed, then exported" {
		t.Errorf("fired %q", got)
	}
}

// An event that two counted rules match is one event.
func TestOneEventCountsOnce(t *testing.T) {
	s := load(t, twoRules+`
title: Any
name: any
detection: {s: {action: authn.*}, condition: s}
---
title: Both
correlation: {type: event_count, rules: [failed, any], timespan: 5m, condition: {gte: 2}}
`)
	if got := fired(s, attempt(auditlog.Denied, "a", "n")); got != "" {
		t.Errorf("fired %q after one event", got)
	}
	if got := fired(s, attempt(auditlog.Denied, "a", "n")); got != "Both" {
		t.Errorf("fired %q after two events", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s, err := Load(map[string][]byte{"r": []byte(twoRules + `
title: Guessing
correlation: {type: event_count, rules: [failed], group-by: [target.account], timespan: 1h, condition: {gte: 10}}
---
title: Spraying
correlation: {type: value_count, rules: [failed], group-by: [tenant], timespan: 1h, condition: {gte: 20, field: target.account}}
`)}, Options{MaxGroups: 50})
	if err != nil {
		t.Fatal(err)
	}
	guessed := 0
	for i := range 1000 {
		if i%125 == 0 {
			for range 2 {
				guessed += strings.Count(fired(s, attempt(auditlog.Denied, "victim", "n")), "Guessing")
			}
		}
		fired(s, attempt(auditlog.Denied, fmt.Sprint(i), "n"))
	}
	for _, c := range s.correlations {
		if n := len(c.correlation.groups); n > 50 {
			t.Errorf("%s remembers %d groups", c.Title, n)
		}
		for _, g := range c.correlation.groups {
			if len(g.values) > 20 || len(g.times) > 10 {
				t.Errorf("a group remembers %d values and %d times", len(g.values), len(g.times))
			}
		}
	}
	if guessed != 1 || s.Forgotten() == 0 {
		t.Errorf("guessing fired %d times, %d groups forgotten", guessed, s.Forgotten())
	}
}

func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Load(map[string][]byte{"r": []byte(one("{s: {action: authn.*}, condition: s}"))}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		other := *attempt(auditlog.Denied, "a", "n")
		other.Tenant = "other"
		if got := fired(s, attempt(auditlog.Denied, "a", "n"), attempt(auditlog.Denied, "a", "n"), &other); got != "T,T" {
			t.Errorf("fired %q, want once per tenant", got)
		}
		time.Sleep(5 * time.Minute)
		if got := fired(s, attempt(auditlog.Denied, "a", "n")); got != "T" {
			t.Errorf("fired %q after the quiet time", got)
		}
	})
}

func TestGlobIsNotExponential(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	done := make(chan bool, 1)
	go func() {
		m := &modifiers{}
		f, _ := m.pattern(strings.Repeat("*a", 500) + "b")
		done <- f(strings.Repeat("a", 5000))
	}()
	select {
	case got := <-done:
		if got {
			t.Error("matched")
		}
	case <-ctx.Done():
		t.Error("a pattern of stars takes too long")
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"a and b or not (c)", "1 of them", "all of a*", "((a", "not", "a | count()", "1 of of", "and and and", "a of b"} {
		f.Add(s)
	}
	names := []string{"a", "b", "ab", "_c", "of", "not"}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCondition(s, names)
		if err != nil {
			return
		}
		for _, all := range []bool{true, false} {
			c(func(name string) bool {
				if name != "a" && name != "b" && name != "ab" && name != "_c" && name != "of" && name != "not" {
					t.Fatalf("asked for %q", name)
				}
				return all
			})
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(twoRules+"title: C\ncorrelation: {type: event_count, rules: [failed], timespan: 5m, condition: {gte: 3}}\n", "authn.login")
	f.Add(one("{s: {action|re|i: 'a.*'}, k: [x, y], condition: 's or 1 of k*'}"), "a.b")
	f.Add(one("{s: {attr.x|cidr: 10.0.0.0/8, attr.y|fieldref: action, attr.z|exists: true}, condition: not s}"), "")
	f.Fuzz(func(t *testing.T, text, action string) {
		s, err := Load(map[string][]byte{"f": []byte(text)}, Options{MaxGroups: 2})
		if err != nil {
			return
		}
		for range 3 {
			s.Evaluate(&auditlog.Event{Action: action, Outcome: auditlog.Denied, Attrs: []auditlog.Attr{auditlog.String("x", action)}}, time.Now())
		}
	})
}
