package authntest_test

import (
	"testing"

	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/lifecycle"
	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/authn/recoverycode"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
)

func TestMemoryStoresConform(t *testing.T) {
	t.Run("sessions", func(t *testing.T) {
		authntest.TestSessions(t, func(*testing.T) session.Store { return &session.Memory{} })
	})
	t.Run("totp", func(t *testing.T) { authntest.TestTOTP(t, func(*testing.T) totp.Store { return &totp.Memory{} }) })
	t.Run("throttle", func(t *testing.T) {
		authntest.TestThrottle(t, func(*testing.T) throttle.Store { return &throttle.Memory{} })
	})
	t.Run("recovery codes", func(t *testing.T) {
		authntest.TestRecovery(t, func(*testing.T) recoverycode.Store { return &recoverycode.Memory{} })
	})
	t.Run("codes out of band", func(t *testing.T) {
		authntest.TestOTP(t, func(*testing.T) otp.Store { return &otp.Memory{} })
	})
	t.Run("API keys", func(t *testing.T) {
		authntest.TestAPIKeys(t, func(*testing.T) apikey.Store { return &apikey.Memory{} })
	})
	t.Run("people", func(t *testing.T) {
		authntest.TestPeople(t, func(*testing.T) lifecycle.Store { return &lifecycle.Memory{} })
	})
}
