package federation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation"
)

func TestAccountID(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range [][2]string{{"a", "b"}, {"ab", ""}, {"", "ab"}, {"b", "a"}, {"a\x00", "b"}, {"a", "\x00b"}} {
		id := federation.AccountID(p[0], p[1])
		if seen[id] || len(id) != 34 || id != federation.AccountID(p[0], p[1]) {
			t.Errorf("%q: %s", p, id)
		}
		seen[id] = true
	}
}

func TestAssurance(t *testing.T) {
	if level, methods := (federation.Assurance{}).Judge("high", []string{"mfa", "hwk"}); level != authn.AAL1 || !slices.Equal(methods, []string{"fed"}) {
		t.Errorf("nobody trusts it: %v %q", level, methods)
	}
	a := federation.Assurance{ACR: map[string]authn.AAL{"gold": authn.AAL3, "": authn.AAL1}, AMR: map[string]authn.AAL{"mfa": authn.AAL2}}
	if a.Validate() == nil {
		t.Error("an empty value was taken")
	}
	delete(a.ACR, "")
	for _, c := range []struct {
		acr     string
		amr     []string
		level   authn.AAL
		methods []string
	}{
		{"", nil, authn.AAL1, []string{"fed"}},
		{"silver", []string{"pwd"}, authn.AAL1, []string{"fed"}},
		{"gold", nil, authn.AAL3, []string{"fed", "mfa"}},
		{"", []string{"pwd", "mfa", "pwd"}, authn.AAL2, []string{"fed", "pwd", "mfa"}},
	} {
		if level, methods := a.Judge(c.acr, c.amr); level != c.level || !slices.Equal(methods, c.methods) {
			t.Errorf("%q %q: %v %q", c.acr, c.amr, level, methods)
		}
	}
}

func TestMemory(t *testing.T) {
	m, now := federation.NewMemory(), time.Unix(1000, 0)
	federation.SetMemoryNow(m, func() time.Time { return now })
	use := func(tenant, key string, want bool) {
		t.Helper()
		if ok, err := m.Use(t.Context(), tenant, key, now.Add(time.Minute)); ok != want || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
	}
	use("acme", "k", true)
	use("acme", "k", false)
	use("globex", "k", true)
	now = now.Add(time.Minute)
	use("acme", "k", true)
	if _, err := m.Use(t.Context(), "", "k", now); err == nil {
		t.Error("without a tenant")
	}
}
