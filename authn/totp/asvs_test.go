package totp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/surety-go/surety/authn/totp"
)

func TestASVS_6_5_6_FactorsAreRevoked(t *testing.T) {
	b := newBench(t, totp.Options{})
	app := b.enrol(t, "u-1")
	b.now = b.now.Add(time.Minute)
	if err := b.Remove(t.Context(), "acme", "u-1", "lost"); err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(t.Context(), "acme", "u-1", app.Code(b.now, 0)); !errors.Is(err, totp.ErrNotEnrolled) {
		t.Errorf("a lost device's code: %v", err)
	}
	if yes, err := b.Enrolled(t.Context(), "acme", "u-1"); yes || err != nil {
		t.Errorf("%t, %v", yes, err)
	}
}

// The step is that of the server's clock: a code for the time that a device
// claims is refused.
func TestASVS_6_5_8_TimeIsTheServers(t *testing.T) {
	b := newBench(t, totp.Options{})
	app := b.enrol(t, "u-1")
	b.now = b.now.Add(time.Hour)
	for _, wrong := range []time.Duration{-time.Hour, -2 * time.Minute, 2 * time.Minute, time.Hour, 24 * time.Hour} {
		b.want(t, wrong.String(), totp.ErrCode, app.Code(b.now.Add(wrong), 0))
	}
	b.want(t, "the server's time", nil, app.Code(b.now, 0))
}

// RFC 6238 seeds come from the system's generator: two enrolments share none.
func TestASVS_6_5_3_SeedsAreRandom(t *testing.T) {
	b := newBench(t, totp.Options{})
	seen := map[string]bool{}
	for range 50 {
		e, err := b.Enrol(t.Context(), "acme", "u-1", "ada")
		if err != nil || len(e.Secret)*5 < 160 || seen[e.Secret] {
			t.Fatalf("a seed of %d bits, seen %t, %v", len(e.Secret)*5, seen[e.Secret], err)
		}
		seen[e.Secret] = true
	}
}
