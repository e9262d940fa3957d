package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/internal/strictjson"
)

const (
	scimBase  = "/scim/v2/"
	scimUser  = "urn:ietf:params:scim:schemas:core:2.0:User"
	scimGroup = "urn:ietf:params:scim:schemas:core:2.0:Group"
	scimList  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	scimPatch = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	scimError = "urn:ietf:params:scim:api:messages:2.0:Error"
	maxSCIM   = 256 << 10
	maxPage   = 200
)

// SCIM serves SCIM 2.0 (RFC 7643, RFC 7644) below /scim/v2/ for an identity
// provider, behind the given guards: one that authorises is needed, such as
// apikey.RequireScope("scim"), and the caller's tenant is the one it sees.
//
// Users have userName, externalId and active. A new one opens at once with
// Options.TrustSources and waits for an approval without; active=false
// suspends and ends sessions and keys, DELETE is [Manager.Leave]. Groups are
// the roles: their members can be changed, they themselves can't. Filters are
// userName, externalId, id and displayName with eq.
func (m *Manager) SCIM(guards ...guard.Guard) []guard.Route {
	route := func(pattern, action string, f func(context.Context, string, *http.Request, map[string]any) (int, any, error)) guard.Route {
		method, path, _ := strings.Cut(pattern, " ")
		return guard.Route{Pattern: method + " " + scimBase + path, Action: "authn.lifecycle." + action, Guards: guards, Handler: scimHandler(f)}
	}
	return []guard.Route{
		route("GET ServiceProviderConfig", "read", scimConfig),
		route("GET ResourceTypes", "read", scimTypes),
		route("GET Users", "list", m.scimUsers),
		route("POST Users", "create", m.scimCreate),
		route("GET Users/{id}", "read", m.scimGet),
		route("PUT Users/{id}", "update", m.scimPut),
		route("PATCH Users/{id}", "update", m.scimPatchUser),
		route("DELETE Users/{id}", "delete", m.scimDelete),
		route("GET Groups", "list", m.scimGroups),
		route("GET Groups/{id}", "read", m.scimGroup),
		route("PATCH Groups/{id}", "update", m.scimPatchGroup),
		route("PUT Groups/{id}", "update", m.scimPutGroup),
	}
}

// A scimFault is an answer of RFC 7644, section 3.12.
type scimFault struct {
	status       int
	kind, detail string
}

func (f *scimFault) Error() string { return "lifecycle: scim: " + f.detail }

func fault(status int, kind, detail string) error { return &scimFault{status, kind, detail} }

func scimHandler(f func(context.Context, string, *http.Request, map[string]any) (int, any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, out, err := scimCall(w, r, f)
		if err != nil {
			status, out = scimFailure(err)
		}
		if out == nil {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Content-Type", "application/scim+json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out) // the reader may be gone
	})
}

func scimCall(w http.ResponseWriter, r *http.Request, f func(context.Context, string, *http.Request, map[string]any) (int, any, error)) (int, any, error) {
	p, ok := authn.FromContext(r.Context())
	if !ok || p.Tenant == "" {
		return 0, nil, fault(http.StatusUnauthorized, "", "The caller has no tenant.")
	}
	var in map[string]any
	if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		if err := strictjson.Decode(http.MaxBytesReader(w, r.Body, maxSCIM), maxSCIM, &in); err != nil {
			return 0, nil, fault(http.StatusBadRequest, "invalidSyntax", "The body is not one JSON object of at most 256 KiB.")
		}
		if in = lower(in); in == nil {
			return 0, nil, fault(http.StatusBadRequest, "invalidSyntax", "The body is not an object with each attribute once.")
		}
	}
	return f(r.Context(), p.Tenant, r, in)
}

func scimFailure(err error) (int, any) {
	f := &scimFault{http.StatusServiceUnavailable, "", "This can't be done now. Try again later."}
	switch {
	case errors.As(err, &f):
	case errors.Is(err, ErrNotFound):
		f = &scimFault{http.StatusNotFound, "", "There is no such resource."}
	case errors.Is(err, ErrTaken):
		f = &scimFault{http.StatusConflict, "uniqueness", "The userName or the externalId is taken."}
	case errors.Is(err, ErrState):
		f = &scimFault{http.StatusConflict, "", "The user's state does not allow this, or changed meanwhile."}
	case errors.Is(err, ErrRole):
		f = &scimFault{http.StatusBadRequest, "invalidValue", "There is no such group."}
	}
	out := map[string]any{"schemas": []string{scimError}, "status": strconv.Itoa(f.status), "detail": f.detail}
	if f.kind != "" {
		out["scimType"] = f.kind
	}
	return f.status, out
}

// lower makes names of attributes small: they are not case-sensitive (RFC
// 7643, section 2.1). Nil is an object that says one thing twice.
func lower(in map[string]any) map[string]any {
	out := make(map[string]any, len(in))
	for k, v := range in {
		k = strings.ToLower(k)
		if _, twice := out[k]; twice {
			return nil
		}
		if o, ok := v.(map[string]any); ok {
			if v = lower(o); v.(map[string]any) == nil {
				return nil
			}
		}
		out[k] = v
	}
	return out
}

func scimConfig(context.Context, string, *http.Request, map[string]any) (int, any, error) {
	no := map[string]any{"supported": false}
	return http.StatusOK, map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":   map[string]any{"supported": true}, "filter": map[string]any{"supported": true, "maxResults": maxPage},
		"bulk": map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0}, "changePassword": no, "sort": no, "etag": no,
		"authenticationSchemes": []any{map[string]any{"type": "oauthbearertoken", "name": "Bearer", "description": "An API key or an access token"}},
	}, nil
}

func scimTypes(context.Context, string, *http.Request, map[string]any) (int, any, error) {
	one := func(name, schema string) any {
		return map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"}, "id": name, "name": name, "endpoint": "/" + name + "s", "schema": schema}
	}
	return http.StatusOK, page([]any{one("User", scimUser), one("Group", scimGroup)}, 1, 2), nil
}

func page(items []any, start, total int) any {
	return map[string]any{"schemas": []string{scimList}, "totalResults": total, "startIndex": start, "itemsPerPage": len(items), "Resources": items}
}

// paged cuts the page that a request asks for (RFC 7644, section 3.4.2.4).
func paged(r *http.Request, items []any) (int, any, error) {
	number := func(name string, def int) int {
		n, err := strconv.Atoi(r.URL.Query().Get(name))
		if err != nil {
			return def
		}
		return max(n, 0)
	}
	start, count := max(1, number("startIndex", 1)), min(maxPage, number("count", maxPage))
	from := min(start-1, len(items))
	return http.StatusOK, page(items[from:min(from+count, len(items))], start, len(items)), nil
}

// filter reads 'attribute eq "value"'.
func filter(r *http.Request, allowed ...string) (attr, value string, err error) {
	text := strings.TrimSpace(r.URL.Query().Get("filter"))
	if text == "" {
		return "", "", nil
	}
	parts := strings.SplitN(text, " ", 3)
	if len(parts) != 3 || !strings.EqualFold(parts[1], "eq") || !slices.Contains(allowed, strings.ToLower(parts[0])) || json.Unmarshal([]byte(parts[2]), &value) != nil {
		return "", "", fault(http.StatusBadRequest, "invalidFilter", "Supported is one comparison with eq, of "+strings.Join(allowed, ", ")+".")
	}
	return strings.ToLower(parts[0]), value, nil
}

func here(p Person) bool { return p.State != Leaving && p.State != Left }

func showUser(p Person) any {
	out := map[string]any{
		"schemas": []string{scimUser}, "id": p.ID, "userName": p.Name, "active": p.State == Active,
		"meta": map[string]any{"resourceType": "User", "location": scimBase + "Users/" + p.ID, "lastModified": p.Since},
	}
	if p.External != "" {
		out["externalId"] = p.External
	}
	return out
}

// user is somebody who has not left.
func (m *Manager) user(ctx context.Context, tenant string, r *http.Request) (Person, error) {
	p, err := m.Get(ctx, tenant, r.PathValue("id"))
	if err == nil && !here(p) {
		err = ErrNotFound
	}
	return p, err
}

func (m *Manager) scimUsers(ctx context.Context, tenant string, r *http.Request, _ map[string]any) (int, any, error) {
	attr, value, err := filter(r, "username", "externalid", "id")
	if err != nil {
		return 0, nil, err
	}
	list, err := m.List(ctx, tenant)
	if err != nil {
		return 0, nil, err
	}
	items := []any{}
	for _, p := range list {
		field := map[string]string{"": "", "username": p.Name, "externalid": p.External, "id": p.ID}[attr]
		if attr == "username" {
			value = login.Name(value)
		}
		if here(p) && field == value {
			items = append(items, showUser(p))
		}
	}
	return paged(r, items)
}

func (m *Manager) scimGet(ctx context.Context, tenant string, r *http.Request, _ map[string]any) (int, any, error) {
	p, err := m.user(ctx, tenant, r)
	return http.StatusOK, showUser(p), err
}

func text(in map[string]any, name string) (string, error) {
	switch v := in[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", fault(http.StatusBadRequest, "invalidValue", name+" is not a string.")
}

// boolean reads a flag; some providers write it as text.
func boolean(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		if b, err := strconv.ParseBool(strings.ToLower(v)); err == nil {
			return b, nil
		}
	}
	return false, fault(http.StatusBadRequest, "invalidValue", "active is neither true nor false.")
}

func (m *Manager) scimCreate(ctx context.Context, tenant string, _ *http.Request, in map[string]any) (int, any, error) {
	name, err1 := text(in, "username")
	external, err2 := text(in, "externalid")
	if err := errors.Join(err1, err2); err != nil {
		return 0, nil, err
	}
	if login.Name(name) == "" || len(external) > 128 {
		return 0, nil, fault(http.StatusBadRequest, "invalidValue", "userName is missing, or the externalId is longer than 128 bytes.")
	}
	p, err := m.Join(ctx, Person{Tenant: tenant, Name: name, External: external}, "scim")
	if err != nil {
		return 0, nil, err
	}
	if v, ok := in["active"]; ok {
		if p, err = m.setActive(ctx, p, v); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusCreated, showUser(p), nil
}

// setActive opens or closes an account, as far as the source may.
func (m *Manager) setActive(ctx context.Context, p Person, v any) (Person, error) {
	want, err := boolean(v)
	switch {
	case err != nil:
	case want && p.State == Suspended && !m.o.TrustSources:
		err = fault(http.StatusForbidden, "", "Somebody here has to open the account again.")
	case want && p.State == Suspended:
		err = m.open(ctx, &p, "authn.lifecycle.resume")
	case !want && p.State == Active:
		err = m.Suspend(ctx, p.Tenant, p.ID, "scim")
	}
	if err != nil {
		return p, err
	}
	return m.Get(ctx, p.Tenant, p.ID)
}

func (m *Manager) scimPut(ctx context.Context, tenant string, r *http.Request, in map[string]any) (int, any, error) {
	p, err := m.user(ctx, tenant, r)
	if err != nil {
		return 0, nil, err
	}
	if err := unchanged(p, in); err != nil {
		return 0, nil, err
	}
	if v, ok := in["active"]; ok {
		p, err = m.setActive(ctx, p, v)
	}
	return http.StatusOK, showUser(p), err
}

// unchanged refuses another name or external id: they are how two systems know
// that they mean one person.
func unchanged(p Person, in map[string]any) error {
	name, err1 := text(in, "username")
	external, err2 := text(in, "externalid")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if name != "" && login.Name(name) != p.Name || external != "" && external != p.External {
		return fault(http.StatusBadRequest, "mutability", "userName and externalId can't be changed.")
	}
	return nil
}

// operations are those of a PATCH: op, path and value.
func operations(in map[string]any) ([]map[string]any, error) {
	schemas, _ := in["schemas"].([]any)
	list, ok := in["operations"].([]any)
	if !ok || len(list) == 0 || len(list) > 100 || !slices.Contains(schemas, any(scimPatch)) {
		return nil, fault(http.StatusBadRequest, "invalidSyntax", "Want a PatchOp with 1 to 100 Operations.")
	}
	out := make([]map[string]any, len(list))
	for i, item := range list {
		o, ok := item.(map[string]any)
		if !ok {
			return nil, fault(http.StatusBadRequest, "invalidSyntax", "An operation is not an object.")
		}
		if out[i] = lower(o); out[i] == nil {
			return nil, fault(http.StatusBadRequest, "invalidSyntax", "An operation says one thing twice.")
		}
		op, _ := out[i]["op"].(string)
		if out[i]["op"] = strings.ToLower(op); !slices.Contains([]any{"add", "replace", "remove"}, out[i]["op"]) {
			return nil, fault(http.StatusBadRequest, "invalidSyntax", "op is not add, replace or remove.")
		}
	}
	return out, nil
}

func (m *Manager) scimPatchUser(ctx context.Context, tenant string, r *http.Request, in map[string]any) (int, any, error) {
	p, err := m.user(ctx, tenant, r)
	if err != nil {
		return 0, nil, err
	}
	ops, err := operations(in)
	if err != nil {
		return 0, nil, err
	}
	for _, o := range ops {
		path, _ := o["path"].(string)
		values, ok := o["value"].(map[string]any)
		if path != "" {
			values, ok = map[string]any{strings.ToLower(path): o["value"]}, true
		}
		if !ok || o["op"] == "remove" {
			return 0, nil, fault(http.StatusBadRequest, "invalidPath", "Only active can be replaced.")
		}
		if err := unchanged(p, values); err != nil {
			return 0, nil, err
		}
		if v, ok := values["active"]; ok {
			if p, err = m.setActive(ctx, p, v); err != nil {
				return 0, nil, err
			}
		}
	}
	return http.StatusOK, showUser(p), nil
}

func (m *Manager) scimDelete(ctx context.Context, tenant string, r *http.Request, _ map[string]any) (int, any, error) {
	p, err := m.user(ctx, tenant, r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, m.Leave(ctx, tenant, p.ID, "scim")
}

func (m *Manager) showGroup(ctx context.Context, tenant, role string) (any, error) {
	list, err := m.List(ctx, tenant)
	members := []any{}
	for _, p := range list {
		if here(p) && slices.Contains(p.Roles, role) {
			members = append(members, map[string]any{"value": p.ID, "display": p.Name, "$ref": scimBase + "Users/" + p.ID})
		}
	}
	return map[string]any{
		"schemas": []string{scimGroup}, "id": role, "displayName": role, "members": members,
		"meta": map[string]any{"resourceType": "Group", "location": scimBase + "Groups/" + role},
	}, err
}

func (m *Manager) scimGroups(ctx context.Context, tenant string, r *http.Request, _ map[string]any) (int, any, error) {
	attr, value, err := filter(r, "displayname", "id")
	if err != nil {
		return 0, nil, err
	}
	items := []any{}
	for _, role := range m.o.Roles {
		if attr != "" && role != value {
			continue
		}
		g, err := m.showGroup(ctx, tenant, role)
		if err != nil {
			return 0, nil, err
		}
		items = append(items, g)
	}
	return paged(r, items)
}

func (m *Manager) group(r *http.Request) (string, error) {
	if role := r.PathValue("id"); slices.Contains(m.o.Roles, role) {
		return role, nil
	}
	return "", ErrNotFound
}

func (m *Manager) scimGroup(ctx context.Context, tenant string, r *http.Request, _ map[string]any) (int, any, error) {
	role, err := m.group(r)
	if err != nil {
		return 0, nil, err
	}
	g, err := m.showGroup(ctx, tenant, role)
	return http.StatusOK, g, err
}

// memberIDs reads [{"value": "<id>"}, …].
func memberIDs(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	ids := make([]string, 0, len(list))
	for _, item := range list {
		o, _ := item.(map[string]any)
		id, ok := lower(o)["value"].(string)
		if !ok {
			return nil, fault(http.StatusBadRequest, "invalidValue", "A member has no value.")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// memberOf reads the path members[value eq "<id>"].
func memberOf(path string) (string, bool) {
	inner, ok := strings.CutPrefix(path, `members[value eq "`)
	id, end := strings.CutSuffix(inner, `"]`)
	return id, ok && end && !strings.ContainsAny(id, `"\`)
}

// memberChange reads an operation on a group: who is to be a member and who
// is not; all says that nobody else is.
func memberChange(o map[string]any) (add, remove []string, all bool, err error) {
	path, _ := o["path"].(string)
	value := o["value"]
	if id, ok := memberOf(path); ok && o["op"] == "remove" {
		return nil, []string{id}, false, nil
	}
	if values, ok := value.(map[string]any); ok && path == "" {
		path, value = "members", lower(values)["members"]
	}
	if !strings.EqualFold(path, "members") {
		return nil, nil, false, fault(http.StatusBadRequest, "invalidPath", "Only members can be changed.")
	}
	ids, err := memberIDs(value)
	switch {
	case err != nil:
		return nil, nil, false, err
	case o["op"] == "remove" && value == nil:
		return nil, nil, true, nil
	case o["op"] == "remove":
		return nil, ids, false, nil
	}
	return ids, nil, o["op"] == "replace", nil
}

func (m *Manager) scimPatchGroup(ctx context.Context, tenant string, r *http.Request, in map[string]any) (int, any, error) {
	role, err := m.group(r)
	if err != nil {
		return 0, nil, err
	}
	ops, err := operations(in)
	if err != nil {
		return 0, nil, err
	}
	for _, o := range ops {
		add, remove, all, err := memberChange(o)
		if err == nil {
			err = m.setMembers(ctx, tenant, role, add, remove, all)
		}
		if err != nil {
			return 0, nil, err
		}
	}
	g, err := m.showGroup(ctx, tenant, role)
	return http.StatusOK, g, err
}

func (m *Manager) scimPutGroup(ctx context.Context, tenant string, r *http.Request, in map[string]any) (int, any, error) {
	role, err := m.group(r)
	if err != nil {
		return 0, nil, err
	}
	ids, err := memberIDs(in["members"])
	if err == nil {
		err = m.setMembers(ctx, tenant, role, ids, nil, true)
	}
	if err != nil {
		return 0, nil, err
	}
	g, err := m.showGroup(ctx, tenant, role)
	return http.StatusOK, g, err
}

// setMembers gives and takes a role. It takes before it gives.
func (m *Manager) setMembers(ctx context.Context, tenant, role string, add, remove []string, all bool) error {
	list, err := m.List(ctx, tenant)
	if err != nil {
		return err
	}
	known := map[string]Person{}
	for _, p := range list {
		if !here(p) {
			continue
		}
		known[p.ID] = p
		if all && !slices.Contains(add, p.ID) && slices.Contains(p.Roles, role) {
			remove = append(remove, p.ID)
		}
	}
	for _, id := range add {
		if _, ok := known[id]; !ok {
			return fault(http.StatusBadRequest, "invalidValue", "A member is not a user.")
		}
	}
	for _, id := range remove {
		if p, ok := known[id]; ok && slices.Contains(p.Roles, role) {
			if err := m.setRoles(ctx, p, slices.DeleteFunc(slices.Clone(p.Roles), func(r string) bool { return r == role })); err != nil {
				return err
			}
		}
	}
	for _, id := range add {
		if p := known[id]; !slices.Contains(p.Roles, role) {
			if err := m.setRoles(ctx, p, append(slices.Clone(p.Roles), role)); err != nil {
				return err
			}
		}
	}
	return nil
}

// setRoles moves an active person, and changes what is asked for of others.
// Without Options.TrustSources a source takes roles and gives none.
func (m *Manager) setRoles(ctx context.Context, p Person, roles []string) error {
	gives := slices.ContainsFunc(roles, func(r string) bool { return !slices.Contains(p.Roles, r) })
	switch {
	case p.State == Requested:
		p.Roles = roles
		return m.write(ctx, &p, "authn.lifecycle.move", "scim")
	case gives && !m.o.TrustSources:
		return errors.Join(fault(http.StatusForbidden, "", "Somebody here has to give the role."),
			m.record(ctx, &p, "authn.lifecycle.move", auditlog.Denied, "authn.lifecycle.source"))
	case p.State == Active:
		return m.Move(ctx, p.Tenant, p.ID, roles)
	}
	return fmt.Errorf("%w: %s", ErrState, p.State)
}
