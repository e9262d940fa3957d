package totp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/controls"
)

type bench struct {
	*totp.Verifier
	rec   *auditlogtest.Recorder
	store *totp.Memory
	now   time.Time
}

func newBench(t testing.TB, o totp.Options) *bench {
	t.Helper()
	b := &bench{rec: &auditlogtest.Recorder{}, store: &totp.Memory{}, now: time.Unix(1_800_000_000, 0)}
	o.Issuer = "Acme Inc"
	v, err := totp.New(b.store, authntest.Seeds{}, b.rec, o)
	if err != nil {
		t.Fatal(err)
	}
	totp.SetNow(v, func() time.Time { return b.now })
	b.Verifier = v
	return b
}

// enrol leaves an account whose last accepted step is the present one.
func (b *bench) enrol(t testing.TB, account string) *authntest.App {
	t.Helper()
	e, err := b.Enrol(t.Context(), "acme", account, "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	app := authntest.Scan(t, e.URI)
	if err := b.Confirm(t.Context(), "acme", account, app.Code(b.now, 0)); err != nil {
		t.Fatal(err)
	}
	return app
}

func (b *bench) want(t *testing.T, what string, want error, code string) {
	t.Helper()
	err := b.Verify(t.Context(), "acme", "u-1", code)
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// RFC 4226 appendix D.
func TestHOTPVectors(t *testing.T) {
	for counter, want := range []uint32{755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489} {
		if got := totp.HOTP([]byte("12345678901234567890"), uint64(counter)); got != want {
			t.Errorf("counter %d: %06d, want %06d", counter, got, want)
		}
	}
}

// RFC 6238 appendix B, SHA-1, the last six of eight digits.
func TestTOTPVectors(t *testing.T) {
	for at, want := range map[int64]uint32{59: 287082, 1111111109: 81804, 1111111111: 50471, 1234567890: 5924, 2000000000: 279037, 20000000000: 353130} {
		if got := totp.HOTP([]byte("12345678901234567890"), uint64(at/30)); got != want {
			t.Errorf("at %d: %06d, want %06d", at, got, want)
		}
	}
}

// The failure of 7 of 8 peers: a code that was seen over a shoulder works
// again for the rest of its time.
func TestASVS_6_5_1_CodeWorksOnce(t *testing.T) {
	b := newBench(t, totp.Options{})
	app := b.enrol(t, "u-1")
	b.want(t, "the code of the enrolment", totp.ErrUsed, app.Code(b.now, 0))
	b.now = b.now.Add(30 * time.Second)
	b.want(t, "a new code", nil, app.Code(b.now, 0))
	b.want(t, "the same code again", totp.ErrUsed, app.Code(b.now, 0))
	b.want(t, "an earlier one that was not used", totp.ErrUsed, app.Code(b.now, -1))
	b.now = b.now.Add(31 * time.Second) // rodauth accepts it again now
	b.want(t, "the same code 31 s later", totp.ErrUsed, app.Code(b.now, -1))
	b.now = b.now.Add(14 * time.Second)
	b.want(t, "the same code 45 s later", totp.ErrUsed, app.Code(b.now, -1))
	b.want(t, "the next one", nil, app.Code(b.now, 1))
}

func TestCodeWorksOnceAtTheSameMoment(t *testing.T) {
	b := newBench(t, totp.Options{})
	app := b.enrol(t, "u-1")
	code := app.Code(b.now, 1)
	var accepted atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			switch err := b.Verify(t.Context(), "acme", "u-1", code); {
			case err == nil:
				accepted.Add(1)
			case !errors.Is(err, totp.ErrUsed):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 1 {
		t.Errorf("one code was accepted %d times", accepted.Load())
	}
}

func TestASVS_6_5_5_CodeLifetime(t *testing.T) {
	for skew, window := range map[int][2]int64{0: {-1, 1}, 2: {-2, 2}, -1: {0, 0}} {
		b := newBench(t, totp.Options{Skew: skew})
		app := b.enrol(t, "u-1")
		b.now = b.now.Add(10 * time.Minute)
		b.want(t, "too early", totp.ErrCode, app.Code(b.now, window[0]-1))
		b.want(t, "too late", totp.ErrCode, app.Code(b.now, window[1]+1))
		b.want(t, "the earliest", nil, app.Code(b.now, window[0]))
		if window[1] > 0 {
			b.want(t, "the latest", nil, app.Code(b.now, window[1]))
		}
	}
}

func TestWhatPeopleType(t *testing.T) {
	for s, want := range map[string]bool{
		"123456": true, "123 456": true, " 123456 ": true, "000000": true,
		"": false, "12345": false, "1234567": false, "12345a": false, "-12345": false, "+12345": false, "１２３４５６": false,
		"1 2 3 4 5 6": true, strings.Repeat(" ", 30) + "123456": false,
	} {
		if _, ok := totp.ParseCode(s); ok != want {
			t.Errorf("%q: %t", s, ok)
		}
	}
}

func TestEnrolmentCountsAfterConfirmation(t *testing.T) {
	b := newBench(t, totp.Options{})
	e, err := b.Enrol(t.Context(), "acme", "u-1", "ada")
	if err != nil {
		t.Fatal(err)
	}
	app := authntest.Scan(t, e.URI)
	b.want(t, "a code of a pending enrolment", totp.ErrNotEnrolled, app.Code(b.now, 0))
	if on, err := b.Enrolled(t.Context(), "acme", "u-1"); on || err != nil {
		t.Errorf("Enrolled: %t, %v", on, err)
	}
	if err := b.Confirm(t.Context(), "acme", "u-1", app.Code(b.now, 5)); !errors.Is(err, totp.ErrCode) {
		t.Errorf("a wrong code confirms: %v", err)
	}
	b.now = b.now.Add(11 * time.Minute)
	if err := b.Confirm(t.Context(), "acme", "u-1", app.Code(b.now, 0)); !errors.Is(err, totp.ErrNotEnrolled) {
		t.Errorf("after 11 minutes: %v", err)
	}
}

func TestOldDeviceWorksUntilTheNewOneIsConfirmed(t *testing.T) {
	b := newBench(t, totp.Options{})
	first := b.enrol(t, "u-1")
	e, err := b.Enrol(t.Context(), "acme", "u-1", "ada")
	if err != nil {
		t.Fatal(err)
	}
	second := authntest.Scan(t, e.URI)
	b.want(t, "the old device", nil, first.Code(b.now, 1))
	b.now = b.now.Add(time.Minute)
	if err := b.Confirm(t.Context(), "acme", "u-1", second.Code(b.now, 0)); err != nil {
		t.Fatal(err)
	}
	b.want(t, "the old device afterwards", totp.ErrCode, first.Code(b.now, 1))
	b.want(t, "the new device", nil, second.Code(b.now, 1))
	if err := b.Remove(t.Context(), "acme", "u-1", "lost"); err != nil {
		t.Fatal(err)
	}
	b.want(t, "after its removal", totp.ErrNotEnrolled, second.Code(b.now, 1))
	if e := b.rec.Want(t, "authn.totp.remove", auditlog.Success); e.Reason != "lost" {
		t.Errorf("%+v", e)
	}
}

func TestTenantsAreApart(t *testing.T) {
	b := newBench(t, totp.Options{})
	app := b.enrol(t, "u-1")
	if err := b.Verify(t.Context(), "globex", "u-1", app.Code(b.now, 1)); !errors.Is(err, totp.ErrNotEnrolled) {
		t.Errorf("another tenant's account of the same id: %v", err)
	}
	if err := b.Verify(t.Context(), "", "u-1", app.Code(b.now, 1)); err == nil {
		t.Error("without a tenant")
	}
	// A SQL writer copies another account's enrolment, whose seed he knows.
	c, err := b.store.Get(t.Context(), "acme", "u-1", true)
	if err != nil {
		t.Fatal(err)
	}
	c.Account = "u-2"
	if err := b.store.Put(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Activate(t.Context(), "acme", "u-2", c.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(t.Context(), "acme", "u-2", app.Code(b.now, 1)); err == nil {
		t.Error("a seed that was moved to another account is accepted")
	}
}

func TestSeeds(t *testing.T) {
	b := newBench(t, totp.Options{})
	e, err := b.Enrol(t.Context(), "acme", "u-1", "ada@example.org: ü&?")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(e.URI)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Path != "/Acme Inc:ada@example.org: ü&?" || q.Get("issuer") != "Acme Inc" || q.Get("digits") != "6" || q.Get("period") != "30" || len(q.Get("secret")) != 32 {
		t.Errorf("%s", e.URI)
	}
	if strings.Contains(e.URI, "+") {
		t.Errorf("apps show a plus for a space: %s", e.URI)
	}
	for _, s := range []string{fmt.Sprint(e), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
		if strings.Contains(s, e.Secret) {
			t.Errorf("printing shows the secret: %s", s)
		}
	}
	b.rec.WantWithout(t, e.Secret, "ada@")
	img, err := e.PNG()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(img)); err != nil {
		t.Error(err)
	}
	svg, err := e.SVG()
	if err != nil || !strings.HasPrefix(svg, "<svg ") || !strings.Contains(svg, "aria-label") || strings.Contains(svg, "style") {
		t.Errorf("%.200s, %v", svg, err)
	}
	again, err := b.Enrol(t.Context(), "acme", "u-1", "ada")
	if err != nil || again.Secret == e.Secret {
		t.Errorf("the second seed is the first: %v", err)
	}
}

func TestEvents(t *testing.T) {
	b := newBench(t, totp.Options{})
	app := b.enrol(t, "u-1")
	b.want(t, "used", totp.ErrUsed, app.Code(b.now, 0))
	b.want(t, "wrong", totp.ErrCode, app.Code(b.now, 9))
	b.want(t, "right", nil, app.Code(b.now, 1))
	var got []string
	for _, e := range b.rec.Find("authn.totp.verify") {
		got = append(got, e.Outcome.String()+" "+e.Reason)
	}
	if want := []string{"denied authn.totp.used", "denied authn.totp.code", "success "}; strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("%q", got)
	}
	b.rec.FailWith(errors.New("disk full"))
	b.now = b.now.Add(time.Minute)
	if err := b.Verify(t.Context(), "acme", "u-1", app.Code(b.now, 1)); err == nil {
		t.Error("an unrecorded verification succeeded")
	}
	b.rec.FailWith(nil)
	b.want(t, "the code of the unrecorded verification", totp.ErrUsed, app.Code(b.now, 1))
}

// brokenStore answers with errors, or with somebody else's credential.
type brokenStore struct {
	totp.Store
	err  error
	swap string
}

func (s brokenStore) Get(ctx context.Context, tenant, account string, active bool) (totp.Credential, error) {
	if s.err != nil {
		return totp.Credential{}, s.err
	}
	return s.Store.Get(ctx, tenant, s.swap, active)
}

func TestBrokenStoreDenies(t *testing.T) {
	b := newBench(t, totp.Options{})
	app := b.enrol(t, "u-1")
	for what, s := range map[string]brokenStore{"down": {err: errors.New("down")}, "another's": {Store: b.store, swap: "u-1"}} {
		v, err := totp.New(s, authntest.Seeds{}, b.rec, totp.Options{Issuer: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(t.Context(), "acme", "u-2", app.Code(time.Now(), 0)); err == nil || errors.Is(err, totp.ErrNotEnrolled) {
			t.Errorf("%s: %v", what, err)
		}
		if on, err := v.Enrolled(t.Context(), "acme", "u-2"); on || err == nil {
			t.Errorf("%s: Enrolled: %t, %v: an unknown answer must not become \"no second factor\"", what, on, err)
		}
		if r := v.Controls()[0].Run(t.Context()); what == "down" && r.State != controls.Error {
			t.Errorf("%s: probe %+v", what, r)
		}
	}
}

// replayStore accepts every step, like a verifier without memory.
type replayStore struct{ *totp.Memory }

func (replayStore) Advance(context.Context, string, string, string, int64) (bool, error) {
	return true, nil
}

func TestProbe(t *testing.T) {
	b := newBench(t, totp.Options{})
	c := b.Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	before := len(b.rec.Events())
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	if len(b.rec.Events()) != before {
		t.Error("the probe left events")
	}
	v, err := totp.New(replayStore{&totp.Memory{}}, authntest.Seeds{}, b.rec, totp.Options{Issuer: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if r := v.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("a store that lets codes be replayed: %+v", r)
	}
}

func TestBadOptions(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	for name, o := range map[string]totp.Options{
		"no issuer": {}, "colon": {Issuer: "a:b"}, "control": {Issuer: "a\nb"}, "long": {Issuer: strings.Repeat("x", 65)},
		"skew": {Issuer: "a", Skew: 3}, "enrol": {Issuer: "a", EnrolFor: time.Second},
	} {
		if _, err := totp.New(&totp.Memory{}, authntest.Seeds{}, rec, o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := totp.New(&totp.Memory{}, nil, rec, totp.Options{Issuer: "a"}); err == nil {
		t.Error("no sealer was accepted")
	}
}

func FuzzParseCode(f *testing.F) {
	f.Add("123 456")
	f.Add("１２３４５６")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := totp.ParseCode(s); ok && (n > 999_999 || strings.ReplaceAll(s, " ", "") != fmt.Sprintf("%06d", n)) {
			t.Errorf("%q is %d", s, n)
		}
	})
}
