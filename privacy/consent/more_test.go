package consent_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/consent"
)

func mustGive(t *testing.T, l *consent.Ledger, c consent.Choice) consent.Entry {
	t.Helper()
	e, err := l.Give(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCacheIsStaleForASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := consent.NewMemory()
		here, there := newLedger(t, store), newLedger(t, store) // two instances on one store
		cache, err := consent.NewCache(here)
		if err != nil {
			t.Fatal(err)
		}
		ask := func() bool {
			ok, err := cache.Consented(t.Context(), "acme", "u-1", "benefits")
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		mustGive(t, here, choice("benefits"))
		if !ask() {
			t.Error("a consent given here does not count at once")
		}
		if _, err := there.Withdraw(t.Context(), choice("benefits")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(consent.Staleness)
		if ask() {
			t.Error("a withdrawal on another instance does not count after a second")
		}
		mustGive(t, here, choice("benefits"))
		ask()
		if _, err := here.Withdraw(t.Context(), choice("benefits")); err != nil {
			t.Fatal(err)
		}
		if ask() {
			t.Error("a withdrawal here does not count at once")
		}
	})
}

// slow lets a test change the ledger while the cache reads it.
type slow struct {
	*consent.Memory
	during func()
}

func (s *slow) Chain(ctx context.Context, tenant, subject string) ([]consent.Entry, error) {
	list, err := s.Memory.Chain(ctx, tenant, subject)
	if f := s.during; f != nil {
		s.during = nil
		f()
	}
	return list, err
}

func TestAWithdrawalDuringARefillIsNotLost(t *testing.T) {
	s := &slow{Memory: consent.NewMemory()}
	l := newLedger(t, s)
	cache, err := consent.NewCache(l)
	if err != nil {
		t.Fatal(err)
	}
	mustGive(t, l, choice("benefits"))
	s.during = func() {
		if _, err := l.Withdraw(t.Context(), choice("benefits")); err != nil {
			t.Error(err)
		}
	}
	for range 2 { // the first answer was read before the withdrawal
		if _, err := cache.Consented(t.Context(), "acme", "u-1", "benefits"); err != nil {
			t.Fatal(err)
		}
	}
	if ok, _ := cache.Consented(t.Context(), "acme", "u-1", "benefits"); ok {
		t.Error("the cache kept what was read before the withdrawal")
	}
}

func TestCacheAllocatesNothing(t *testing.T) {
	l := newLedger(t, consent.NewMemory())
	cache, err := consent.NewCache(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consent.NewCache(l); err == nil {
		t.Error("a second cache would not hear of changes")
	}
	gate, err := privacy.NewGate([]privacy.Declaration{{Purpose: "benefits", Title: "Benefits", Basis: privacy.Consent}}, cache, &auditlogtest.Recorder{})
	if err != nil {
		t.Fatal(err)
	}
	mustGive(t, l, choice("benefits"))
	ctx := privacy.WithPurpose(t.Context(), "benefits")
	if n := testing.AllocsPerRun(100, func() {
		if err := gate.Check(ctx, "acme", "u-1"); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// versions are notices of which only some stand.
type versions map[string]bool

func (v versions) Stands(_ context.Context, _ string, _ privacy.Purpose, version string) (bool, error) {
	if version == "down" {
		return false, errors.New("down")
	}
	return v[version], nil
}

func TestAMaterialChangeAsksAgain(t *testing.T) {
	v := versions{"2026-1": true}
	l, err := consent.New(consent.NewMemory(), key, &auditlogtest.Recorder{}, consent.Options{Notices: v})
	if err != nil {
		t.Fatal(err)
	}
	mustGive(t, l, choice("benefits"))
	if !consented(t, l, "benefits") {
		t.Error("a consent does not count")
	}
	v["2026-1"], v["2026-2"] = false, true
	if consented(t, l, "benefits") {
		t.Error("a consent to what has changed since counts")
	}
	for _, version := range []string{"2026-1", "invented", "down"} {
		c := choice("benefits")
		c.Notice = version
		if _, err := l.Give(t.Context(), c); err == nil {
			t.Errorf("given under %q", version)
		}
	}
	if _, err := l.Withdraw(t.Context(), choice("benefits")); err != nil {
		t.Errorf("withdrawing needs a current notice: %v", err)
	}
}

func TestAChildNeedsAGuardian(t *testing.T) {
	minor := func(context.Context, string, string) (bool, error) { return true, nil }
	l, err := consent.New(consent.NewMemory(), key, &auditlogtest.Recorder{}, consent.Options{Minor: minor})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Give(t.Context(), choice("benefits")); !errors.Is(err, consent.ErrChoice) {
		t.Errorf("a child consented: %v", err)
	}
	c := choice("benefits")
	c.Guardian = "u-1"
	if _, err := l.Give(t.Context(), c); !errors.Is(err, consent.ErrChoice) {
		t.Errorf("a child is its own guardian: %v", err)
	}
	c.Guardian = "u-9"
	mustGive(t, l, c)
	for country, want := range map[string]int{"DE": 16, "AT": 14, "US": 13, "": 16, "XX": 16} {
		if got := consent.DigitalAge(country); got != want {
			t.Errorf("DigitalAge(%q) = %d, want %d", country, got, want)
		}
	}
}

func TestExplicit(t *testing.T) {
	l := newLedger(t, consent.NewMemory())
	mustGive(t, l, choice("health"))
	if ok, err := l.ExplicitlyConsented(t.Context(), "acme", "u-1", "health"); ok || err != nil {
		t.Errorf("a plain consent counts as explicit: %v", err)
	}
	c := choice("health")
	c.Explicit = true
	mustGive(t, l, c)
	if ok, err := l.ExplicitlyConsented(t.Context(), "acme", "u-1", "health"); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
}

func TestMerge(t *testing.T) {
	l := newLedger(t, consent.NewMemory())
	as := func(subject string, p privacy.Purpose) consent.Choice {
		c := choice(p)
		c.Subject = subject
		return c
	}
	do := func(f func(context.Context, consent.Choice) (consent.Entry, error), subject string, p privacy.Purpose) {
		t.Helper()
		if _, err := f(t.Context(), as(subject, p)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Microsecond) // entries have times of their own
	}
	do(l.Withdraw, "u-1", "ads")     // the account refused
	do(l.Give, "u-1", "benefits")    // and agreed to two
	do(l.Withdraw, "v-1", "surveys") // the visitor refused before
	do(l.Give, "u-1", "surveys")
	do(l.Give, "v-1", "ads")          // the visitor agrees to what the account refused
	do(l.Withdraw, "v-1", "benefits") // refuses later what it had agreed to
	do(l.Give, "v-1", "newsletter")   // and decides about something new
	for range 2 {
		if _, err := l.Merge(t.Context(), "acme", "v-1", "u-1"); err != nil {
			t.Fatal(err)
		}
	}
	for p, want := range map[privacy.Purpose]bool{"ads": false, "benefits": false, "surveys": true, "newsletter": true} {
		if got := consented(t, l, p); got != want {
			t.Errorf("%s: %t, want %t", p, got, want)
		}
	}
	chain, err := l.Chain(t.Context(), "acme", "u-1")
	if err != nil || len(chain) != 5 {
		t.Errorf("%d entries, %v: merging twice did something", len(chain), err)
	}
	if _, err := l.Merge(t.Context(), "acme", "u-1", "u-1"); !errors.Is(err, consent.ErrChoice) {
		t.Error(err)
	}
}

func indexed(rec *auditlogtest.Recorder) iter.Seq2[auditlog.Indexed, error] {
	return func(yield func(auditlog.Indexed, error) bool) {
		for i, e := range rec.Entries() {
			if !yield(auditlog.Indexed{Index: uint64(i), Entry: e}, nil) {
				return
			}
		}
	}
}

// Cutting the latest rows off leaves a chain that verifies; the log's anchor
// shows it.
func TestRemovedRowsShowAgainstTheLog(t *testing.T) {
	s := &rewriting{Memory: consent.NewMemory()}
	rec := &auditlogtest.Recorder{}
	l, err := consent.New(s, key, rec, consent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustGive(t, l, choice("benefits"))
	if _, err := l.Withdraw(t.Context(), choice("benefits")); err != nil {
		t.Fatal(err)
	}
	if missing, err := l.Reconcile(t.Context(), indexed(rec)); err != nil || len(missing) != 0 {
		t.Errorf("%v, %v", missing, err)
	}
	s.change = func(c []consent.Entry) []consent.Entry { return c[:1] }
	if missing, err := l.Reconcile(t.Context(), indexed(rec)); err != nil || len(missing) != 1 {
		t.Errorf("a withdrawal was cut off and not missed: %v, %v", missing, err)
	}
}

func TestReceipt(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := consent.NewIssuer(private, consent.Controller{Name: "Acme", Contact: "privacy@acme.example"}, "https://acme.example/privacy")
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger(t, consent.NewMemory())
	text, err := issuer.Issue(mustGive(t, l, choice("benefits")), "abc")
	if err != nil {
		t.Fatal(err)
	}
	r, err := consent.VerifyReceipt(public, text)
	if err != nil || r.Subject != "u-1" || r.Processing[0].Purpose != "benefits" || r.Event.Type != "consent-given" || r.NoticeHash != "abc" {
		t.Errorf("%+v, %v", r, err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	for name, bad := range map[string]string{
		"empty": "", "cut": text[:len(text)-2], "payload": parts[0] + "." + parts[1] + "A." + parts[2], "two parts": parts[0] + "." + parts[1],
		"alg none": "eyJhbGciOiJub25lIn0." + parts[1] + ".", "padded": parts[0] + "." + parts[1] + "=." + parts[2],
	} {
		if _, err := consent.VerifyReceipt(public, bad); !errors.Is(err, consent.ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := consent.VerifyReceipt(other, text); !errors.Is(err, consent.ErrReceipt) {
		t.Errorf("another key: %v", err)
	}
	if _, err := consent.NewIssuer(private, consent.Controller{}, "x"); err == nil {
		t.Error("an issuer for nobody was made")
	}
}

func FuzzVerifyReceipt(f *testing.F) {
	public := make(ed25519.PublicKey, ed25519.PublicKeySize)
	for _, s := range []string{"", "..", "a.b.c", "eyJhbGciOiJFZERTQSIsInR5cCI6ImNvbnNlbnQtcmVjZWlwdCtqd3MifQ.e30."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := consent.VerifyReceipt(public, s); err == nil {
			t.Error("verified")
		}
	})
}

func TestGPC(t *testing.T) {
	for _, tc := range []struct {
		values []string
		want   bool
	}{{nil, false}, {[]string{"1"}, true}, {[]string{"0"}, false}, {[]string{"true"}, false}, {[]string{"1", "1"}, false}, {[]string{" 1"}, false}, {[]string{"1;a"}, false}, {[]string{""}, false}} {
		h := http.Header{"Sec-Gpc": tc.values}
		if got := consent.GPC(h.Values); got != tc.want {
			t.Errorf("%q: %t", tc.values, got)
		}
	}
	w := httptest.NewRecorder()
	h := consent.GPCSupport(time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC))
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/gpc.json", nil))
	if w.Body.String() != `{"gpc":true,"lastUpdate":"2026-03-04"}` || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/.well-known/gpc.json", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Error(w.Code)
	}
}

func TestBanner(t *testing.T) {
	l := newLedger(t, consent.NewMemory())
	o := consent.BannerOptions{
		Notice: func(*http.Request) string { return "2026-1" },
		Who: func(r *http.Request) (string, string, error) {
			if r.Header.Get("Cookie") == "" {
				return "", "", errors.New("nobody")
			}
			return "acme", "u-1", nil
		},
		Back: "/privacy",
	}
	b, err := consent.NewBanner(l, []privacy.Purpose{"ads"}, o)
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, kind, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/consent", strings.NewReader(body))
		r.Header.Set("Cookie", "v=1")
		r.Header.Set("Content-Type", kind)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w
	}
	const form = "application/x-www-form-urlencoded"
	if w := call("GET", "", "", "Sec-GPC", "1"); !strings.Contains(w.Body.String(), `{"notice":"2026-1","gpc":true,"choices":{"ads":false}}`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// Withdrawing takes what giving takes: one call with the same two fields.
	for _, give := range []bool{true, false} {
		choice := map[bool]string{true: "give", false: "withdraw"}[give]
		if w := call("POST", "application/json", `{"purpose":"ads","choice":"`+choice+`"}`); w.Code != 200 || consented(t, l, "ads") != give {
			t.Errorf("%s by JSON: %d %s", choice, w.Code, w.Body)
		}
		if w := call("POST", form, "purpose=ads&choice="+choice); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/privacy" || consented(t, l, "ads") != give {
			t.Errorf("%s by form: %d", choice, w.Code)
		}
	}
	for name, tc := range map[string]struct {
		w    *httptest.ResponseRecorder
		want int
	}{
		"another purpose": {call("POST", form, "purpose=x&choice=give"), 400},
		"another choice":  {call("POST", form, "purpose=ads&choice=yes"), 400},
		"another field":   {call("POST", "application/json", `{"purpose":"ads","choice":"give","x":1}`), 400},
		"too long":        {call("POST", form, "purpose=ads&choice=give&x="+strings.Repeat("x", 5000)), 400},
		"another site":    {call("POST", form, "purpose=ads&choice=give", "Sec-Fetch-Site", "cross-site"), 403},
		"nobody":          {call("POST", form, "purpose=ads&choice=give", "Cookie", ""), 403},
		"another method":  {call("PUT", form, ""), 405},
	} {
		if tc.w.Code != tc.want {
			t.Errorf("%s: %d, want %d", name, tc.w.Code, tc.want)
		}
	}
	if consented(t, l, "ads") {
		t.Error("a refused request changed the choice")
	}
	o.Back = "//evil.example"
	if _, err := consent.NewBanner(l, []privacy.Purpose{"ads"}, o); err == nil {
		t.Error("a banner that leads away was made")
	}
}
