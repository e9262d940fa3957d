package controls

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/detect"
	"github.com/surety-go/surety/controls/findings"
)

// Many failed logins lead to a finding for the owner of the throttle and to a
// temporary lock of that account alone, and everything is in the log.
func TestFailedLoginsLockTheAccount(t *testing.T) {
	log := &auditlogtest.Recorder{}
	cat, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	tracker, err := findings.New(findings.NewMemory(), log, cat.Owner, findings.Options{})
	if err != nil {
		t.Fatal(err)
	}
	guesses, err := throttle.New(&throttle.Memory{}, log, throttle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := detect.New(log, detect.DefaultRules(), detect.Options{
		Findings: tracker,
		Actions: map[string]detect.Action{"lock": func(ctx context.Context, a detect.Alert) error {
			return guesses.Lock(ctx, a.Tenant, a.Group["target.account"], time.Now().Add(15*time.Minute), a.Rule.ID)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for i := range 10 {
		if locked, err := guesses.Locked(ctx, "acme", "acc-7"); err != nil || locked != nil {
			t.Fatalf("after %d failures: %v, %v", i, locked, err)
		}
		for _, account := range []string{"acc-7", fmt.Sprint("other-", i)} {
			err := d.Record(ctx, auditlog.Event{
				Action: "authn.password.verify", Outcome: auditlog.Denied, Tenant: "acme", Targets: []auditlog.Target{{Type: "account", ID: account}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	err = guesses.Begin(ctx, "acme", "acc-7", netip.MustParseAddr("192.0.2.1"))
	var locked *throttle.LockedError
	if !errors.As(err, &locked) || locked.Reason != "login.account" {
		t.Errorf("the account is not locked: %v", err)
	}
	if err := guesses.Begin(ctx, "acme", "other-1", netip.MustParseAddr("192.0.2.2")); err != nil {
		t.Errorf("another account is locked: %v", err)
	}
	list, err := tracker.All(ctx, "acme", findings.Open)
	if err != nil || len(list) != 1 || list[0].Control != "authn.throttle" || list[0].Owner != "head of security" || list[0].Subject != "login.account tenant=acme target.account=acc-7" {
		t.Errorf("findings %+v, %v", list, err)
	}
	for _, action := range []string{"controls.detect.alert", "controls.finding.open", "authn.throttle.lock"} {
		n := 0
		for _, e := range log.Entries() {
			if e.Action == action {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d events %s", n, action)
		}
	}
}
