package redaction

import (
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/surety-go/surety/privacy/redact"
)

func redactor(t *testing.T) *redact.Redactor {
	t.Helper()
	r, err := redact.New(redact.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, lines []Line, types ...redact.Type) {
	t.Helper()
	scores, mistakes := Measure(redactor(t), lines)
	for ty, s := range scores {
		t.Logf("%-8s precision %.3f recall %.3f (%d right, %d wrong, %d missed)", ty, s.Precision(), s.Recall(), s.True, s.False, s.Missed)
		if s.Precision() < 0.95 || s.Recall() < 0.95 {
			t.Errorf("%s is below 0.95", ty)
		}
	}
	for _, ty := range types {
		if s := scores[ty]; s == nil || s.True+s.Missed < 50 {
			t.Errorf("%s: too few values to say anything: %+v", ty, s)
		}
	}
	for _, m := range mistakes[:min(len(mistakes), 40)] {
		t.Log(m)
	}
}

func TestGeneratedLines(t *testing.T) {
	check(t, Lines(7, 2000), redact.Email, redact.Phone, redact.Card, redact.NationalID, redact.IP, redact.Secret)
}

// Every region's example numbers of every kind, as the metadata has them.
func TestExampleNumbersOfAllRegions(t *testing.T) {
	kinds := []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.VOIP}
	var lines []Line
	for _, region := range regions() {
		for _, kind := range kinds {
			n := phonenumbers.GetExampleNumberForType(region, kind)
			if n == nil {
				continue
			}
			for form, before := range map[phonenumbers.PhoneNumberFormat]string{
				phonenumbers.E164: "caller ", phonenumbers.INTERNATIONAL: "number is ", phonenumbers.NATIONAL: "phone: ",
			} {
				v := phonenumbers.Format(n, form)
				lines = append(lines, Line{Text: before + v + " (" + region + ")", Labels: []Label{{redact.Phone, v}}})
			}
		}
	}
	check(t, lines, redact.Phone)
}
