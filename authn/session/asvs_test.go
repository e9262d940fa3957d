package session_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/session"
)

func (d *desk) cookie(t *testing.T) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	d.SetCookie(w, d.create(t, ada(authn.AAL2)))
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	return cookies[0]
}

func TestASVS_3_3_2_CookieStaysWithItsSite(t *testing.T) {
	d := newDesk(t, session.Options{})
	if c := d.cookie(t); c.SameSite != http.SameSiteLaxMode {
		t.Errorf("SameSite of %s", c)
	}
}

func TestASVS_3_3_3_CookieIsOfThisHost(t *testing.T) {
	d := newDesk(t, session.Options{})
	if c := d.cookie(t); !strings.HasPrefix(c.Name, "__Host-") || c.Domain != "" || c.Path != "/" || !c.Secure {
		t.Errorf("%s", c)
	}
}

func TestASVS_3_3_4_CookieIsNotForScripts(t *testing.T) {
	d := newDesk(t, session.Options{})
	w := httptest.NewRecorder()
	token := d.create(t, ada(authn.AAL2))
	d.SetCookie(w, token)
	if c := w.Result().Cookies()[0]; !c.HttpOnly {
		t.Errorf("%s", c)
	}
	if strings.Contains(w.Body.String(), token) {
		t.Error("the token stands in the body too")
	}
}

func TestASVS_7_2_2_TokensAreMadeForEachSession(t *testing.T) {
	d := newDesk(t, session.Options{MaxPerAccount: 100})
	seen := map[string]bool{}
	for range 50 {
		token := d.create(t, ada(authn.AAL2))
		if seen[token] {
			t.Fatal("a token was given out twice")
		}
		seen[token] = true
	}
	// Nothing that stays the same opens a session: not the account, not the
	// session's name, not the key of the MAC.
	p := d.stands(t, "a session", d.create(t, ada(authn.AAL2)))
	for _, fixed := range []string{p.ID, p.SessionID, "acme." + p.SessionID, "acme." + strings.Repeat("A", 43)} {
		if who, err := d.ask(t, fixed); err == nil {
			t.Errorf("%q is %s", fixed, who.ID)
		}
	}
}

func TestASVS_7_4_5_AdministratorsEndSessions(t *testing.T) {
	d := newDesk(t, session.Options{})
	one, other := d.create(t, ada(authn.AAL2)), d.create(t, ada(authn.AAL1))
	bob := ada(authn.AAL2)
	bob.ID = "u-2"
	theirs := d.create(t, bob)
	list, err := d.List(t.Context(), "acme", "u-1")
	if err != nil || len(list) != 2 {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
	id := d.stands(t, "one", one).SessionID
	if ok, err := d.End(t.Context(), "acme", "u-1", id, "admin"); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	d.refused(t, "the one", one)
	d.stands(t, "the other", other)
	for _, account := range []string{"u-1", "u-2"} { // everybody's
		if n, err := d.EndAll(t.Context(), "acme", account, "admin"); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", account, n, err)
		}
	}
	d.refused(t, "the other", other)
	d.refused(t, "another account's", theirs)
}
