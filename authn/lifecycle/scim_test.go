package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/apikey"
	"github.com/surety-go/surety/authn/lifecycle"
	"github.com/surety-go/surety/guard"
)

// An idp is a SCIM client with a key.
type idp struct {
	*office
	mux http.Handler
	key string
}

func newIDP(t testing.TB, o lifecycle.Options) *idp {
	t.Helper()
	f := newOffice(t, o)
	identify, err := authn.Identify(f.rec, f.keys)
	if err != nil {
		t.Fatal(err)
	}
	mux, err := guard.NewMux([]guard.Guard{guard.Audit(f.rec), identify}, f.SCIM(apikey.RequireScope("scim"))...)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := f.keys.Create(t.Context(), apikey.Key{Tenant: "acme", Owner: "it", Name: "idp", Scopes: []string{"scim"}})
	if err != nil {
		t.Fatal(err)
	}
	return &idp{f, mux, secret}
}

type resource struct {
	ID, UserName, ExternalID, DisplayName, ScimType, Status, Detail string
	Active                                                          bool
	TotalResults, StartIndex, ItemsPerPage                          int
	Schemas                                                         []string
	Resources                                                       []resource
	Members                                                         []struct{ Value string }
}

func (i *idp) call(t testing.TB, method, path, body string, want int) resource {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/scim/v2/"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+i.key)
	r.Header.Set("Content-Type", "application/scim+json")
	i.mux.ServeHTTP(w, r)
	var out resource
	if w.Code != want || w.Body.Len() > 0 && json.Unmarshal(w.Body.Bytes(), &out) != nil {
		t.Errorf("%s %s: %d %s: want %d", method, path, w.Code, w.Body, want)
	}
	return out
}

func (i *idp) create(t testing.TB, name string) resource {
	t.Helper()
	return i.call(t, "POST", "Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"externalId":"x-%s","name":{"givenName":"A"},"active":true}`, name, name), 201)
}

const patch = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`

func TestSCIMLifeOfAUser(t *testing.T) {
	i := newIDP(t, lifecycle.Options{TrustSources: true})
	u := i.create(t, "Ada@Example.org")
	if u.ID == "" || u.UserName != "ada@example.org" || !u.Active || !i.canSignIn(u.ID) {
		t.Fatalf("%+v", u)
	}
	i.use(t, u.ID)
	if got := i.call(t, "GET", "Users/"+u.ID, "", 200); got.ExternalID != "x-Ada@Example.org" {
		t.Errorf("%+v", got)
	}
	if got := i.call(t, "GET", `Users?filter=userName+eq+%22ADA@example.org%22`, "", 200); got.TotalResults != 1 || got.Resources[0].ID != u.ID {
		t.Errorf("%+v", got)
	}
	// Providers write the flag in several ways.
	for _, op := range []string{`{"op":"replace","path":"active","value":false}`, `{"op":"Replace","value":{"active":false}}`, `{"op":"replace","path":"active","value":"False"}`} {
		if got := i.call(t, "PATCH", "Users/"+u.ID, fmt.Sprintf(patch, op), 200); got.Active || i.canSignIn(u.ID) {
			t.Errorf("%s: %+v", op, got)
		}
		if list, err := i.sessions.List(t.Context(), "acme", u.ID); err != nil || len(list) != 0 {
			t.Errorf("%d sessions, %v", len(list), err)
		}
		if got := i.call(t, "PUT", "Users/"+u.ID, `{"userName":"ada@example.org","active":true}`, 200); !got.Active || !i.canSignIn(u.ID) {
			t.Errorf("%+v", got)
		}
	}
	i.call(t, "DELETE", "Users/"+u.ID, "", 204)
	i.call(t, "GET", "Users/"+u.ID, "", 404)
	i.call(t, "DELETE", "Users/"+u.ID, "", 404)
	if p, err := i.Get(t.Context(), "acme", u.ID); err != nil || p.State != lifecycle.Left || i.canSignIn(u.ID) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestSCIMGroupsAreRoles(t *testing.T) {
	i := newIDP(t, lifecycle.Options{TrustSources: true})
	a, b := i.create(t, "ada"), i.create(t, "bob")
	add := fmt.Sprintf(patch, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q},{"value":%q}]}`, a.ID, b.ID))
	if g := i.call(t, "PATCH", "Groups/editor", add, 200); len(g.Members) != 2 || !slices.Contains(i.granter.Roles("acme", a.ID), "editor") {
		t.Errorf("%+v", g)
	}
	i.call(t, "PATCH", "Groups/reader", add, 200)
	for _, op := range []string{fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, a.ID), fmt.Sprintf(`{"op":"remove","path":"members","value":[{"value":%q}]}`, b.ID)} {
		i.call(t, "PATCH", "Groups/editor", fmt.Sprintf(patch, op), 200)
	}
	for _, u := range []resource{a, b} {
		if got := i.granter.Roles("acme", u.ID); !slices.Equal(got, []string{"reader"}) {
			t.Errorf("%v", got)
		}
	}
	if g := i.call(t, "PUT", "Groups/reader", fmt.Sprintf(`{"displayName":"reader","members":[{"value":%q}]}`, b.ID), 200); len(g.Members) != 1 || len(i.granter.Roles("acme", a.ID)) != 0 {
		t.Errorf("%+v", g)
	}
	if g := i.call(t, "GET", `Groups?filter=displayName+eq+%22reader%22`, "", 200); g.TotalResults != 1 || g.Resources[0].ID != "reader" || len(g.Resources[0].Members) != 1 {
		t.Errorf("%+v", g)
	}
	if g := i.call(t, "GET", "Groups", "", 200); g.TotalResults != 2 {
		t.Errorf("%+v", g)
	}
	i.call(t, "GET", "Groups/owner", "", 404)
	i.call(t, "PATCH", "Groups/reader", fmt.Sprintf(patch, `{"op":"add","path":"members","value":[{"value":"nobody"}]}`), 400)
	i.call(t, "PATCH", "Groups/reader", fmt.Sprintf(patch, `{"op":"replace","path":"displayName","value":"owner"}`), 400)
}

// A provider that is not trusted with approvals can ask, and can take away.
func TestSCIMAsksWithoutTrust(t *testing.T) {
	i := newIDP(t, lifecycle.Options{})
	u := i.create(t, "ada")
	if u.Active || i.canSignIn(u.ID) {
		t.Fatalf("%+v", u)
	}
	member := fmt.Sprintf(patch, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, u.ID))
	i.call(t, "PATCH", "Groups/reader", member, 200)
	if len(i.granter.Roles("acme", u.ID)) != 0 {
		t.Error("roles before the approval")
	}
	if err := i.Approve(as("boss"), "acme", u.ID); err != nil || !i.canSignIn(u.ID) || !slices.Equal(i.granter.Roles("acme", u.ID), []string{"reader"}) {
		t.Errorf("%v, %v", err, i.granter.Roles("acme", u.ID))
	}
	i.call(t, "PATCH", "Groups/editor", member, 403)
	i.call(t, "PATCH", "Users/"+u.ID, fmt.Sprintf(patch, `{"op":"replace","path":"active","value":false}`), 200)
	i.call(t, "PATCH", "Users/"+u.ID, fmt.Sprintf(patch, `{"op":"replace","path":"active","value":true}`), 403)
	if i.canSignIn(u.ID) || slices.Contains(i.granter.Roles("acme", u.ID), "editor") {
		t.Error("the provider gave what it may not")
	}
}

func TestSCIMErrors(t *testing.T) {
	i := newIDP(t, lifecycle.Options{TrustSources: true})
	u := i.create(t, "ada")
	for _, c := range []struct {
		method, path, body string
		status             int
		kind               string
	}{
		{"POST", "Users", `{"userName":"ADA"}`, 409, "uniqueness"},
		{"POST", "Users", `{"userName":""}`, 400, "invalidValue"},
		{"POST", "Users", `{"userName":7}`, 400, "invalidValue"},
		{"POST", "Users", `{"userName":"b","username":"c"}`, 400, "invalidSyntax"},
		{"POST", "Users", `{"userName":"b","userName":"c"}`, 400, "invalidSyntax"},
		{"POST", "Users", `[]`, 400, "invalidSyntax"},
		{"POST", "Users", `null`, 400, "invalidValue"},
		{"POST", "Users", strings.Repeat("x", 300<<10), 400, "invalidSyntax"},
		{"PUT", "Users/" + u.ID, `{"userName":"other"}`, 400, "mutability"},
		{"PUT", "Users/" + u.ID, `{"active":"maybe"}`, 400, "invalidValue"},
		{"PATCH", "Users/" + u.ID, `{}`, 400, "invalidSyntax"},
		{"PATCH", "Users/" + u.ID, fmt.Sprintf(patch, `{"op":"move"}`), 400, "invalidSyntax"},
		{"PATCH", "Users/" + u.ID, fmt.Sprintf(patch, `7`), 400, "invalidSyntax"},
		{"PATCH", "Users/" + u.ID, fmt.Sprintf(patch, `{"op":"remove","path":"userName"}`), 400, "invalidPath"},
		{"GET", `Users?filter=userName+sw+%22a%22`, "", 400, "invalidFilter"},
		{"GET", `Users?filter=password+eq+%22a%22`, "", 400, "invalidFilter"},
		{"GET", "Users/nobody", "", 404, ""},
		{"PUT", "Groups/reader", `{"members":[{}]}`, 400, "invalidValue"},
	} {
		got := i.call(t, c.method, c.path, c.body, c.status)
		if got.ScimType != c.kind || got.Status != fmt.Sprint(c.status) || !slices.Equal(got.Schemas, []string{"urn:ietf:params:scim:api:messages:2.0:Error"}) {
			t.Errorf("%s %s %.60s: %+v", c.method, c.path, c.body, got)
		}
	}
	if !i.canSignIn(u.ID) {
		t.Error("a refused request changed something")
	}
}

func TestSCIMPages(t *testing.T) {
	i := newIDP(t, lifecycle.Options{TrustSources: true})
	for n := range 5 {
		i.create(t, fmt.Sprint("user", n))
	}
	for query, want := range map[string][3]int{"": {1, 5, 5}, "?startIndex=2&count=2": {2, 2, 5}, "?startIndex=9": {9, 0, 5}, "?count=0": {1, 0, 5}, "?startIndex=-3&count=x": {1, 5, 5}} {
		if got := i.call(t, "GET", "Users"+query, "", 200); [3]int{got.StartIndex, got.ItemsPerPage, got.TotalResults} != want || len(got.Resources) != want[1] {
			t.Errorf("%q: %+v, want %v", query, got, want)
		}
	}
	for _, path := range []string{"ServiceProviderConfig", "ResourceTypes"} {
		i.call(t, "GET", path, "", 200)
	}
}

func TestSCIMIsOfOneTenantAndGuarded(t *testing.T) {
	i := newIDP(t, lifecycle.Options{TrustSources: true})
	u := i.create(t, "ada")
	good := i.key
	for what, c := range map[string]struct {
		k    apikey.Key
		want int
	}{
		"another tenant":    {apikey.Key{Tenant: "globex", Owner: "it", Name: "idp", Scopes: []string{"scim"}}, 404},
		"without the scope": {apikey.Key{Tenant: "acme", Owner: "it", Name: "other", Scopes: []string{"records.read"}}, 403},
	} {
		secret, _, err := i.keys.Create(t.Context(), c.k)
		if err != nil {
			t.Fatal(err)
		}
		i.key = secret
		w, r := httptest.NewRecorder(), httptest.NewRequest("DELETE", "/scim/v2/Users/"+u.ID, nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		i.mux.ServeHTTP(w, r)
		if w.Code != c.want || !i.canSignIn(u.ID) {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
	i.key = good
	w := httptest.NewRecorder()
	i.mux.ServeHTTP(w, httptest.NewRequest("GET", "/scim/v2/Users", nil))
	if w.Code != 401 {
		t.Errorf("nobody: %d", w.Code)
	}
	if _, err := guard.NewMux([]guard.Guard{guard.Audit(i.rec)}, i.SCIM()...); err == nil {
		t.Error("routes without a guard")
	}
	if e := i.rec.Find("authn.lifecycle.create"); len(e) != 1 || e[0].Outcome != auditlog.Success {
		t.Errorf("%+v", e)
	}
}

func FuzzSCIM(f *testing.F) {
	i := newIDP(f, lifecycle.Options{TrustSources: true})
	u := i.create(f, "ada")
	f.Add("PATCH", "Users/"+u.ID, fmt.Sprintf(patch, `{"op":"replace","path":"active","value":false}`))
	f.Add("PUT", "Groups/reader", `{"members":[{"value":"x"}]}`)
	f.Add("POST", "Users", `{"userName":"b","active":"true"}`)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if !slices.Contains([]string{"POST", "PUT", "PATCH"}, method) || !slices.Contains([]string{"Users", "Users/" + u.ID, "Groups/reader"}, path) {
			return
		}
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/scim/v2/"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+i.key)
		i.mux.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s %q: %d %s", method, path, body, w.Code, w.Body)
		}
	})
}
