package otp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/controls"
)

// post is a Sender that keeps the last message.
type post struct {
	last otp.Message
	n    int
	err  error
}

func (p *post) Send(_ context.Context, m otp.Message) error {
	p.last, p.n = m, p.n+1
	return p.err
}

type desk struct {
	*otp.Codes
	store *otp.Memory
	post  *post
	rec   *auditlogtest.Recorder
	at    time.Time
}

func newDesk(t *testing.T, o otp.Options) *desk {
	t.Helper()
	d := &desk{store: &otp.Memory{}, post: &post{}, rec: &auditlogtest.Recorder{}, at: time.Now()}
	var err error
	if d.Codes, err = otp.New(d.store, d.post, bytes.Repeat([]byte{1}, 32), d.rec, o); err != nil {
		t.Fatal(err)
	}
	otp.SetNow(d.Codes, func() time.Time { return d.at })
	return d
}

func (d *desk) send(t *testing.T) otp.Answer {
	t.Helper()
	handle, err := d.Send(t.Context(), otp.Request{Tenant: "acme", Account: "u-1", Purpose: "reset", Channel: otp.Email, To: "ada@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	return otp.Answer{Tenant: "acme", Account: "u-1", Purpose: "reset", Handle: handle, Code: d.post.last.Code}
}

func TestASVS_6_5_1_OutOfBandCodeWorksOnce(t *testing.T) {
	d := newDesk(t, otp.Options{})
	a := d.send(t)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if d.Verify(context.Background(), a) == nil {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("one code worked %d times", wins.Load())
	}
	d.rec.WantWithout(t, a.Code, "ada@")
}

func TestASVS_6_6_2_CodesAreBoundToTheirRequest(t *testing.T) {
	d := newDesk(t, otp.Options{})
	a := d.send(t)
	for what, change := range map[string]func(*otp.Answer){
		"another browser": func(a *otp.Answer) { a.Handle = strings.Repeat("A", 26) },
		"no handle":       func(a *otp.Answer) { a.Handle = "" },
		"another account": func(a *otp.Answer) { a.Account = "u-2" },
		"another tenant":  func(a *otp.Answer) { a.Tenant = "globex" },
		"another purpose": func(a *otp.Answer) { a.Purpose = "login" },
	} {
		b := a
		change(&b)
		if err := d.Verify(t.Context(), b); !errors.Is(err, otp.ErrCode) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := d.Verify(t.Context(), a); err != nil {
		t.Error(err)
	}
	first := d.send(t)
	second := d.send(t)
	if err := d.Verify(t.Context(), first); !errors.Is(err, otp.ErrCode) {
		t.Errorf("a code that was overtaken: %v", err)
	}
	if err := d.Verify(t.Context(), second); err != nil {
		t.Error(err)
	}
}

// A new code gives no new guesses, the way around a limit per code.
func TestASVS_6_6_3_NewCodesDoNotResetTheCounter(t *testing.T) {
	d := newDesk(t, otp.Options{})
	guesses := 0
	for guesses < 50 {
		a := d.send(t)
		a.Code = "x"
		var err error
		for range 4 {
			if err = d.Verify(t.Context(), a); errors.Is(err, otp.ErrLimit) {
				break
			}
			guesses++
		}
		if errors.Is(err, otp.ErrLimit) {
			break
		}
	}
	if guesses != 10 {
		t.Errorf("%d guesses within an hour", guesses)
	}
	d.at = d.at.Add(time.Hour)
	if err := d.Verify(t.Context(), d.send(t)); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

func TestDisabledAfterAHundredInARow(t *testing.T) {
	d := newDesk(t, otp.Options{})
	for n := range 100 {
		if n%10 == 0 {
			d.at = d.at.Add(time.Hour)
		}
		if err := d.Verify(t.Context(), otp.Answer{Tenant: "acme", Account: "u-1", Purpose: "reset"}); !errors.Is(err, otp.ErrCode) {
			t.Fatalf("failure %d: %v", n, err)
		}
	}
	d.at = d.at.Add(48 * time.Hour)
	var limit *otp.LimitError
	if _, err := d.Send(t.Context(), otp.Request{Tenant: "acme", Account: "u-1", Purpose: "reset", Channel: otp.SMS}); !errors.As(err, &limit) || limit.Reason != "disabled" {
		t.Errorf("%v", err)
	}
	if err := d.Reset(t.Context(), "acme", "u-1", "reset"); err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(t.Context(), d.send(t)); err != nil {
		t.Errorf("after Reset: %v", err)
	}
}

func TestASVS_6_6_4_BombingIsLimited(t *testing.T) {
	d := newDesk(t, otp.Options{})
	for range 5 {
		d.send(t)
	}
	for _, to := range []string{"ada@example.org", ""} { // an account that isn't there answers alike
		account := map[string]string{"": "?x"}[to]
		if account == "" {
			account = "u-1"
		}
		sent := 0
		for range 10 {
			_, err := d.Send(t.Context(), otp.Request{Tenant: "acme", Account: account, Purpose: "reset", Channel: otp.Email, To: to})
			if err == nil {
				sent++
			} else if !errors.Is(err, otp.ErrLimit) {
				t.Fatal(err)
			}
		}
		if want := map[string]int{"ada@example.org": 0, "": 5}[to]; sent != want {
			t.Errorf("%q: %d more codes", to, sent)
		}
	}
	if d.post.n != 5 {
		t.Errorf("%d messages", d.post.n)
	}
}

func TestASVS_6_5_5_OutOfBandCodesLastTenMinutes(t *testing.T) {
	d := newDesk(t, otp.Options{})
	a := d.send(t)
	if got := d.post.last.Expires.Sub(d.at); got > 10*time.Minute {
		t.Errorf("good for %v", got)
	}
	d.at = d.at.Add(10 * time.Minute)
	if err := d.Verify(t.Context(), a); !errors.Is(err, otp.ErrCode) {
		t.Errorf("after ten minutes: %v", err)
	}
}

func TestASVS_6_5_4_OutOfBandCodesHaveSixDigits(t *testing.T) {
	d := newDesk(t, otp.Options{PerHour: 20})
	seen := map[string]bool{}
	for range 20 {
		code := d.send(t).Code
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("a code of %d signs", len(code))
		}
		seen[code] = true
	}
	if len(seen) < 15 {
		t.Errorf("%d different codes of 20", len(seen))
	}
	if _, err := d.Send(t.Context(), otp.Request{Tenant: "acme", Account: "u-2", Purpose: "login", Channel: otp.Email, To: "x", Long: true}); err != nil {
		t.Fatal(err)
	}
	if n := len(d.post.last.Code); n*5 < 128 {
		t.Errorf("a link of %d bits", n*5)
	}
}

func TestASVS_6_5_2_OnlyKeyedHashesAreStored(t *testing.T) {
	d := newDesk(t, otp.Options{})
	a := d.send(t)
	r, err := d.store.Get(t.Context(), "acme", "reset\x1fu-1")
	if err != nil || r.Hash == (otp.Hash{}) || strings.Contains(fmt.Sprint(r), a.Code) {
		t.Errorf("%+v, %v", r, err)
	}
	other, err := otp.New(d.store, d.post, bytes.Repeat([]byte{2}, 32), d.rec, otp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Verify(t.Context(), a); !errors.Is(err, otp.ErrCode) {
		t.Errorf("under another key: %v", err)
	}
}

func TestASVS_6_3_6_EmailIsNoSecondFactor(t *testing.T) {
	for c, want := range map[otp.Channel]bool{otp.Email: false, otp.SMS: true, otp.Voice: true} {
		if c.SecondFactor() != want {
			t.Errorf("%s: %t", c.Method(), !want)
		}
	}
}

type down struct{ otp.Memory }

func (*down) Swap(context.Context, string, string, int64, otp.Record) (bool, error) {
	return true, errors.New("down")
}

func TestFaultsDeny(t *testing.T) {
	d := newDesk(t, otp.Options{})
	a := d.send(t)
	d.rec.FailWith(errors.New("disk full"))
	if err := d.Verify(t.Context(), a); err == nil {
		t.Error("an unrecorded verification succeeded")
	}
	d.post.n = 0
	if _, err := d.Send(t.Context(), otp.Request{Tenant: "acme", Account: "u-1", Purpose: "reset", Channel: otp.Email, To: "x"}); err == nil || d.post.n != 0 {
		t.Error("an unrecorded code was sent")
	}
	broken, err := otp.New(&down{}, d.post, make([]byte, 32), &auditlogtest.Recorder{}, otp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Verify(t.Context(), a); err == nil || errors.Is(err, otp.ErrCode) {
		t.Errorf("%v", err)
	}
	if r := broken.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("%+v", r)
	}
	d = newDesk(t, otp.Options{})
	d.post.err = errors.New("no route")
	if _, err := d.Send(t.Context(), otp.Request{Tenant: "acme", Account: "u-1", Purpose: "reset", Channel: otp.Email, To: "x"}); err == nil {
		t.Error("what could not be sent was sent")
	}
}

func TestProbeAndEvents(t *testing.T) {
	d := newDesk(t, otp.Options{})
	for range 9 { // more often than codes may be sent
		if r := d.Controls()[0].Run(t.Context()); r.State != controls.Pass {
			t.Fatalf("%+v", r)
		}
	}
	a := d.send(t)
	_ = d.Verify(t.Context(), otp.Answer{Tenant: "acme", Account: "u-1", Purpose: "reset", Code: "x"})
	if err := d.Verify(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	d.rec.Want(t, "authn.otp.send", auditlog.Success)
	if list := d.rec.Find("authn.otp.verify"); len(list) != 2 || list[0].Outcome != auditlog.Denied || list[1].Outcome != auditlog.Success {
		t.Errorf("%+v", list)
	}
}

func TestBadArguments(t *testing.T) {
	rec, key := &auditlogtest.Recorder{}, make([]byte, 32)
	for i, o := range []otp.Options{{Digits: 5}, {Digits: 11}, {For: 11 * time.Minute}, {For: time.Second}, {PerHour: 21}, {Failures: 11}, {Failures: -1}} {
		if _, err := otp.New(&otp.Memory{}, &post{}, key, rec, o); err == nil {
			t.Errorf("options %d were accepted", i)
		}
	}
	if _, err := otp.New(&otp.Memory{}, &post{}, key[:31], rec, otp.Options{}); err == nil {
		t.Error("a short key")
	}
	if _, err := otp.New(nil, &post{}, key, rec, otp.Options{}); err == nil {
		t.Error("no store")
	}
	d := newDesk(t, otp.Options{})
	if _, err := d.Send(t.Context(), otp.Request{Tenant: "acme", Account: "u-1", Purpose: "x", Channel: "fax"}); err == nil {
		t.Error("fax")
	}
	if err := d.Verify(t.Context(), otp.Answer{Account: "u-1", Purpose: "x"}); err == nil {
		t.Error("no tenant")
	}
}

func Example() {
	ctx, box := context.Background(), &post{}
	codes, err := otp.New(&otp.Memory{}, box, make([]byte, 32), &auditlogtest.Recorder{}, otp.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	handle, err := codes.Send(ctx, otp.Request{Tenant: "acme", Account: "u-1", Purpose: "reset", Channel: otp.Email, To: "ada@example.org"})
	fmt.Println(len(box.last.Code), err)
	answer := otp.Answer{Tenant: "acme", Account: "u-1", Purpose: "reset", Handle: handle, Code: box.last.Code}
	fmt.Println(codes.Verify(ctx, answer))
	fmt.Println(codes.Verify(ctx, answer))
	// Output:
	// 6 <nil>
	// <nil>
	// otp: wrong or used code
}
