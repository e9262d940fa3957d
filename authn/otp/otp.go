// Package otp sends one-time codes and links out of band, by a [Sender] of
// yours, and takes them back once.
//
//	codes, err := otp.New(store, sender, key, log, otp.Options{})
//	handle, err := codes.Send(ctx, otp.Request{Tenant: t, Account: id, Purpose: "reset", Channel: otp.Email, To: address, Long: true})
//	err = codes.Verify(ctx, otp.Answer{Tenant: t, Account: id, Purpose: "reset", Handle: handle, Code: typed})
//
// # Bound to the request
//
// Send returns a handle of 128 random bits for whoever asked: keep it in a
// cookie. A code counts only together with it, so that a code which somebody
// is talked into reading out, or a link that was forwarded, is good for
// nothing in another browser. A new code voids the one before.
//
// # Guessing and bombing
//
// Failures are counted per account and purpose, not per code: asking for a new
// code gives no new guesses. Ten failures within an hour end the guessing for
// the rest of it, and 100 in a row disable the account's codes until Reset
// (SP 800-63B-4, 3.2.2). At most five codes are sent per hour.
//
// # What a code proves
//
// A code by SMS or voice is something one has, a restricted authenticator. A
// mailbox is not: [Email] confirms an address and is never a second factor
// (SP 800-63B-4, 3.1.3.1).
//
// # Errors
//
// [ErrCode] is a code that is wrong, old, used or of another request; a
// [LimitError] wraps [ErrLimit].
package otp

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// Errors of the package, for errors.Is.
var (
	// ErrCode says that a code is wrong, expired, used, or of another request.
	ErrCode = errors.New("otp: wrong or used code")
	// ErrLimit says that no more codes are sent or taken for a while.
	ErrLimit = errors.New("otp: too many codes")
)

// A LimitError says for how long no more codes are sent or taken.
type LimitError struct {
	Reason     string        // "sent", "failures" or "disabled"
	RetryAfter time.Duration // zero when disabled
}

// Error says why and for how long.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %s: for %v", ErrLimit, e.Reason, e.RetryAfter.Round(time.Second))
}

// Unwrap returns ErrLimit.
func (e *LimitError) Unwrap() error { return ErrLimit }

// A Channel is a way to reach a person.
type Channel string

// The channels.
const (
	Email Channel = "email"
	SMS   Channel = "sms"
	Voice Channel = "tel"
)

// Method is what a code by the channel proves: an RFC 8176 value, or "email",
// which RFC 8176 doesn't know.
func (c Channel) Method() string { return string(c) }

// SecondFactor reports whether a code by the channel is something one has.
func (c Channel) SecondFactor() bool { return c == SMS || c == Voice }

// A Message is what a [Sender] sends. Say in it what the code is for.
type Message struct {
	Tenant, Account, Purpose string
	Channel                  Channel
	To                       string
	// Code is what the person types or, if it was asked to be long, what a
	// link carries in its fragment or query.
	Code    string
	Expires time.Time
}

// A Sender sends messages. It must queue them and return: the time that Send
// takes would tell which accounts exist.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Options are the options of [Codes].
type Options struct {
	// Digits is the length of a code, 6 to 10; 0 is 6.
	Digits int
	// For is how long a code is good; 0 is 10 minutes, which is also the most.
	For time.Duration
	// PerHour is how many codes are sent to an account per purpose and hour; 0
	// is 5, at most 20.
	PerHour int
	// Failures is how many wrong codes an account may have per hour; 0 is 10,
	// which is also the most.
	Failures int
}

const (
	window     = time.Hour
	maxRow     = 100 // failures in a row, SP 800-63B-4, 3.2.2
	handleSize = 16
	longSize   = 20 // 160 bits
	keySize    = 32
)

// Codes sends and takes codes. It is safe for concurrent use.
type Codes struct {
	store  Store
	sender Sender
	key    []byte
	rec    auditlog.Recorder
	o      Options
	now    func() time.Time
}

// New returns Codes. The key of at least 32 random bytes makes the hashes of
// short codes useless to whoever reads the store.
func New(store Store, sender Sender, key []byte, rec auditlog.Recorder, o Options) (*Codes, error) {
	if store == nil || sender == nil || rec == nil {
		return nil, errors.New("otp: New needs a store, a sender and a recorder")
	}
	if len(key) < keySize {
		return nil, fmt.Errorf("otp: New: key: %d bytes: want at least %d", len(key), keySize)
	}
	for _, d := range []struct {
		v          *int
		def, least int
		most       int
		name       string
	}{{&o.Digits, 6, 6, 10, "Digits"}, {&o.PerHour, 5, 1, 20, "PerHour"}, {&o.Failures, 10, 1, 10, "Failures"}} {
		if *d.v == 0 {
			*d.v = d.def
		}
		if *d.v < d.least || *d.v > d.most {
			return nil, fmt.Errorf("otp: Options: %s: want %d to %d", d.name, d.least, d.most)
		}
	}
	if o.For == 0 {
		o.For = 10 * time.Minute
	}
	if o.For < time.Minute || o.For > 10*time.Minute {
		return nil, errors.New("otp: Options: For: want 1 min to 10 min")
	}
	return &Codes{store, sender, slices.Clone(key), rec, o, time.Now}, nil
}

// A Request asks for a code to be sent.
type Request struct {
	Tenant, Account string
	// Purpose keeps codes apart: one for a reset is not one for a login.
	Purpose string
	Channel Channel
	// To is the address. Empty stands for an account that doesn't exist: all
	// is done but the sending, so that the answer is the same.
	To string
	// Long asks for a code of 160 bits, for a link, instead of digits.
	Long bool
}

var text = base32.StdEncoding.WithPadding(base32.NoPadding)

// Send sends a code and returns the handle for whoever asked. It voids the
// code before. A *LimitError says that too many were sent.
func (c *Codes) Send(ctx context.Context, r Request) (handle string, err error) {
	if r.Tenant == "" || r.Account == "" || r.Purpose == "" || r.Channel != Email && r.Channel != SMS && r.Channel != Voice {
		return "", errors.New("otp: Send: want a tenant, an account, a purpose and a channel")
	}
	raw := make([]byte, handleSize)
	rand.Read(raw) //nolint:errcheck // crypto/rand.Read never fails
	handle = text.EncodeToString(raw)
	code, now := c.code(r.Long), c.now()
	expires := now.Add(c.o.For).Truncate(time.Second)
	err = c.change(ctx, r.Tenant, key(r.Account, r.Purpose), func(s *Record) error {
		s.roll(now)
		switch {
		case s.Row >= maxRow:
			return &LimitError{Reason: "disabled"}
		case s.Sent >= c.o.PerHour:
			return &LimitError{"sent", s.Window.Add(window).Sub(now)}
		}
		s.Sent++
		s.Expires = expires
		s.Hash = c.hash(r.Tenant, r.Account, r.Purpose, handle, code)
		return nil
	})
	if err != nil {
		return "", c.conclude(ctx, "authn.otp.send", r.Tenant, r.Account, r.Purpose, err)
	}
	if err := c.conclude(ctx, "authn.otp.send", r.Tenant, r.Account, r.Purpose, nil); err != nil {
		return "", err
	}
	if r.To == "" {
		return handle, nil
	}
	m := Message{r.Tenant, r.Account, r.Purpose, r.Channel, r.To, code, expires}
	if err := c.sender.Send(ctx, m); err != nil {
		return "", fmt.Errorf("otp: sender: %w", err)
	}
	return handle, nil
}

func (c *Codes) code(long bool) string {
	if long {
		raw := make([]byte, longSize)
		rand.Read(raw) //nolint:errcheck // crypto/rand.Read never fails
		return text.EncodeToString(raw)
	}
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(c.o.Digits)), nil)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return fmt.Sprintf("%0*d", c.o.Digits, n)
}

// An Answer is a code that came back.
type Answer struct {
	Tenant, Account, Purpose string
	Handle                   string // from Send
	Code                     string
}

// Verify takes a code and uses it up. Everything wrong with it is ErrCode.
func (c *Codes) Verify(ctx context.Context, a Answer) error {
	if a.Tenant == "" || a.Account == "" || a.Purpose == "" {
		return errors.New("otp: Verify: the tenant, the account or the purpose is empty")
	}
	got := c.hash(a.Tenant, a.Account, a.Purpose, a.Handle, strings.ToUpper(strings.ReplaceAll(a.Code, " ", "")))
	var wrong bool
	err := c.change(ctx, a.Tenant, key(a.Account, a.Purpose), func(s *Record) error {
		now := c.now()
		s.roll(now)
		switch {
		case s.Row >= maxRow:
			return &LimitError{Reason: "disabled"}
		case s.Failures >= c.o.Failures:
			return &LimitError{"failures", s.Window.Add(window).Sub(now)}
		}
		if wrong = !hmac.Equal(got[:], s.Hash[:]) || !now.Before(s.Expires); wrong {
			s.Failures++
			s.Row++
			return nil
		}
		s.Failures, s.Row, s.Expires, s.Hash = 0, 0, time.Time{}, Hash{}
		return nil
	})
	if err == nil && wrong {
		err = ErrCode
	}
	return c.conclude(ctx, "authn.otp.verify", a.Tenant, a.Account, a.Purpose, err)
}

// Reset forgets an account's failures, after its address was confirmed anew or
// by an administrator.
func (c *Codes) Reset(ctx context.Context, tenant, account, purpose string) error {
	if err := c.conclude(ctx, "authn.otp.reset", tenant, account, purpose, nil); err != nil {
		return err
	}
	return c.change(ctx, tenant, key(account, purpose), func(s *Record) error {
		*s = Record{Rev: s.Rev}
		return nil
	})
}

func key(account, purpose string) string { return purpose + "\x1f" + account }

// hash binds a code to its account, purpose and request. It is keyed: six
// digits are hashed in no time.
func (c *Codes) hash(parts ...string) (h Hash) {
	m := hmac.New(sha256.New, c.key)
	fmt.Fprintf(m, "surety otp v1\x00%q", parts)
	m.Sum(h[:0])
	return h
}

// change applies f to a record, again when somebody else was faster.
func (c *Codes) change(ctx context.Context, tenant, key string, f func(*Record) error) error {
	for range 64 {
		r, err := c.store.Get(ctx, tenant, key)
		if err != nil {
			return fmt.Errorf("otp: store: %w", err)
		}
		next := r
		if err := f(&next); err != nil {
			return err
		}
		ok, err := c.store.Swap(ctx, tenant, key, r.Rev, next)
		if err != nil {
			return fmt.Errorf("otp: store: %w", err)
		}
		if ok {
			return nil
		}
	}
	return &LimitError{"failures", time.Second}
}

func (c *Codes) conclude(ctx context.Context, action, tenant, account, purpose string, err error) error {
	outcome, reason := auditlog.Success, ""
	switch {
	case errors.Is(err, ErrLimit):
		outcome, reason = auditlog.Denied, "ratelimit.authn"
	case errors.Is(err, ErrCode):
		outcome, reason = auditlog.Denied, "authn.otp.code"
	case err != nil:
		outcome, reason = auditlog.Failed, "authn.otp.error"
	}
	failed := c.rec.Record(ctx, auditlog.Event{
		Action: action, Outcome: outcome, Reason: reason, Tenant: tenant,
		Targets: []auditlog.Target{{Type: "account", ID: account}},
		Attrs:   []auditlog.Attr{auditlog.String("purpose", purpose)},
	})
	if failed != nil {
		return errors.Join(err, fmt.Errorf("otp: record: %w", failed))
	}
	return err
}
