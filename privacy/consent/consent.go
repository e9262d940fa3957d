package consent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy"
)

// Errors of the ledger.
var (
	ErrTampered = errors.New("consent: the ledger does not verify")
	ErrConflict = errors.New("consent: someone else appended first")
	ErrChoice   = errors.New("consent: bad choice")
)

// KeySize is the size of the key that links entries, in bytes.
const KeySize = 32

// A Choice is one person's decision about one purpose.
type Choice struct {
	Tenant  string          // whose customer or employee the person is
	Subject string          // the person's account id
	Purpose privacy.Purpose // what for
	Notice  string          // the version of the notice the person saw
	Method  string          // how the person decided: "web form", "phone"
	// Explicit says that the person made a statement of its own for this
	// purpose, as special-category data needs (GDPR Art. 9(2)(a)).
	Explicit bool
	// Guardian is the account id of who decides for a child; empty for none.
	Guardian string
}

func (c Choice) validate() error {
	for _, f := range []struct{ name, value string }{
		{"Tenant", c.Tenant}, {"Subject", c.Subject}, {"Purpose", string(c.Purpose)}, {"Notice", c.Notice}, {"Method", c.Method},
	} {
		if f.value == "" || len(f.value) > auditlog.MaxName {
			return fmt.Errorf("%w: %s: want 1 to %d bytes", ErrChoice, f.name, auditlog.MaxName)
		}
	}
	if len(c.Guardian) > auditlog.MaxName || c.Guardian == c.Subject {
		return fmt.Errorf("%w: Guardian: want at most %d bytes and another person", ErrChoice, auditlog.MaxName)
	}
	return nil
}

// An Entry is a choice as it stands in the ledger.
type Entry struct {
	Seq   int // from 1, without gaps, per tenant and subject
	Given bool
	Choice
	Actor string // who entered it: the person, or an employee on the phone
	Time  time.Time
	MAC   [sha256.Size]byte // over all of the above and the previous entry's MAC
}

// A Store keeps entries. Implementations pass consenttest's suite.
type Store interface {
	// Append stores e, or returns ErrConflict if an entry with its tenant,
	// subject and Seq exists. It never changes or removes an entry.
	Append(ctx context.Context, e Entry) error
	// Chain returns the entries of a tenant's subject, by Seq.
	Chain(ctx context.Context, tenant, subject string) ([]Entry, error)
}

// Notices knows the versions of privacy notices. *notice.Register of package
// privacy/notice is one.
type Notices interface {
	// Stands reports whether consent to a purpose that was given under a
	// version still counts: the version was published, and the purpose has
	// not materially changed since.
	Stands(ctx context.Context, tenant string, p privacy.Purpose, version string) (bool, error)
}

// Options are the options of a [Ledger].
type Options struct {
	// Notices checks versions; nil takes any version for good, which shows
	// in evidence.
	Notices Notices
	// Minor tells whether a person is too young to consent alone; nil means
	// that no one is, which shows in evidence. See [DigitalAge].
	Minor func(ctx context.Context, tenant, subject string) (bool, error)
}

// A Ledger is the consents of people. It is safe for concurrent use, also by
// several processes on one store.
type Ledger struct {
	store Store
	key   []byte
	rec   auditlog.Recorder
	o     Options
	cache atomic.Pointer[Cache]
}

// New makes a ledger. The key, KeySize random bytes, is kept apart from the
// store: whoever has both can rewrite history.
func New(store Store, key []byte, rec auditlog.Recorder, o Options) (*Ledger, error) {
	switch {
	case store == nil || rec == nil:
		return nil, errors.New("consent: New needs a store and a recorder")
	case len(key) != KeySize:
		return nil, fmt.Errorf("consent: the key has %d bytes, want %d", len(key), KeySize)
	}
	return &Ledger{store: store, key: append([]byte(nil), key...), rec: rec, o: o}, nil
}

// Give records that a person agreed. It is refused for a version of the notice
// that doesn't stand, and for a child without a guardian (GDPR Art. 8).
func (l *Ledger) Give(ctx context.Context, c Choice) (Entry, error) {
	if err := c.validate(); err != nil {
		return Entry{}, err
	}
	if l.o.Notices != nil {
		ok, err := l.o.Notices.Stands(ctx, c.Tenant, c.Purpose, c.Notice)
		if err != nil {
			return Entry{}, fmt.Errorf("consent: notice: %w", err)
		}
		if !ok {
			return Entry{}, fmt.Errorf("%w: Notice: this version is not in force for the purpose", ErrChoice)
		}
	}
	if l.o.Minor != nil && c.Guardian == "" {
		minor, err := l.o.Minor(ctx, c.Tenant, c.Subject)
		if err != nil {
			return Entry{}, fmt.Errorf("consent: age: %w", err)
		}
		if minor {
			return Entry{}, fmt.Errorf("%w: Guardian: a child can't consent alone", ErrChoice)
		}
	}
	return l.append(ctx, c, true)
}

// Withdraw records that a person no longer agrees. It is effective when it
// returns.
func (l *Ledger) Withdraw(ctx context.Context, c Choice) (Entry, error) {
	return l.append(ctx, c, false)
}

// maxTries bounds how often an append starts over when others append to the
// same person's chain at the same time.
const maxTries = 16

func (l *Ledger) append(ctx context.Context, c Choice, given bool) (Entry, error) {
	if err := c.validate(); err != nil {
		return Entry{}, err
	}
	for range maxTries {
		chain, err := l.Chain(ctx, c.Tenant, c.Subject)
		if err != nil {
			return Entry{}, err
		}
		e := Entry{
			Seq: len(chain) + 1, Given: given, Choice: c, Actor: auditlog.ActorFrom(ctx).ID,
			Time: time.Now().UTC().Truncate(time.Microsecond), // what databases keep
		}
		var previous [sha256.Size]byte
		if n := len(chain); n > 0 {
			previous = chain[n-1].MAC
		}
		e.MAC = l.mac(e, previous)
		// The event comes first: an entry nobody recorded must not exist. An
		// event whose entry lost the race is followed by the one that won.
		if err := l.rec.Record(ctx, event(e)); err != nil {
			return Entry{}, fmt.Errorf("consent: %w", err)
		}
		err = l.store.Append(ctx, e)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if c := l.cache.Load(); c != nil {
			c.forget(e.Tenant, e.Subject) // also after an error: it may stand
		}
		if err != nil {
			return Entry{}, fmt.Errorf("consent: append: %w", err)
		}
		return e, nil
	}
	return Entry{}, fmt.Errorf("%w: %d times", ErrConflict, maxTries)
}

func event(e Entry) auditlog.Event {
	action := "privacy.consent.withdraw"
	if e.Given {
		action = "privacy.consent.give"
	}
	return auditlog.Event{
		Action: action, Outcome: auditlog.Success, Tenant: e.Tenant,
		Targets: []auditlog.Target{{Type: "subject", ID: e.Subject}},
		Attrs: []auditlog.Attr{
			auditlog.String("purpose", string(e.Purpose)), auditlog.String("notice", e.Notice),
			auditlog.String("method", e.Method), auditlog.Int("seq", e.Seq), auditlog.String("head", hex.EncodeToString(e.MAC[:])),
			auditlog.Bool("explicit", e.Explicit),
		},
	}
}

// Chain returns a person's verified entries, or [ErrTampered].
func (l *Ledger) Chain(ctx context.Context, tenant, subject string) ([]Entry, error) {
	if tenant == "" || subject == "" {
		return nil, fmt.Errorf("%w: Tenant and Subject must not be empty", ErrChoice)
	}
	chain, err := l.store.Chain(ctx, tenant, subject)
	if err != nil {
		return nil, fmt.Errorf("consent: read: %w", err)
	}
	var previous [sha256.Size]byte
	for i, e := range chain {
		want := l.mac(e, previous)
		if e.Seq != i+1 || e.Tenant != tenant || e.Subject != subject || !hmac.Equal(want[:], e.MAC[:]) {
			return nil, fmt.Errorf("%w: entry %d of subject %q", ErrTampered, i+1, subject)
		}
		previous = e.MAC
	}
	return chain, nil
}

// Consented reports whether a person agrees to the purpose now: the last
// entry for it decides, and without one the answer is no.
func (l *Ledger) Consented(ctx context.Context, tenant, subject string, p privacy.Purpose) (bool, error) {
	e, ok, err := l.last(ctx, tenant, subject, p)
	return ok && e.Given, err
}

// ExplicitlyConsented is like Consented for purposes that need a statement of
// its own: special-category data.
func (l *Ledger) ExplicitlyConsented(ctx context.Context, tenant, subject string, p privacy.Purpose) (bool, error) {
	e, ok, err := l.last(ctx, tenant, subject, p)
	return ok && e.Given && e.Explicit, err
}

// last returns the last entry for a purpose that still counts.
func (l *Ledger) last(ctx context.Context, tenant, subject string, p privacy.Purpose) (Entry, bool, error) {
	chain, err := l.Chain(ctx, tenant, subject)
	if err != nil {
		return Entry{}, false, err
	}
	for i := len(chain) - 1; i >= 0; i-- {
		if e := chain[i]; e.Purpose == p {
			stands, err := l.stands(ctx, e)
			return e, stands, err
		}
	}
	return Entry{}, false, nil
}

func (l *Ledger) stands(ctx context.Context, e Entry) (bool, error) {
	if l.o.Notices == nil || !e.Given {
		return true, nil
	}
	ok, err := l.o.Notices.Stands(ctx, e.Tenant, e.Purpose, e.Notice)
	if err != nil {
		return false, fmt.Errorf("consent: notice: %w", err)
	}
	return ok, nil
}

// mac binds an entry to everything in it and to its predecessor. Fields are
// length-prefixed, so that no two entries share an encoding.
func (l *Ledger) mac(e Entry, previous [sha256.Size]byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, l.key)
	h.Write([]byte("surety consent v1"))
	h.Write(previous[:])
	var fixed [17]byte
	binary.BigEndian.PutUint64(fixed[:8], uint64(e.Seq)) //nolint:gosec // a sequence number is positive
	binary.BigEndian.PutUint64(fixed[8:16], uint64(e.Time.UnixMicro()))
	if e.Given {
		fixed[16] = 1
	}
	h.Write(fixed[:])
	fields := []string{e.Tenant, e.Subject, string(e.Purpose), e.Notice, e.Method, e.Actor}
	if e.Explicit || e.Guardian != "" { // entries without them keep the MAC they always had
		fields = append(fields, e.Guardian, strconv.FormatBool(e.Explicit))
	}
	for _, s := range fields {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s))) //nolint:gosec // bounded by validate and MaxName
		h.Write(n[:])
		h.Write([]byte(s))
	}
	h.Sum(sum[:0])
	return sum
}

// Controls describes the ledger. The probe asks for a consent nobody gave and
// checks that a forged entry is refused.
func (l *Ledger) Controls() []controls.Control {
	return []controls.Control{{
		ID: "privacy.consent",
		Parameters: []controls.Parameter{
			controls.Text("link", "HMAC-SHA-256"),
			controls.Duration("withdrawal_effective_within", l.staleness()),
			controls.Bool("notices_checked", l.o.Notices != nil),
			controls.Bool("age_checked", l.o.Minor != nil),
		},
		Probe: l.probe,
	}}
}

func (l *Ledger) probe(ctx context.Context) controls.Result {
	ok, err := l.Consented(ctx, "probe", "probe", "probe")
	switch {
	case err != nil:
		return controls.Errored("the ledger can't be read: %v", err)
	case ok:
		return controls.Failed("someone who never decided counts as consenting")
	}
	forged := NewMemory()
	e := Entry{Seq: 1, Given: true, Choice: Choice{Tenant: "probe", Subject: "probe", Purpose: "probe", Notice: "1", Method: "probe"}}
	if err := forged.Append(ctx, e); err != nil {
		return controls.Errored("probe: %v", err)
	}
	if ok, _ := (&Ledger{store: forged, key: l.key, rec: l.rec}).Consented(ctx, "probe", "probe", "probe"); ok {
		return controls.Failed("an entry written past the ledger counted as consent")
	}
	return controls.Passed("no consent was assumed, and an entry written past the ledger was refused")
}
