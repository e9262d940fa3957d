package retention_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/privacy/hold"
	"github.com/surety-go/surety/privacy/record"
	"github.com/surety-go/surety/privacy/retention"
)

type row struct {
	id, subject string
	at          time.Time
}

type table struct {
	rows []row
	err  error
}

func (*table) Name() string { return "logins" }

func (t *table) Expired(_ context.Context, _ string, before time.Time, after string, limit int) ([]retention.Item, error) {
	var list []retention.Item
	for _, r := range t.rows {
		if r.at.Before(before) && r.id > after && len(list) < limit {
			list = append(list, retention.Item{ID: r.id, Subject: r.subject})
		}
	}
	return list, t.err
}

func (t *table) Dispose(_ context.Context, _ string, ids []string) error {
	t.rows = slices.DeleteFunc(t.rows, func(r row) bool { return slices.Contains(ids, r.id) })
	return nil
}

func tenants(context.Context) ([]string, error) { return []string{"acme"}, nil }

func newPurger(t *testing.T, target retention.Target, p classify.Period) (*retention.Purger, *hold.Register, *auditlogtest.Recorder) {
	t.Helper()
	rec := &auditlogtest.Recorder{}
	holds, err := hold.New(record.NewMemory(), make([]byte, record.KeySize), rec, tenants)
	if err != nil {
		t.Fatal(err)
	}
	purger, err := retention.New(holds, rec, tenants, retention.Options{Batch: 2}, retention.Schedule{Target: target, Period: p})
	if err != nil {
		t.Fatal(err)
	}
	return purger, holds, rec
}

func TestHoldsWinItemByItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		old := now.AddDate(0, 0, -31)
		tab := &table{rows: []row{{"a", "u-1", old}, {"b", "u-2", old}, {"c", "", old}, {"d", "u-1", old}, {"e", "u-2", now}, {"f", "u-3", old}}}
		p, holds, rec := newPurger(t, tab, classify.Period{Days: 30})
		h, err := holds.Place(t.Context(), "acme", hold.Hold{Subjects: []string{"u-1"}, Reason: "case 17", Review: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		reports, err := p.Run(t.Context())
		if err != nil || reports[0].Disposed != 3 || reports[0].Held != 2 {
			t.Errorf("%+v, %v", reports, err)
		}
		if got := fmt.Sprint(len(tab.rows), tab.rows[0].id, tab.rows[1].id, tab.rows[2].id); got != "3ade" {
			t.Errorf("left: %+v", tab.rows)
		}
		c := p.Controls()[0]
		if r := c.Run(t.Context()); r.State != controls.Pass {
			t.Errorf("held items fail the control: %v %s", r.State, r.Observed)
		}
		if _, err := holds.Release(t.Context(), "acme", h.ID, "settled"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		if r := c.Run(t.Context()); r.State != controls.Fail {
			t.Errorf("overdue: %v %s", r.State, r.Observed)
		}
		if _, err := p.Run(t.Context()); err != nil || len(tab.rows) != 1 {
			t.Errorf("%v, %+v", err, tab.rows)
		}
		if len(rec.Find("privacy.retention.purge")) < 2 {
			t.Error("no evidence")
		}
	})
}

func TestAMonthIsAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins on 1 January 2000
		time.Sleep(time.Until(time.Date(2000, 3, 1, 12, 0, 0, 0, time.UTC)))
		tab := &table{rows: []row{{"a", "", time.Date(2000, 1, 31, 11, 0, 0, 0, time.UTC)}, {"b", "", time.Date(2000, 2, 2, 0, 0, 0, 0, time.UTC)}}}
		p, _, _ := newPurger(t, tab, classify.Period{Months: 1})
		if _, err := p.Run(t.Context()); err != nil || len(tab.rows) != 1 || tab.rows[0].id != "b" {
			t.Errorf("%v, %+v", err, tab.rows)
		}
	})
}

func TestNothingGoesUnrecorded(t *testing.T) {
	tab := &table{rows: []row{{"a", "", time.Unix(0, 0)}}}
	p, _, rec := newPurger(t, tab, classify.Period{Days: 1})
	full := errors.New("disk full")
	rec.FailWith(full)
	if _, err := p.Run(t.Context()); !errors.Is(err, full) || len(tab.rows) != 1 {
		t.Errorf("%v, %+v", err, tab.rows)
	}
	rec.FailWith(nil)
	tab.err = errors.New("down")
	if _, err := p.Run(t.Context()); !errors.Is(err, tab.err) {
		t.Errorf("%v", err)
	}
	if r := p.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("%v", r.State)
	}
}

func TestNewRefuses(t *testing.T) {
	_, holds, rec := newPurger(t, &table{}, classify.Period{Days: 1})
	for i, f := range []func() error{
		func() error {
			_, err := retention.New(nil, rec, tenants, retention.Options{}, retention.Schedule{Target: &table{}, Period: classify.Period{Days: 1}})
			return err
		},
		func() error { _, err := retention.New(holds, rec, tenants, retention.Options{}); return err },
		func() error {
			_, err := retention.New(holds, rec, tenants, retention.Options{}, retention.Schedule{Target: &table{}})
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%d was accepted", i)
		}
	}
}

func Example() {
	_ = func(ctx context.Context, holds retention.Holds, log auditlog.Recorder, logins retention.Target) error {
		purger, err := retention.New(holds, log, tenants, retention.Options{}, retention.Schedule{Target: logins, Period: classify.Period{Years: 1}})
		if err != nil {
			return err
		}
		_, err = purger.Run(ctx) // every day
		return err
	}
}
