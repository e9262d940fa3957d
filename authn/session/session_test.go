package session_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// untrusted is a store outside of this process: what it keeps has no more
// than the exported fields.
type untrusted struct{ *session.Memory }

func bare(r session.Row) session.Row {
	return session.Row{Tenant: r.Tenant, Key: r.Key, Account: r.Account, ID: r.ID, Rev: r.Rev, Expires: r.Expires, Data: r.Data}
}

func (u untrusted) Insert(ctx context.Context, r session.Row, epoch int64) (bool, error) {
	return u.Memory.Insert(ctx, bare(r), epoch)
}

func (u untrusted) Update(ctx context.Context, r session.Row) (bool, error) {
	return u.Memory.Update(ctx, bare(r))
}

func (u untrusted) Replace(ctx context.Context, old session.Key, r session.Row) (bool, error) {
	return u.Memory.Replace(ctx, old, bare(r))
}

type desk struct {
	*session.Manager
	rec   *auditlogtest.Recorder
	store session.Store
	mu    sync.Mutex
	at    time.Time
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

func (d *desk) wait(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = d.at.Add(t)
}

var key = bytes.Repeat([]byte{7}, 32)

func newDesk(t testing.TB, o session.Options) *desk {
	t.Helper()
	d := &desk{rec: &auditlogtest.Recorder{}, store: untrusted{&session.Memory{}}, at: time.Unix(1_800_000_000, 0)}
	m, err := session.New(d.store, key, d.rec, o)
	if err != nil {
		t.Fatal(err)
	}
	session.SetNow(m, d.now)
	d.Manager = m
	return d
}

func ada(aal authn.AAL) authn.Principal {
	p := authn.Principal{
		Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}, Groups: []string{"owner"},
		AAL: aal, Methods: []string{"pwd", "otp", "mfa"},
	}
	if aal == authn.AAL1 {
		p.Methods = []string{"pwd"}
	}
	return p
}

func (d *desk) create(t testing.TB, p authn.Principal) string {
	t.Helper()
	epoch, err := d.Epoch(t.Context(), p.Tenant, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	token, err := d.Create(t.Context(), p, epoch, session.Device{Name: "Firefox on Linux", Network: "203.0.113.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (d *desk) ask(t testing.TB, token string) (authn.Principal, error) {
	t.Helper()
	return d.Authenticate(t.Context(), guard.Synthetic("test", "test.read", http.Header{"Authorization": {"Bearer " + token}}))
}

func (d *desk) stands(t testing.TB, what, token string) authn.Principal {
	t.Helper()
	p, err := d.ask(t, token)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return p
}

func (d *desk) refused(t testing.TB, what, token string) {
	t.Helper()
	if p, err := d.ask(t, token); !errors.Is(err, session.ErrEnded) || !errors.Is(err, authn.ErrCredential) || p.ID != "" {
		t.Errorf("%s: %+v, %v", what, p, err)
	}
}

func TestASVS_7_2_1_VerifiedByTheServer(t *testing.T) {
	d := newDesk(t, session.Options{})
	token := d.create(t, ada(authn.AAL2))
	p := d.stands(t, "a new session", token)
	if p.ID != "u-1" || p.Tenant != "acme" || p.Kind != auditlog.User || p.AAL != authn.AAL2 || !p.Has("otp") ||
		!slices.Equal(p.Groups, []string{"owner"}) || !p.AuthenticatedAt.Equal(d.at) || p.SessionID == "" {
		t.Errorf("%+v", p)
	}
	for what, bad := range map[string]string{
		"another tenant's": "globex" + token[4:], "no tenant": token[4:], "cut": token[:len(token)-1], "longer": token + "A",
		"one bit": token[:len(token)-2] + flip(token[len(token)-2:]), "padded": token + "=",
	} {
		if p, err := d.ask(t, bad); err == nil || p.ID != "" {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
}

// flip changes the last but one character; the last has unused bits.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func TestASVS_7_2_3_TokensAreRandomAndOnlyTheirHashIsStored(t *testing.T) {
	d := newDesk(t, session.Options{})
	seen := map[string]bool{}
	for range 20 {
		token := d.create(t, ada(authn.AAL2))
		_, secret, _ := strings.Cut(token, ".")
		if seen[token] || len(secret) != 43 { // 256 bits
			t.Fatalf("token of %d characters, repeated %t", len(secret), seen[token])
		}
		seen[token] = true
	}
	rows, err := d.store.List(t.Context(), "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	for token := range seen {
		for _, r := range rows {
			if bytes.Contains(append(append(r.Data, r.Key[:]...), r.ID...), []byte(token[5:])) {
				t.Error("the store has the token")
			}
		}
		d.rec.WantWithout(t, token[5:])
	}
}

func TestASVS_7_3_1_IdleTimeout(t *testing.T) {
	for aal, idle := range map[authn.AAL]time.Duration{authn.AAL2: time.Hour, authn.AAL3: 15 * time.Minute} {
		d := newDesk(t, session.Options{})
		token := d.create(t, ada(aal))
		for range 4 { // use keeps it
			d.wait(idle - 2*time.Minute)
			d.stands(t, aal.String()+" in use", token)
		}
		d.wait(idle + time.Second)
		d.refused(t, aal.String()+" idle", token)
		d.wait(-2 * time.Minute)
	}
}

func TestASVS_7_3_2_AbsoluteTimeout(t *testing.T) {
	for aal, limit := range map[authn.AAL]time.Duration{authn.AAL1: 30 * 24 * time.Hour, authn.AAL2: 24 * time.Hour, authn.AAL3: 12 * time.Hour} {
		d := newDesk(t, session.Options{})
		token := d.create(t, ada(aal))
		end := d.at.Add(limit)
		for d.now().Add(10 * time.Minute).Before(end) {
			d.wait(10 * time.Minute)
			if _, err := d.ask(t, token); err != nil {
				t.Fatalf("%v, %v before its end: %v", aal, end.Sub(d.now()), err)
			}
		}
		d.wait(10 * time.Minute)
		d.refused(t, aal.String()+" after "+limit.String(), token)
	}
}

func TestASVS_7_2_4_RotationAtAuthentication(t *testing.T) {
	d := newDesk(t, session.Options{})
	old := d.create(t, ada(authn.AAL1))
	first := d.stands(t, "before", old)
	d.wait(time.Hour)
	token, err := d.Rotate(t.Context(), old, ada(authn.AAL2), "otp", "mfa")
	if err != nil {
		t.Fatal(err)
	}
	d.refused(t, "the old token", old)
	p := d.stands(t, "the new token", token)
	if p.AAL != authn.AAL2 || p.SessionID != first.SessionID || !p.AuthenticatedAt.Equal(d.at) {
		t.Errorf("%+v", p)
	}
	factors, err := d.Factors(t.Context(), p)
	if err != nil || !factors["pwd"].Equal(d.at.Add(-time.Hour)) || !factors["otp"].Equal(d.at) {
		t.Errorf("factors %v, %v", factors, err)
	}
	other := ada(authn.AAL2)
	other.ID = "u-2"
	if _, err := d.Rotate(t.Context(), token, other); err == nil {
		t.Error("a session was rotated to another account")
	}
	if _, err := d.Rotate(t.Context(), old, ada(authn.AAL2)); !errors.Is(err, session.ErrEnded) {
		t.Errorf("a rotated token was rotated: %v", err)
	}
}

// The failure: freshness taken from the session's creation, or moved by its
// use or by a mere rotation.
func TestFreshnessIsOfTheFactors(t *testing.T) {
	d := newDesk(t, session.Options{})
	token := d.create(t, ada(authn.AAL2))
	proven := d.now()
	d.wait(30 * time.Minute)
	d.stands(t, "in use", token)
	token, err := d.Rotate(t.Context(), token, ada(authn.AAL2))
	if err != nil {
		t.Fatal(err)
	}
	if p := d.stands(t, "rotated for a change of privileges", token); !p.AuthenticatedAt.Equal(proven) {
		t.Errorf("fresh as of %v, proven at %v", p.AuthenticatedAt, proven)
	}
	if token, err = d.Rotate(t.Context(), token, ada(authn.AAL2), "pwd"); err != nil {
		t.Fatal(err)
	}
	if p := d.stands(t, "rotated with a factor", token); !p.AuthenticatedAt.Equal(d.now()) {
		t.Errorf("fresh as of %v, proven at %v", p.AuthenticatedAt, d.now())
	}
	// Proving a factor again does not put the absolute end off.
	for range 24 {
		d.wait(59 * time.Minute)
		if token, err = d.Rotate(t.Context(), token, ada(authn.AAL2), "pwd"); err != nil {
			break
		}
	}
	if !errors.Is(err, session.ErrEnded) {
		t.Errorf("a session lives on by rotation: %v", err)
	}
}

// The failure of scs: a request that began before Destroy or RenewToken
// writes the session back when it ends.
func TestASVS_7_4_1_EndedSessionNeverComesBack(t *testing.T) {
	for what, end := range map[string]func(*desk, string) error{
		"logout": func(d *desk, token string) error {
			_, err := d.EndToken(context.Background(), token, "logout")
			return err
		},
		"all": func(d *desk, _ string) error {
			_, err := d.EndAll(context.Background(), "acme", "u-1", "admin")
			return err
		},
		"rotation": func(d *desk, token string) error {
			_, err := d.Rotate(context.Background(), token, ada(authn.AAL2))
			return err
		},
	} {
		d := newDesk(t, session.Options{})
		for range 50 {
			token := d.create(t, ada(authn.AAL2))
			d.wait(5 * time.Minute) // so that every use writes
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { _, _ = d.ask(t, token) })
			}
			wg.Go(func() {
				if err := end(d, token); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
			wg.Wait()
			if _, err := d.ask(t, token); !errors.Is(err, session.ErrEnded) {
				t.Fatalf("%s: the token lives: %v", what, err)
			}
		}
	}
}

// A rotation in flight does not save a session from its end.
func TestEndFollowsARotation(t *testing.T) {
	d := newDesk(t, session.Options{})
	for range 50 {
		token := d.create(t, ada(authn.AAL2))
		id := d.stands(t, "new", token).SessionID
		var wg sync.WaitGroup
		var next string
		wg.Go(func() { next, _ = d.Rotate(context.Background(), token, ada(authn.AAL2)) })
		wg.Go(func() {
			if _, err := d.End(context.Background(), "acme", "u-1", id, "admin"); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if next != "" {
			d.refused(t, "the token of the rotation", next)
		}
		d.refused(t, "the first token", token)
	}
}

func TestASVS_7_4_3_EndOfAllStopsLoginsUnderWay(t *testing.T) {
	d := newDesk(t, session.Options{})
	epoch, err := d.Epoch(t.Context(), "acme", "u-1") // the attacker's login begins
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := d.create(t, ada(authn.AAL2)), d.create(t, ada(authn.AAL2))
	if n, err := d.EndOthers(t.Context(), mine, "authn.password.change"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	d.stands(t, "the session that changed the password", mine)
	d.refused(t, "the other one", theirs)
	if _, err := d.Create(t.Context(), ada(authn.AAL2), epoch, session.Device{}); !errors.Is(err, session.ErrOverrun) {
		t.Errorf("a login with the old password that was under way: %v", err)
	}
	if e := d.rec.Want(t, "authn.session.end_all", auditlog.Success); e.Reason != "authn.password.change" {
		t.Errorf("%+v", e)
	}
}

func TestASVS_7_5_2_ListAndEndOne(t *testing.T) {
	d := newDesk(t, session.Options{})
	first := d.create(t, ada(authn.AAL2))
	d.wait(time.Minute)
	second := d.create(t, ada(authn.AAL2))
	list, err := d.List(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 2 || !list[0].Created.After(list[1].Created) || list[0].Device.Name != "Firefox on Linux" || list[0].AAL != authn.AAL2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if ok, err := d.End(t.Context(), "acme", "u-2", list[1].ID, "user"); ok || err != nil {
		t.Errorf("another account ends the session: %t, %v", ok, err)
	}
	if ok, err := d.End(t.Context(), "globex", "u-1", list[1].ID, "user"); ok || err != nil {
		t.Errorf("another tenant ends the session: %t, %v", ok, err)
	}
	if ok, err := d.End(t.Context(), "acme", "u-1", list[1].ID, "user"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	d.refused(t, "the ended one", first)
	d.stands(t, "the other one", second)
}

func TestASVS_7_1_2_ConcurrentSessionsAreLimited(t *testing.T) {
	d := newDesk(t, session.Options{MaxPerAccount: 3})
	var tokens []string
	for range 5 {
		d.wait(time.Minute)
		tokens = append(tokens, d.create(t, ada(authn.AAL2)))
	}
	for i, token := range tokens {
		if _, err := d.ask(t, token); (err == nil) != (i >= 2) {
			t.Errorf("session %d of 5 with a limit of 3: %v", i+1, err)
		}
	}
}

// Whoever writes the store tries to make a session better than it is.
func TestForgedRowsAreRefused(t *testing.T) {
	memory := &session.Memory{}
	for what, forge := range map[string]func(r *session.Row, other session.Row){
		"a higher assurance": func(r *session.Row, _ session.Row) {
			r.Data = bytes.Replace(r.Data, []byte(`"aal":1`), []byte(`"aal":3`), 1)
		},
		"a later use": func(r *session.Row, _ session.Row) {
			r.Data = bytes.Replace(r.Data, []byte(`"used":1`), []byte(`"used":2`), 1)
		},
		"another account":         func(r *session.Row, _ session.Row) { r.Account = "u-2" },
		"another's record":        func(r *session.Row, o session.Row) { r.Data = o.Data },
		"another's row, moved":    func(r *session.Row, o session.Row) { k := r.Key; *r = o; r.Key = k },
		"no record":               func(r *session.Row, _ session.Row) { r.Data = nil },
		"a record without a MAC":  func(r *session.Row, _ session.Row) { r.Data = r.Data[:len(r.Data)-32] },
		"another revision":        func(r *session.Row, _ session.Row) { r.Rev = 5 },
		"a changed byte at start": func(r *session.Row, _ session.Row) { r.Data[0] ^= 1 },
		"a changed byte at end":   func(r *session.Row, _ session.Row) { r.Data[len(r.Data)-1] ^= 1 },
	} {
		d := newDesk(t, session.Options{})
		d.store = untrusted{memory}
		m, err := session.New(d.store, key, d.rec, session.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d.Manager = m
		session.SetNow(m, d.now)
		token := d.create(t, ada(authn.AAL1))
		eve := ada(authn.AAL2)
		eve.ID = "eve"
		_, otherKey, _ := session.ParseToken(d.create(t, eve))
		_, k, _ := session.ParseToken(token)
		r, err := d.store.Get(t.Context(), "acme", k)
		if err != nil {
			t.Fatal(err)
		}
		other, err := d.store.Get(t.Context(), "acme", otherKey)
		if err != nil {
			t.Fatal(err)
		}
		r.Data, other.Data = bytes.Clone(r.Data), bytes.Clone(other.Data)
		forge(&r, other)
		if _, err := memory.Delete(t.Context(), "acme", k); err != nil {
			t.Fatal(err)
		}
		epoch, err := memory.Epoch(t.Context(), r.Tenant, r.Account)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := memory.Insert(t.Context(), r, epoch); !ok || err != nil {
			t.Fatal(ok, err)
		}
		d.refused(t, what, token)
		if e := d.rec.Want(t, "authn.session.verify", auditlog.Denied); e.Reason != "authn.session.forged" {
			t.Errorf("%s: %+v", what, e)
		}
	}
}

func TestKeyRotation(t *testing.T) {
	d := newDesk(t, session.Options{})
	token := d.create(t, ada(authn.AAL2))
	fresh := bytes.Repeat([]byte{8}, 32)
	for _, tc := range []struct {
		old   [][]byte
		holds bool
	}{{[][]byte{key}, true}, {nil, false}} {
		m, err := session.New(d.store, fresh, d.rec, session.Options{OldKeys: tc.old})
		if err != nil {
			t.Fatal(err)
		}
		session.SetNow(m, d.now)
		_, err = m.Authenticate(t.Context(), guard.Synthetic("t", "t.read", http.Header{"Authorization": {"Bearer " + token}}))
		if (err == nil) != tc.holds {
			t.Errorf("with %d old keys: %v", len(tc.old), err)
		}
	}
}

func TestASVS_3_3_1_Cookie(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		d := newDesk(t, session.Options{InsecureCookies: insecure})
		w := httptest.NewRecorder()
		d.SetCookie(w, d.create(t, ada(authn.AAL2)))
		c := w.Result().Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure == insecure ||
			strings.HasPrefix(c.Name, "__Host-") == insecure || len(c.Name)+len(c.Value) > 4096 {
			t.Errorf("insecure %t: %s", insecure, c)
		}
		call := guard.Synthetic("t", "t.read", http.Header{"Cookie": {"a=b; " + c.Name + "=" + c.Value + "; c=d"}})
		if p, err := d.Authenticate(t.Context(), call); err != nil || p.ID != "u-1" {
			t.Errorf("the cookie: %+v, %v", p, err)
		}
		found := false
		for _, p := range d.Controls()[0].Parameters {
			found = found || p == controls.Bool("insecure_cookies", insecure)
		}
		if !found {
			t.Error("evidence does not show the kind of cookie")
		}
	}
}

// A browser with a dead cookie must be able to reach the login page.
func TestEndedCookieIsAnonymous(t *testing.T) {
	d := newDesk(t, session.Options{})
	token := d.create(t, ada(authn.AAL2))
	if _, err := d.EndAll(t.Context(), "acme", "u-1", "admin"); err != nil {
		t.Fatal(err)
	}
	identify, err := authn.Identify(d.rec, d)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{token, "rubbish", token + "x"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/login", nil)
		r.Header.Set("Cookie", "__Host-session="+value)
		guard.Alone(identify, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, ok := authn.FromContext(r.Context()); ok {
				t.Error("a dead cookie is somebody")
			}
			w.WriteHeader(http.StatusTeapot)
		})).ServeHTTP(w, r)
		if w.Code != http.StatusTeapot || !strings.Contains(w.Header().Get("Set-Cookie"), "__Host-session=; Path=/; Max-Age=0") {
			t.Errorf("%.10s: %d %v", value, w.Code, w.Header())
		}
		w, r = httptest.NewRecorder(), httptest.NewRequest("GET", "/login", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		guard.Alone(identify, http.NotFoundHandler()).ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("a dead bearer token: %d", w.Code)
		}
	}
}

func TestWhichTokenCounts(t *testing.T) {
	d := newDesk(t, session.Options{})
	a, b := d.create(t, ada(authn.AAL1)), d.create(t, ada(authn.AAL2))
	for what, tc := range map[string]struct {
		h    http.Header
		want string
	}{
		"none":                    {http.Header{}, ""},
		"bearer over cookie":      {http.Header{"Authorization": {"Bearer " + b}, "Cookie": {"__Host-session=" + a}}, b},
		"a JWT is not ours":       {http.Header{"Authorization": {"Bearer aaa.bbb.ccc"}}, ""},
		"basic is not ours":       {http.Header{"Authorization": {"Basic " + a}}, ""},
		"two of the same":         {http.Header{"Cookie": {"__Host-session=" + a, "__Host-session=" + a}}, a},
		"two that differ":         {http.Header{"Cookie": {"__Host-session=" + a + "; __Host-session=" + b}}, ""},
		"a name that ends in it":  {http.Header{"Cookie": {"x__Host-session=" + a}}, ""},
		"two Authorization lines": {http.Header{"Authorization": {"Bearer " + a, "Bearer " + b}}, ""},
		"another case of bearer":  {http.Header{"Authorization": {"bearer " + a}}, a},
	} {
		if got := d.Token(guard.Synthetic("t", "t.read", tc.h)); got != tc.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

func TestStreamsEndWithTheirSession(t *testing.T) {
	d := newDesk(t, session.Options{})
	token := d.create(t, ada(authn.AAL2))
	p := d.stands(t, "new", token)
	if err := d.Revalidate(t.Context(), p); err != nil {
		t.Errorf("a session that stands: %v", err)
	}
	next, err := d.Rotate(t.Context(), token, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Revalidate(t.Context(), p); err != nil {
		t.Errorf("a rotated session: %v", err)
	}
	if _, err := d.EndToken(t.Context(), next, "logout"); err != nil {
		t.Fatal(err)
	}
	if err := d.Revalidate(t.Context(), p); !errors.Is(err, session.ErrEnded) {
		t.Errorf("an ended session: %v", err)
	}
}

// broken is a store that does not answer.
type broken struct{ session.Store }

var errDown = errors.New("down")

func (broken) Get(context.Context, string, session.Key) (session.Row, error) {
	return session.Row{}, errDown
}

func TestUnreachableStoreDenies(t *testing.T) {
	d := newDesk(t, session.Options{})
	token := d.create(t, ada(authn.AAL2))
	m, err := session.New(broken{d.store}, key, d.rec, session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []http.Header{{"Authorization": {"Bearer " + token}}, {"Cookie": {"__Host-session=" + token}}} {
		_, err = m.Authenticate(t.Context(), guard.Synthetic("t", "t.read", h))
		if !errors.Is(err, errDown) || errors.Is(err, authn.ErrNoCredential) || errors.Is(err, authn.ErrCredential) {
			t.Errorf("%v", err)
		}
	}
	if r := m.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("probe: %+v", r)
	}
}

func TestUnrecordedSessionDoesNotStand(t *testing.T) {
	d := newDesk(t, session.Options{})
	token := d.create(t, ada(authn.AAL2))
	d.rec.FailWith(errors.New("disk full"))
	if s, err := d.Create(t.Context(), ada(authn.AAL2), 0, session.Device{}); s != "" || err == nil {
		t.Errorf("Create: %q, %v", s, err)
	}
	if s, err := d.Rotate(t.Context(), token, ada(authn.AAL2)); s != "" || err == nil {
		t.Errorf("Rotate: %q, %v", s, err)
	}
	d.rec.FailWith(nil)
	if rows, err := d.store.List(t.Context(), "acme", "u-1"); len(rows) != 0 || err != nil {
		t.Errorf("%d sessions stand that no event tells of, %v", len(rows), err)
	}
}

// leaky is a store that keeps what it is told to delete.
type leaky struct{ *session.Memory }

func (leaky) Delete(context.Context, string, session.Key) (bool, error) { return true, nil }

func TestProbe(t *testing.T) {
	d := newDesk(t, session.Options{})
	c := d.Controls()[0]
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if r := c.Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	d.rec.WantNone(t)
	m, err := session.New(leaky{&session.Memory{}}, key, d.rec, session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r := m.Controls()[0].Run(t.Context()); r.State != controls.Fail || !strings.Contains(r.Observed, "ended") {
		t.Errorf("a store that forgets to delete: %+v", r)
	}
}

func TestBadOptions(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	for what, o := range map[string]session.Options{
		"AAL2 idle": {AAL2: session.Timeouts{Idle: 2 * time.Hour}}, "AAL2 no idle": {AAL2: session.Timeouts{Idle: -1}},
		"AAL3 absolute": {AAL3: session.Timeouts{Absolute: 24 * time.Hour}}, "max": {MaxPerAccount: -1}, "old key": {OldKeys: [][]byte{{1}}},
	} {
		if _, err := session.New(&session.Memory{}, key, rec, o); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if _, err := session.New(&session.Memory{}, key[:31], rec, session.Options{}); err == nil {
		t.Error("a short key was accepted")
	}
	if _, err := session.New(&session.Memory{}, key, nil, session.Options{}); err == nil {
		t.Error("no recorder was accepted")
	}
	d := newDesk(t, session.Options{})
	for what, p := range map[string]authn.Principal{
		"nobody": {}, "a tenant with a dot": {Actor: auditlog.Actor{ID: "u", Tenant: "a.b", Kind: auditlog.User}, AAL: authn.AAL1},
		"no assurance": {Actor: auditlog.Actor{ID: "u", Tenant: "a", Kind: auditlog.User}},
	} {
		if _, err := d.Create(t.Context(), p, 0, session.Device{}); err == nil {
			t.Errorf("a session of %s was opened", what)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("acme.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("acme.")
	f.Add(".x.y")
	f.Fuzz(func(t *testing.T, s string) {
		tenant, _, ok := session.ParseToken(s)
		if ok && (!session.ValidTenant(tenant) || len(s) != len(tenant)+44) {
			t.Errorf("%q is a token of %q", s, tenant)
		}
	})
}

func FuzzCookie(f *testing.F) {
	f.Add("a=b; __Host-session=x; c", "__Host-session=y")
	f.Fuzz(func(t *testing.T, a, b string) {
		if v := session.CookieValue([]string{a, b}, "__Host-session"); v != "" && !strings.Contains(a+b, "__Host-session="+v) {
			t.Errorf("%q, %q: %q", a, b, v)
		}
	})
}

func BenchmarkCheckInMemory(b *testing.B) {
	m, err := session.New(&session.Memory{}, key, &auditlogtest.Recorder{}, session.Options{})
	if err != nil {
		b.Fatal(err)
	}
	token, err := m.Create(b.Context(), ada(authn.AAL2), 0, session.Device{})
	if err != nil {
		b.Fatal(err)
	}
	call := guard.Synthetic("t", "t.read", http.Header{"Cookie": {"__Host-session=" + token}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Authenticate(b.Context(), call); err != nil {
			b.Fatal(err)
		}
	}
}
