// Package recoverycode is the way back in when the second factor is lost: ten
// codes on paper, each good once.
//
//	codes, err := recoverycode.New(store, log)
//	list, err := codes.Issue(ctx, tenant, account)            // show once
//	left, err := codes.Verify(ctx, tenant, account, "k3v2-…") // in place of a one-time code
//
// A code has 120 random bits, so that a plain hash suffices (ASVS 5.0, 6.5.2
// asks for 112); only that is stored, bound to tenant and account. Issue replaces all earlier codes. Verify doesn't count failures;
// authn/throttle does. Look-up secrets are one factor, "something you have"
// (SP 800-63B-4, 3.1.2): a recovery needs the password all the same.
//
// [ErrCode] is any code that is not one of the account's unused ones.
package recoverycode

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/surety-go/surety/auditlog"
)

// Count is how many codes are issued at once.
const Count = 10

// ErrCode says that a code is not one of the account's unused ones.
var ErrCode = errors.New("recoverycode: wrong or used code")

// A Hash is what is stored of a code.
type Hash [sha256.Size]byte

// A Store keeps hashes. authn/authnsql has one; authn/authntest the suite it
// must pass.
type Store interface {
	// Replace stores the hashes in place of all the account has, in one step.
	Replace(ctx context.Context, tenant, account string, hashes []Hash) error
	// Use removes a hash, atomically, and reports whether it was there.
	Use(ctx context.Context, tenant, account string, h Hash) (bool, error)
	// Count returns how many the account has left.
	Count(ctx context.Context, tenant, account string) (int, error)
}

// Codes issues and verifies recovery codes. It is safe for concurrent use.
type Codes struct {
	store Store
	rec   auditlog.Recorder
}

// New returns Codes.
func New(store Store, rec auditlog.Recorder) (*Codes, error) {
	if store == nil || rec == nil {
		return nil, errors.New("recoverycode: New needs a store and a recorder")
	}
	return &Codes{store, rec}, nil
}

const (
	codeBytes = 15 // 120 bits
	codeChars = 24
)

var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding) // Crockford's

// Issue makes new codes and voids the old ones. Issuing needs a fresh
// authentication first, see authn/stepup.
func (c *Codes) Issue(ctx context.Context, tenant, account string) ([]string, error) {
	if tenant == "" || account == "" {
		return nil, errors.New("recoverycode: Issue: the tenant or the account is empty")
	}
	list, hashes := make([]string, Count), make([]Hash, Count)
	for i := range list {
		var raw [codeBytes]byte
		rand.Read(raw[:]) //nolint:errcheck // crypto/rand.Read never fails
		s := encoding.EncodeToString(raw[:])
		hashes[i] = hash(tenant, account, s)
		list[i] = strings.Join([]string{s[:4], s[4:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
	}
	if err := c.record(ctx, tenant, account, "authn.recoverycode.issue", auditlog.Success, "", auditlog.Int("codes", Count)); err != nil {
		return nil, err
	}
	if err := c.store.Replace(ctx, tenant, account, hashes); err != nil {
		return nil, fmt.Errorf("recoverycode: store: %w", err)
	}
	return list, nil
}

// Verify uses a code up and returns how many are left. What people misread on
// paper (o, i and l) counts as what it looks like.
func (c *Codes) Verify(ctx context.Context, tenant, account, code string) (left int, err error) {
	if tenant == "" || account == "" {
		return 0, errors.New("recoverycode: Verify: the tenant or the account is empty")
	}
	ok := false
	if s, valid := normalise(code); valid {
		if ok, err = c.store.Use(ctx, tenant, account, hash(tenant, account, s)); err != nil {
			return 0, fmt.Errorf("recoverycode: store: %w", err)
		}
	}
	if !ok {
		return 0, errors.Join(ErrCode, c.record(ctx, tenant, account, "authn.recoverycode.verify", auditlog.Denied, "authn.recoverycode.code"))
	}
	if left, err = c.store.Count(ctx, tenant, account); err != nil {
		return 0, fmt.Errorf("recoverycode: store: %w", err)
	}
	return left, c.record(ctx, tenant, account, "authn.recoverycode.verify", auditlog.Success, "", auditlog.Int("left", left))
}

// Looks reports whether a text has the form of a recovery code.
func Looks(code string) bool {
	_, ok := normalise(code)
	return ok
}

var misread = strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1")

func normalise(code string) (string, bool) {
	if len(code) > 4*codeChars {
		return "", false
	}
	s := misread.Replace(strings.ToLower(code))
	raw, err := encoding.DecodeString(s)
	return s, err == nil && len(s) == codeChars && len(raw) == codeBytes
}

// hash binds a code to its account. 120 random bits need no slow hash.
func hash(tenant, account, code string) Hash {
	return sha256.Sum256(fmt.Appendf(nil, "surety recovery code v1\x00%q %q %s", tenant, account, code))
}

func (c *Codes) record(ctx context.Context, tenant, account, action string, o auditlog.Outcome, reason string, attrs ...auditlog.Attr) error {
	err := c.rec.Record(ctx, auditlog.Event{
		Action: action, Outcome: o, Reason: reason, Tenant: tenant,
		Targets: []auditlog.Target{{Type: "account", ID: account}}, Attrs: attrs,
	})
	if err != nil {
		return fmt.Errorf("recoverycode: record: %w", err)
	}
	return nil
}

// Memory is a [Store] in memory. The zero Memory is ready.
type Memory struct {
	mu sync.Mutex
	m  map[[2]string]map[Hash]bool
}

var errNoTenant = errors.New("recoverycode: the tenant is empty")

// Replace implements [Store].
func (s *Memory) Replace(_ context.Context, tenant, account string, hashes []Hash) error {
	if tenant == "" {
		return errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[[2]string]map[Hash]bool{}
	}
	set := make(map[Hash]bool, len(hashes))
	for _, h := range hashes {
		set[h] = true
	}
	s.m[[2]string{tenant, account}] = set
	return nil
}

// Use implements [Store].
func (s *Memory) Use(_ context.Context, tenant, account string, h Hash) (bool, error) {
	if tenant == "" {
		return false, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.m[[2]string{tenant, account}]
	ok := set[h]
	delete(set, h)
	return ok, nil
}

// Count implements [Store].
func (s *Memory) Count(_ context.Context, tenant, account string) (int, error) {
	if tenant == "" {
		return 0, errNoTenant
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m[[2]string{tenant, account}]), nil
}
