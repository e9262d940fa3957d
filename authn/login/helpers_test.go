package login_test

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"sync"
	"testing"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/authntest"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
)

// accounts is an Accounts in memory.
type accounts struct {
	mu sync.Mutex
	m  map[string]login.Account // by tenant and id
}

func (s *accounts) put(a login.Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]login.Account{}
	}
	s.m[a.Tenant+"/"+a.ID] = a
}

func (s *accounts) ByName(_ context.Context, tenant, name string) (login.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.m {
		if a.Tenant == tenant && a.Name == name {
			return a, nil
		}
	}
	return login.Account{}, login.ErrNoAccount
}

func (s *accounts) ByID(_ context.Context, tenant, id string) (login.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.m[tenant+"/"+id]
	if !ok {
		return a, login.ErrNoAccount
	}
	return a, nil
}

func (s *accounts) SetPassword(_ context.Context, tenant, id, old, hash string, must bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.m[tenant+"/"+id]
	if !ok || a.Password != old {
		return false, nil
	}
	a.Password, a.MustChange = hash, must
	s.m[tenant+"/"+id] = a
	return true, nil
}

const (
	initial = "initial purple teacup"
	chosen  = "seven quiet llamas dancing"
)

// A world is a flow over memory stores, with one account.
type world struct {
	*login.Flow
	rec      *auditlogtest.Recorder
	accounts *accounts
	hasher   *password.Hasher
	sessions *session.Manager
	guesses  *throttle.Throttle
}

func newWorld(t testing.TB, o login.Options) *world {
	t.Helper()
	w := &world{rec: &auditlogtest.Recorder{}, accounts: &accounts{}}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.hasher, err = password.New(password.Options{Memory: 7168, Passes: 5})
	must()
	codes, err := totp.New(&totp.Memory{}, authntest.Seeds{}, w.rec, totp.Options{Issuer: "Test"})
	must()
	sessions, err := session.New(&session.Memory{}, bytes.Repeat([]byte{1}, 32), w.rec, session.Options{InsecureCookies: o.InsecureCookies})
	must()
	w.sessions = sessions
	guesses, err := throttle.New(&throttle.Memory{}, w.rec, throttle.Options{})
	must()
	w.guesses = guesses
	w.Flow, err = login.New(login.Parts{w.accounts, w.hasher, codes, sessions, guesses, bytes.Repeat([]byte{2}, 32), w.rec}, o)
	must()
	hash, err := w.hasher.Hash(t.Context(), initial)
	must()
	w.accounts.put(login.Account{Tenant: "acme", ID: "u-1", Name: "ada@example.org", Groups: []string{"owner"}, Password: hash, MustChange: true})
	return w
}

var client = login.Client{Addr: netip.MustParseAddr("203.0.113.7")}

func scan(t *testing.T, uri string) *authntest.App {
	t.Helper()
	return authntest.Scan(t, uri)
}

// oldHash is a hash as a system of the past kept it.
func oldHash(t *testing.T, pass string) string {
	t.Helper()
	salt := []byte("sixteen bytes ok")
	sum, err := pbkdf2.Key(sha256.New, pass, salt, 1000, 32)
	if err != nil {
		t.Fatal(err)
	}
	b := base64.RawStdEncoding
	return "$pbkdf2-sha256$i=1000$" + b.EncodeToString(salt) + "$" + b.EncodeToString(sum)
}
