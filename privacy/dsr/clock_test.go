package dsr_test

import (
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/privacy/dsr"
	"github.com/surety-go/surety/privacy/record"
)

func day(y int, m time.Month, d int) dsr.Date { return dsr.Date{Year: y, Month: m, Day: d} }

func holidays(list ...dsr.Date) func(dsr.Date) bool {
	return func(d dsr.Date) bool {
		for _, h := range list {
			if h == d {
				return true
			}
		}
		return false
	}
}

// The examples that regulators publish.
func TestTermsAsRegulatorsCountThem(t *testing.T) {
	month := dsr.Term{Months: 1, Roll: true}
	england := dsr.Calendar{Holidays: holidays(day(2018, 12, 25), day(2018, 12, 26), day(2018, 3, 30), day(2018, 4, 2))}
	california := dsr.Calendar{Holidays: holidays(day(2026, 1, 1), day(2026, 1, 19))}
	for _, tc := range []struct {
		name       string
		term       dsr.Term
		c          dsr.Calendar
		from, want dsr.Date
	}{
		{"EDPB 01/2022: 5 March to 5 April", month, dsr.Calendar{}, day(2021, 3, 5), day(2021, 4, 6)}, // 4 and 5 April 2021 were Easter; without holidays Monday the 5th
		{"EDPB 01/2022: 31 August to 30 September", month, dsr.Calendar{}, day(2022, 8, 31), day(2022, 9, 30)},
		{"ICO: 3 September to 3 October", month, england, day(2018, 9, 3), day(2018, 10, 3)},
		{"ICO: 25 November to 27 December", month, england, day(2018, 11, 25), day(2018, 12, 27)},
		{"ICO: 31 March to 30 April", month, england, day(2018, 3, 31), day(2018, 4, 30)},
		{"31 January to the last of February", month, england, day(2022, 1, 31), day(2022, 2, 28)},
		{"in a leap year", month, england, day(2024, 1, 31), day(2024, 2, 29)},
		{"a Saturday rolls to Monday", month, england, day(2026, 1, 14), day(2026, 2, 16)},
		{"three months when put off", dsr.Term{Months: 3, Roll: true}, england, day(2018, 11, 30), day(2019, 2, 28)},
		{"CCPA: 45 calendar days end on a Sunday", dsr.Term{Days: 45}, california, day(2026, 1, 1), day(2026, 2, 15)},
		{"CCPA: 90 with the extension", dsr.Term{Days: 90}, california, day(2026, 1, 1), day(2026, 4, 1)},
		{"CCPA: 10 business days over a holiday", dsr.Term{Working: 10}, california, day(2026, 1, 9), day(2026, 1, 26)},
		{"CCPA: 15 business days", dsr.Term{Working: 15}, california, day(2026, 1, 2), day(2026, 1, 26)},
	} {
		if tc.name[:4] == "EDPB" && tc.from.Month == 3 {
			tc.c.Holidays = holidays(day(2021, 4, 5)) // Easter Monday: the next working day
		}
		if got := tc.term.After(tc.c, tc.from, 0); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDaysAreThoseOfTheRegimesZone(t *testing.T) {
	berlin := dsr.Calendar{Location: zone(t, "Europe/Berlin")}
	// Half past midnight on 6 March in Berlin, still the 5th in UTC.
	at := time.Date(2026, 3, 5, 23, 30, 0, 0, time.UTC)
	d, _ := newDesk(t, dsr.Options{}, dsr.GDPR(berlin))
	d.SetNow(at)
	r, err := d.Open(t.Context(), ask(dsr.Access, "gdpr"))
	if err != nil {
		t.Fatal(err)
	}
	// Until the end of Monday 6 April, summer time by then.
	if want := time.Date(2026, 4, 6, 22, 0, 0, 0, time.UTC); r.ReceivedOn != day(2026, 3, 6) || !r.Due.Equal(want) {
		t.Errorf("received on %v, due %v, want %v", r.ReceivedOn, r.Due, want)
	}
	if r.Late(r.Due.Add(-time.Nanosecond)) || !r.Late(r.Due) {
		t.Error("the deadline is not the end of the day")
	}
}

func TestAHolidayCalendarWithoutWorkingDaysDoesNotHang(t *testing.T) {
	never := dsr.Calendar{Holidays: func(dsr.Date) bool { return true }}
	dsr.Term{Working: 10, Roll: true}.After(never, day(2026, 1, 1), 0)
}

func TestPauseStopsTheClockWhereTheLawLetsIt(t *testing.T) {
	for _, tc := range []struct {
		regime string
		want   dsr.Date
	}{{"gdpr", day(2026, 4, 16)}, {"ccpa", day(2026, 4, 19)}} {
		d, _ := newDesk(t, dsr.Options{}, dsr.GDPR(dsr.Calendar{}), dsr.CCPA(dsr.Calendar{}))
		d.SetNow(time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC))
		r, err := d.Open(t.Context(), ask(dsr.Objection, tc.regime))
		if err != nil {
			t.Fatal(err)
		}
		d.SetNow(time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC))
		if r, err = d.Pause(t.Context(), "acme", r.ID, "identity unclear"); err != nil {
			t.Fatal(err)
		}
		if stands := !r.Late(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)); stands != (tc.regime == "gdpr") {
			t.Errorf("%s: the clock stands still: %t", tc.regime, stands)
		}
		d.SetNow(time.Date(2026, 3, 21, 9, 0, 0, 0, time.UTC)) // 11 days later
		if r, err = d.VerifyManually(as(t, "hr-1"), "acme", r.ID, "passport seen"); err != nil {
			t.Fatal(err)
		}
		if want := time.Date(tc.want.Year, tc.want.Month, tc.want.Day+1, 0, 0, 0, 0, time.UTC); !r.Due.Equal(want) || r.State != dsr.Active {
			t.Errorf("%s: due %v, want %v", tc.regime, r.Due, want)
		}
	}
}

func TestExtend(t *testing.T) {
	d, rec := newDesk(t, dsr.Options{}, dsr.GDPR(dsr.Calendar{}), dsr.CCPA(dsr.Calendar{}))
	received := time.Date(2026, 1, 30, 9, 0, 0, 0, time.UTC)
	d.SetNow(received)
	r, err := d.Open(t.Context(), ask(dsr.Access, "gdpr"))
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC); !r.Due.Equal(want) { // 28 February is a Saturday
		t.Errorf("due %v, want %v", r.Due, want)
	}
	if _, err := d.Extend(t.Context(), "acme", r.ID, ""); err == nil {
		t.Error("put off without a reason")
	}
	r, err = d.Extend(t.Context(), "acme", r.ID, "many systems")
	if want := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC); err != nil || !r.Due.Equal(want) {
		t.Errorf("put off to %v, %v; want %v", r.Due, err, want)
	}
	if _, err := d.Extend(t.Context(), "acme", r.ID, "again"); err == nil {
		t.Error("put off twice")
	}
	late, err := d.Open(t.Context(), ask(dsr.Access, "ccpa"))
	if err != nil {
		t.Fatal(err)
	}
	d.SetNow(late.Due)
	if _, err := d.Extend(t.Context(), "acme", late.ID, "too late"); err == nil {
		t.Error("put off after the first term")
	}
	optOut := ask(dsr.OptOut, "ccpa")
	o, err := d.Open(t.Context(), optOut)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Extend(t.Context(), "acme", o.ID, "busy"); err == nil {
		t.Error("an opt-out was put off")
	}
	if got := rec.Find("privacy.request.extend"); len(got) != 1 {
		t.Errorf("%d extension events", len(got))
	}
}

func newDesk(t *testing.T, o dsr.Options, regimes ...dsr.Regime) (*dsr.Desk, *auditlogtest.Recorder) {
	t.Helper()
	return newDeskOn(t, record.NewMemory(), o, regimes...)
}
