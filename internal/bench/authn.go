package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/crypto/argon2"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/authn/totp"
	"github.com/surety-go/surety/guard"
)

// sessionChecks asks what it costs to know who a request's session is.
func sessionChecks() Group {
	return Group{
		Name:  "session",
		Title: "A session's check",
		Note: "The token is in a request's header, the store in memory. The floor hashes 32 bytes and looks a row up under a lock. " +
			"The peer is scs with its own memory store: Load and one value, and its middleware around a handler that reads one value. " +
			"Ours finds the token, looks the row up and checks idle and absolute timeouts; the principal is ready for policies.",
		Cases: []Case{{Name: "read-only", Rows: []Row{
			{Floor, "sha256, a map under a lock", sessionFloor},
			{Peer, "scs Load and GetString", scsLoad},
			{Peer, "scs LoadAndSave", scsMiddleware},
			{Ours, "session.Manager.Authenticate", sessionOurs},
		}}},
	}
}

func sessionFloor(b *testing.B) {
	var secret [32]byte
	rand.Read(secret[:]) //nolint:errcheck // crypto/rand.Read never fails
	var mu sync.RWMutex
	rows := map[[32]byte]*authn.Principal{sha256.Sum256(secret[:]): {}}
	for b.Loop() {
		k := sha256.Sum256(secret[:])
		mu.RLock()
		p := rows[k]
		mu.RUnlock()
		if p == nil {
			panic("no row")
		}
	}
}

func scsManager() (*scs.SessionManager, string) {
	m := scs.New()
	ctx, err := m.Load(context.Background(), "")
	check(err)
	m.Put(ctx, "user", "u-1")
	token, _, err := m.Commit(ctx)
	check(err)
	return m, token
}

func scsLoad(b *testing.B) {
	m, token := scsManager()
	for b.Loop() {
		ctx, err := m.Load(context.Background(), token)
		check(err)
		if m.GetString(ctx, "user") != "u-1" {
			panic("no session")
		}
	}
}

func scsMiddleware(b *testing.B) {
	m, token := scsManager()
	h := m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if m.GetString(r.Context(), "user") != "u-1" {
			panic("no session")
		}
	}))
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: m.Cookie.Name, Value: token}) //nolint:gosec // a request's cookie
	w := &sink{header: http.Header{}}
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

func dropped() auditlog.Recorder {
	return auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
}

func sessionOurs(b *testing.B) {
	m, err := session.New(&session.Memory{}, make([]byte, 32), dropped(), session.Options{})
	check(err)
	p := authn.Principal{Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL2, Methods: []string{"pwd", "otp"}}
	token, err := m.Create(context.Background(), p, 0, session.Device{})
	check(err)
	call := guard.Synthetic("bench", "bench.read", http.Header{"Authorization": {"Bearer " + token}})
	ctx := context.Background()
	for b.Loop() {
		if who, err := m.Authenticate(ctx, call); err != nil || who.ID != "u-1" {
			panic("no session")
		}
	}
}

// passwords asks what ours adds to argon2id, and whether an account that does
// not exist is answered as fast as one that does.
func passwords() Group {
	return Group{
		Name:  "password",
		Title: "A password's check",
		Note: "argon2id with 19 MiB and two passes, so that many rounds fit. In the second case the floor is a wrong password of an account, " +
			"ours the same for a name that nobody has: the two have to be alike.",
		Cases: []Case{
			{Name: "argon2id", Rows: []Row{
				{Floor, "x/crypto argon2.IDKey", func(b *testing.B) {
					pass, salt := []byte("seven quiet llamas dancing"), make([]byte, 16)
					for b.Loop() {
						argon2.IDKey(pass, salt, 2, 19<<10, 1, 32)
					}
				}},
				{Ours, "password.Hasher.Verify", func(b *testing.B) {
					h, err := password.New(hashing())
					check(err)
					encoded, err := h.Hash(context.Background(), "seven quiet llamas dancing")
					check(err)
					for b.Loop() {
						_, err := h.Verify(context.Background(), encoded, "seven quiet llamas dancing")
						check(err)
					}
				}},
			}},
			{Name: "enumeration", Rows: []Row{
				{Floor, "login.Flow.Begin, known name", func(b *testing.B) { beginWrong(b, "ada") }},
				{Ours, "login.Flow.Begin, unknown name", func(b *testing.B) { beginWrong(b, "eve") }},
			}},
		},
	}
}

func hashing() password.Options { return password.Options{Memory: 19 << 10, Passes: 2} }

// one has one account.
type one struct{ login.Account }

func (o one) ByName(_ context.Context, _, name string) (login.Account, error) {
	if name != o.Name {
		return login.Account{}, login.ErrNoAccount
	}
	return o.Account, nil
}

func (o one) ByID(context.Context, string, string) (login.Account, error) { return o.Account, nil }

func (o one) SetPassword(context.Context, string, string, string, string, bool) (bool, error) {
	return false, errors.New("no changes here")
}

type noSeeds struct{}

func (noSeeds) SealSeed(_ context.Context, _, _, _ string, seed []byte) ([]byte, error) {
	return seed, nil
}

func (noSeeds) OpenSeed(_ context.Context, _, _, _ string, sealed []byte) ([]byte, error) {
	return sealed, nil
}

func beginWrong(b *testing.B, name string) {
	ctx, key := context.Background(), bytes.Repeat([]byte{1}, 32)
	h, err := password.New(hashing())
	check(err)
	hash, err := h.Hash(ctx, "seven quiet llamas dancing")
	check(err)
	codes, err := totp.New(&totp.Memory{}, noSeeds{}, dropped(), totp.Options{Issuer: "bench"})
	check(err)
	sessions, err := session.New(&session.Memory{}, key, dropped(), session.Options{})
	check(err)
	store := &throttle.Memory{}
	guesses, err := throttle.New(store, dropped(), throttle.Options{Free: 100, Disable: 100})
	check(err)
	flow, err := login.New(login.Parts{
		Accounts: one{login.Account{Tenant: "acme", ID: "u-1", Name: "ada", Password: hash}}, Passwords: h, Codes: codes,
		Sessions: sessions, Guesses: guesses, Key: key, Recorder: dropped(),
	}, login.Options{})
	check(err)
	n := 0
	for b.Loop() {
		if _, err := flow.Begin(ctx, "acme", name, "wrong", login.Client{}); !errors.Is(err, login.ErrRefused) {
			panic(fmt.Sprint("begin: ", err))
		}
		if n++; n%50 == 0 { // before the throttle would step in
			b.StopTimer()
			*store = throttle.Memory{} //nolint:govet // nobody else uses it now
			b.StartTimer()
		}
	}
}
