package login_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/surety-go/surety/authn/login"
)

// A register notes who asks.
type register struct {
	asked []string
	err   error
}

func (r *register) SignUp(_ context.Context, tenant, name string) error {
	r.asked = append(r.asked, tenant+"/"+name)
	return r.err
}

func TestSignUp(t *testing.T) {
	reg := &register{}
	s := newSite(t, login.Options{SignUp: reg})
	if _, _, body := s.page(t, "GET", "/login", nil); !strings.Contains(body, `href="/signup"`) {
		t.Errorf("%s", body)
	}
	if _, _, body := s.page(t, "GET", "/signup", nil); !strings.Contains(body, `autocomplete="email"`) {
		t.Errorf("%s", body)
	}
	var answers []string
	for _, name := range []string{"new@example.org", " Ada@example.org"} { // one of them has an account
		status, _, body := s.page(t, "POST", "/signup", url.Values{"tenant": {"acme"}, "name": {name}})
		if status != 200 {
			t.Errorf("%s: %d", name, status)
		}
		answers = append(answers, body)
	}
	if answers[0] != answers[1] {
		t.Errorf("the answers differ: %q", answers)
	}
	if resp := s.call(t, "POST", "/signup", "", map[string]string{"tenant": "acme", "name": "third@example.org"}, nil); resp.StatusCode != 202 {
		t.Errorf("a program: %d", resp.StatusCode)
	}
	if want := []string{"acme/new@example.org", "acme/ada@example.org", "acme/third@example.org"}; !slices.Equal(reg.asked, want) {
		t.Errorf("%q", reg.asked)
	}
	for _, bad := range []url.Values{{"tenant": {"../x"}, "name": {"a@b"}}, {"tenant": {"acme"}, "name": {"no address"}}, {}} {
		if status, _, _ := s.page(t, "POST", "/signup", bad); status != 400 {
			t.Errorf("%v: %d", bad, status)
		}
	}
	reg.err = errors.New("down")
	if status, _, body := s.page(t, "POST", "/signup", url.Values{"tenant": {"acme"}, "name": {"x@example.org"}}); status != 503 || strings.Contains(body, "down") {
		t.Errorf("%d %s", status, body)
	}
	reg.err, reg.asked = nil, nil
	for n := range 40 {
		s.page(t, "POST", "/signup", url.Values{"tenant": {"acme"}, "name": {fmt.Sprintf("bot%d@example.org", n)}})
	}
	if len(reg.asked) > 30 {
		t.Errorf("one client asked for %d accounts", len(reg.asked))
	}
}
