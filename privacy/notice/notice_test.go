package notice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/consent"
	"github.com/surety-go/surety/privacy/notice"
	"github.com/surety-go/surety/privacy/record"
)

var key = bytes.Repeat([]byte{7}, record.KeySize)

var (
	_     consent.Notices = (*notice.Register)(nil)
	start                 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when synctest's clock begins
)

func newRegister(t *testing.T) (*notice.Register, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	r, err := notice.New(record.NewMemory(), key, rec)
	if err != nil {
		t.Fatal(err)
	}
	return r, rec
}

func version(v, locale, jurisdiction string, after time.Duration, material ...privacy.Purpose) notice.Notice {
	n := notice.Notice{
		Version: v, Locale: locale, Jurisdiction: jurisdiction, Effective: start.Add(after), Title: "Privacy", Body: "We … " + locale,
		Purposes: []privacy.Purpose{"ads", "benefits"}, Material: material,
	}
	if len(material) > 0 {
		n.Change = "ads are shared"
	}
	return n
}

func publish(t *testing.T, r *notice.Register, list ...notice.Notice) {
	t.Helper()
	for _, n := range list {
		if err := r.Publish(t.Context(), "acme", n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRegister(t)
		if _, err := r.Current(t.Context(), "acme", ""); !errors.Is(err, notice.ErrNone) {
			t.Errorf("%v", err)
		}
		publish(t, r, version("1", "en", "", 0), version("1", "de", "", 0), version("2", "en", "", time.Hour), version("1e", "fr", "EU", 0))
		current := func(want string, jurisdiction string, locales ...string) {
			t.Helper()
			n, err := r.Current(t.Context(), "acme", jurisdiction, locales...)
			if got := n.Version + n.Locale; err != nil || got != want {
				t.Errorf("%s %v: %s, %v; want %s", jurisdiction, locales, got, err, want)
			}
		}
		current("1de", "", "de-AT", "en")
		current("1en", "", "it", "en")
		current("1efr", "EU", "de")
		current("1de", "US-CA", "de")
		if n, err := r.Current(t.Context(), "acme", "", "xx"); err != nil || n.Version != "1" {
			t.Errorf("a language that doesn't exist: %v, %v", n, err)
		}
		time.Sleep(time.Hour)
		current("2en", "", "de")
		if _, err := r.Current(t.Context(), "globex", ""); !errors.Is(err, notice.ErrNone) {
			t.Errorf("another tenant's notice: %v", err)
		}
	})
}

func TestPublishedIsPublished(t *testing.T) {
	r, rec := newRegister(t)
	n := version("1", "en", "", 0)
	publish(t, r, n, n)
	if got := rec.Find("privacy.notice.publish"); len(got) != 1 {
		t.Errorf("%d events", len(got))
	}
	changed := n
	changed.Body += "!"
	other := version("1", "de", "", time.Hour)
	for name, bad := range map[string]notice.Notice{"another text": changed, "another date in another language": other} {
		if err := r.Publish(t.Context(), "acme", bad); !errors.Is(err, notice.ErrNotice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if changed.Hash() == n.Hash() {
		t.Error("the hash does not cover the text")
	}
}

func TestMaterialChangeEndsOlderConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRegister(t)
		publish(t, r, version("1", "en", "", 0), version("2", "en", "", time.Hour, "ads"), version("2e", "en", "EU", time.Hour, "benefits"))
		stands := func(want bool, p privacy.Purpose, v string) {
			t.Helper()
			if got, err := r.Stands(t.Context(), "acme", p, v); err != nil || got != want {
				t.Errorf("%s under %s: %t, %v", p, v, got, err)
			}
		}
		stands(true, "ads", "1")
		stands(false, "ads", "2") // not yet in force
		stands(false, "other", "1")
		stands(false, "ads", "0")
		time.Sleep(time.Hour)
		stands(false, "ads", "1")
		stands(true, "benefits", "1") // changed under another law only
		stands(true, "ads", "2")
	})
}

func TestProofOfWhatWasShown(t *testing.T) {
	r, rec := newRegister(t)
	n := version("1", "en", "", 0)
	publish(t, r, n)
	for _, subject := range []string{"u-1", "u-2"} {
		if err := r.Show(t.Context(), "acme", subject, n, "web"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := r.ShownTo(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 1 || list[0].Hash != n.Hash() || list[0].At.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	rec.FailWith(errors.New("disk full"))
	if err := r.Show(t.Context(), "acme", "u-1", n, "web"); err == nil {
		t.Error("shown without a trace")
	}
	if err := r.Show(t.Context(), "acme", "", n, "web"); !errors.Is(err, notice.ErrNotice) {
		t.Error(err)
	}
}

func TestBadNotices(t *testing.T) {
	r, _ := newRegister(t)
	for name, f := range map[string]func(*notice.Notice){
		"version": func(n *notice.Notice) { n.Version = "" }, "bar": func(n *notice.Notice) { n.Version = "a|b" }, "locale": func(n *notice.Notice) { n.Locale = "" },
		"date": func(n *notice.Notice) { n.Effective = time.Time{} }, "purposes": func(n *notice.Notice) { n.Purposes = nil },
		"material": func(n *notice.Notice) { n.Material, n.Change = []privacy.Purpose{"x"}, "x" }, "no word on the change": func(n *notice.Notice) { n.Material = n.Purposes },
	} {
		n := version("1", "en", "", 0)
		f(&n)
		if err := r.Publish(t.Context(), "acme", n); !errors.Is(err, notice.ErrNotice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := notice.New(record.NewMemory(), key, nil); err == nil {
		t.Error("a register without a recorder was made")
	}
}

func TestProbe(t *testing.T) {
	r, _ := newRegister(t)
	if got := r.Controls("acme")[0].Run(t.Context()); got.State != controls.Fail {
		t.Errorf("no notice: %v", got.State)
	}
	publish(t, r, version("1", "en", "", 0))
	if got := r.Controls("acme")[0].Run(t.Context()); got.State != controls.Pass {
		t.Errorf("%v %s", got.State, got.Observed)
	}
}

func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	register, err := notice.New(record.NewMemory(), make([]byte, record.KeySize), log)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	err = register.Publish(ctx, "acme", notice.Notice{
		Version: "2026-1", Locale: "en", Effective: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Title: "What we do with your data", Body: "…", Purposes: []privacy.Purpose{"newsletter"},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(register.Stands(ctx, "acme", "newsletter", "2025-9"))
	// Output: false <nil>
}
