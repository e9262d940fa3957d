package login

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// A ticket says what somebody on the way to a session has proven.
type ticket struct {
	Tenant  string           `json:"t"`
	Account string           `json:"a"`
	Factors map[string]int64 `json:"f"` // method → Unix seconds it was proven
	Epoch   int64            `json:"e"` // of the account's sessions
	Hash    []byte           `json:"p"` // of the password that was proven
	Expires int64            `json:"x"`
	Since   int64            `json:"s,omitempty"` // of the oldest proof, if elsewhere
	Reset   bool             `json:"r,omitempty"` // leads to a new password, not to a session
}

func (t *ticket) has(method string) bool { return t.Factors[method] != 0 }

var encoding = base64.RawURLEncoding.Strict()

const maxTicket = 2048

// sealTicket signs a ticket. It is bound to nothing but its content: whoever
// holds it can go on with the login, and needs every missing factor for it.
func (f *Flow) sealTicket(t *ticket) (string, error) {
	data, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("login: ticket: %w", err)
	}
	return encoding.EncodeToString(append(data, f.ticketMAC(data)...)), nil
}

func (f *Flow) ticketMAC(data []byte) []byte {
	h := hmac.New(sha256.New, f.parts.Key)
	h.Write([]byte("surety login ticket v1\x00"))
	h.Write(data)
	return h.Sum(nil)
}

// openTicket reads a ticket that came back.
func (f *Flow) openTicket(s string) (*ticket, error) {
	if len(s) > maxTicket {
		return nil, ErrTicket
	}
	data, err := encoding.DecodeString(s)
	if err != nil || len(data) <= sha256.Size {
		return nil, ErrTicket
	}
	data, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if !hmac.Equal(sum, f.ticketMAC(data)) {
		return nil, ErrTicket
	}
	t := new(ticket)
	if err := json.Unmarshal(data, t); err != nil {
		return nil, ErrTicket
	}
	if f.now().After(time.Unix(t.Expires, 0)) {
		return nil, ErrTicket
	}
	return t, nil
}

// fingerprint binds a ticket to the password that was in force.
func fingerprint(encoded string) []byte {
	sum := sha256.Sum256([]byte("surety login password v1\x00" + encoded))
	return sum[:8]
}
