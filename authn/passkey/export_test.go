package passkey

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// SetNow sets the clock.
func SetNow(m *Manager, now func() time.Time) { m.now = now }

// BeginWith begins a ceremony with a challenge of somebody else's choice, for
// test vectors.
func BeginWith(t *testing.T, m *Manager, kind, tenant, account, bind string, challenge []byte) string {
	t.Helper()
	c := ceremony{Kind: kind, Account: account, Bind: bind, Session: webauthn.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(challenge), UserID: []byte(account), UserVerification: protocol.VerificationPreferred,
		CredParams: webauthn.CredentialParametersDefault(),
	}}
	_, handle, err := m.begin(context.Background(), tenant, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return handle
}
