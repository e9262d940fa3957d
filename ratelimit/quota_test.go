package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPeriods(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04:05", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, tc := range map[string]struct {
		c    Calendar
		at   time.Time
		want time.Duration
	}{
		"hour":               {Hour, at("2026-05-05 10:15:30"), 44*time.Minute + 30*time.Second},
		"day":                {Day, at("2026-05-05 10:00:00"), 14 * time.Hour},
		"short day":          {Day, at("2026-03-29 00:00:00"), 23 * time.Hour},
		"long day":           {Day, at("2026-10-25 00:00:00"), 25 * time.Hour},
		"hour that repeats":  {Hour, at("2026-10-25 01:30:00").Add(time.Hour), 30 * time.Minute},
		"its second time":    {Hour, at("2026-10-25 01:30:00").Add(2 * time.Hour), 30 * time.Minute},
		"last of the year":   {Month, at("2026-12-31 23:59:59"), time.Second},
		"month before clock": {Month, at("2026-03-01 00:00:00"), 31*24*time.Hour - time.Hour},
		"leap day":           {Month, at("2028-02-29 00:00:00"), 24 * time.Hour},
	} {
		if got := tc.c.end(tc.at).Sub(tc.at); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestQuota begins anew at midnight where the customer is, not a day after the
// first call.
func TestQuota(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC: nine in the morning
		l, err := New([]Policy{{Name: "day", Key: ByTenant(), Count: 3, Calendar: Day, Zone: tokyo}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		take := func(cost int) Decision {
			d, err := l.Take(t.Context(), "acme", cost)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		time.Sleep(14 * time.Hour)
		if d := take(2); !d.Allowed || d.Remaining != 1 || d.Reset != time.Hour {
			t.Errorf("first: %+v", d)
		}
		if d := take(2); d.Allowed || d.RetryAfter != time.Hour || d.Remaining != 1 {
			t.Errorf("more than is left: %+v", d)
		}
		if d := take(4); d.Allowed || d.RetryAfter != 0 {
			t.Errorf("more than there ever is: %+v, want no time to try again", d)
		}
		time.Sleep(time.Hour - time.Second)
		if d := take(1); !d.Allowed {
			t.Errorf("the last one: %+v", d)
		}
		if d := take(1); d.Allowed {
			t.Errorf("a second before midnight: %+v", d)
		}
		time.Sleep(time.Second)
		if d := take(3); !d.Allowed || d.Reset != 24*time.Hour {
			t.Errorf("at midnight: %+v", d)
		}
	})
}

// TestReloadOfQuota: a lower limit counts at once, and what was used stays used.
func TestReloadOfQuota(t *testing.T) {
	p := Policy{Name: "day", Key: ByTenant(), Count: 10, Calendar: Day}
	l, err := New([]Policy{p}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := l.Take(t.Context(), "acme", 6); !d.Allowed {
		t.Fatal("denied")
	}
	p.Count = 5
	if err := l.Reload([]Policy{p}); err != nil {
		t.Fatal(err)
	}
	if d, _ := l.Take(t.Context(), "acme", 1); d.Allowed || d.Remaining != 0 {
		t.Errorf("6 of now 5 are used: %+v", d)
	}
	rate := Policy{Name: "day", Key: ByTenant(), Count: 5, Per: time.Hour}
	if err := l.Reload([]Policy{rate}); err != nil {
		t.Fatal(err)
	}
	if d, _ := l.Take(t.Context(), "acme", 5); !d.Allowed {
		t.Errorf("a quota that became a rate starts anew: %+v", d)
	}
}
