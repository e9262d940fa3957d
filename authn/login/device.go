package login

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn/session"
)

// A Factor is a kind of second factor beside one-time codes. A Passkeys of
// authn/passkey is one.
type Factor interface {
	// Enrolled reports whether the account has it.
	Enrolled(ctx context.Context, tenant, account string) (bool, error)
}

// Whose returns the account of a login that waits for its second factor.
func (f *Flow) Whose(ctx context.Context, ticket string) (Account, error) {
	_, a, err := f.resume(ctx, ticket, StepCode)
	return a, err
}

// Second goes on with a login whose account has proven a [Factor] just now, by
// methods of RFC 8176.
func (f *Flow) Second(ctx context.Context, ticket, account string, methods []string, d Client) (Progress, error) {
	t, a, err := f.resume(ctx, ticket, StepCode)
	if err != nil {
		return Progress{}, err
	}
	if a.ID != account || len(methods) == 0 {
		return Progress{}, ErrRefused
	}
	for _, m := range methods {
		t.Factors[m] = f.now().Unix()
	}
	return f.advance(ctx, t, a, d)
}

// A device is what a remembered device shows.
type device struct {
	Tenant  string `json:"t"`
	Account string `json:"a"`
	Epoch   int64  `json:"e"`
	Hash    []byte `json:"p"`
	Expires int64  `json:"x"`
}

func (f *Flow) deviceMAC(data []byte) []byte {
	h := hmac.New(sha256.New, f.parts.Key)
	h.Write([]byte("surety remembered device v1\x00"))
	h.Write(data)
	return h.Sum(nil)
}

func (f *Flow) remember(t *ticket) (string, error) {
	data, err := json.Marshal(device{t.Tenant, t.Account, t.Epoch, t.Hash, f.now().Add(f.o.Remember).Unix()})
	if err != nil {
		return "", fmt.Errorf("login: device: %w", err)
	}
	return encoding.EncodeToString(append(data, f.deviceMAC(data)...)), nil
}

// remembered reports whether a device may skip the second factor of a login:
// one of this account, within its time, from before no end of its other
// sessions and no change of its password.
func (f *Flow) remembered(s string, t *ticket) bool {
	if f.o.Remember == 0 || s == "" || len(s) > maxTicket {
		return false
	}
	data, err := encoding.DecodeString(s)
	if err != nil || len(data) <= sha256.Size {
		return false
	}
	data, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	var d device
	if !hmac.Equal(sum, f.deviceMAC(data)) || json.Unmarshal(data, &d) != nil {
		return false
	}
	return d.Tenant == t.Tenant && d.Account == t.Account && d.Epoch == t.Epoch && bytes.Equal(d.Hash, t.Hash) && f.now().Unix() < d.Expires
}

// Kinds of [Notice].
const (
	NoticePassword      = "password"       // the password was changed or reset
	NoticeCodes         = "codes"          // one-time codes were set up, or anew
	NoticeRecovery      = "recovery"       // new recovery codes were made
	NoticeRecoveryUsed  = "recovery-used"  // a recovery code was used
	NoticeDevice        = "device"         // a login from a device without a session
	NoticeReset         = "reset"          // an administrator demands a new password
	NoticeSecondRefused = "second-refused" // the right password, and a wrong code
)

// A Notice is something the owner of an account should hear of, by another way
// than the one it happened on.
type Notice struct {
	Account Account
	Kind    string
	At      time.Time
	Device  session.Device
}

// A Notifier tells people. It must queue and return.
type Notifier interface {
	Notify(ctx context.Context, n Notice) error
}

// notify tells the account's owner. What happened has happened: a notice that
// can't be sent is recorded and fails nothing.
func (f *Flow) notify(ctx context.Context, a Account, kind string, d Client) {
	if f.o.Notifier == nil {
		return
	}
	outcome, reason := auditlog.Success, ""
	shown := a
	shown.Password = ""
	if err := f.o.Notifier.Notify(ctx, Notice{shown, kind, f.now(), d.Device}); err != nil {
		outcome, reason = auditlog.Failed, "authn.notice.error"
	}
	_ = f.record(ctx, a, "authn.notice.send", outcome, reason, auditlog.String("kind", kind)) // the change itself is recorded
}

// strange reports whether none of the account's sessions comes from such a
// device.
func (f *Flow) strange(ctx context.Context, a Account, d Client) (bool, error) {
	if f.o.Notifier == nil {
		return false, nil
	}
	list, err := f.parts.Sessions.List(ctx, a.Tenant, a.ID)
	if err != nil {
		return false, err //nolint:wrapcheck // says where it comes from
	}
	for _, s := range list {
		if s.Device == d.Device {
			return false, nil
		}
	}
	return true, nil
}
