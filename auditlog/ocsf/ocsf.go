package ocsf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/surety-go/surety/auditlog"
)

// Version is the version of the schema.
const Version = "1.8.0"

// A Mapper writes entries as OCSF events.
type Mapper struct {
	product, version string
	rows             []Row
}

// New returns a mapper for the events of a product. The rows say how the
// product's own actions are written; they come before those of this module.
func New(product, version string, rows ...Row) (*Mapper, error) {
	if product == "" || version == "" {
		return nil, errors.New("ocsf: want the product's name and version")
	}
	all := append(append([]Row(nil), rows...), table()...)
	for _, r := range all {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	return &Mapper{product, version, all}, nil
}

// Find returns the class and activity of an action.
func (m *Mapper) Find(action string) (Class, int, error) {
	verb := action[strings.LastIndexByte(action, '.')+1:]
	best, at := 0, -1
	for i, r := range m.rows {
		if n := r.covers(action, verb); n > best {
			best, at = n, i
		}
	}
	if at < 0 {
		return 0, 0, fmt.Errorf("%w: %q", ErrUnknownAction, action)
	}
	return m.rows[at].Class, m.rows[at].Verbs[verb], nil
}

// Actions returns, in order, the actions that stand for all the table knows:
// the prefix of each row with each of its verbs.
func (m *Mapper) Actions() []string {
	var list []string
	for _, r := range m.rows {
		for verb := range r.Verbs {
			list = append(list, r.Prefix+"."+verb)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

type object = map[string]any

// Map writes an entry as one OCSF event in JSON, with its place in the log as
// metadata.sequence.
func (m *Mapper) Map(e auditlog.Indexed) ([]byte, error) {
	class, activity, err := m.Find(e.Action)
	if err != nil {
		return nil, err
	}
	ev := m.base(&e, class, activity)
	m.classMembers(ev, &e, class)
	return json.Marshal(ev)
}

func (m *Mapper) base(e *auditlog.Indexed, class Class, activity int) object {
	meta := object{
		"version": Version, "uid": e.ID.String(), "sequence": e.Index, "log_name": "audit",
		"event_code": e.Action, "product": object{"name": m.product, "vendor_name": m.product, "version": m.version},
	}
	put(meta, "tenant_uid", e.Tenant)
	put(meta, "correlation_uid", e.Trace)
	ev := object{
		"class_uid": int(class), "class_name": classNames[class],
		"category_uid": int(class) / 1000, "category_name": categoryNames[class/1000],
		"activity_id": activity, "type_uid": int(class)*100 + activity,
		"time": e.Time.UnixMilli(), "severity_id": severity(e.Outcome), "metadata": meta,
	}
	if activity == Other {
		ev["activity_name"] = e.Action[strings.LastIndexByte(e.Action, '.')+1:]
	}
	status(ev, &e.Event, class)
	if u := unmapped(e); len(u) > 0 {
		ev["unmapped"] = u
	}
	return ev
}

// severity is 1 (informational) for what was done as asked, 2 (low) for a
// refusal, which is a control at work, and 3 (medium) for an error.
func severity(o auditlog.Outcome) int {
	switch o {
	case auditlog.Success:
		return 1
	case auditlog.Denied:
		return 2
	}
	return 3
}

// status writes the outcome. A finding's status is the state of its handling.
func status(ev object, e *auditlog.Event, class Class) {
	put(ev, "status_code", e.Reason)
	if class/1000 == 2 {
		ev["status_id"] = 1 // new
		return
	}
	ev["status_id"], ev["status"] = 2, "Failure"
	if e.Outcome == auditlog.Success {
		ev["status_id"], ev["status"] = 1, "Success"
	}
	ev["status_detail"] = e.Outcome.String()
}

func put(o object, key, value string) {
	if value != "" {
		o[key] = value
	}
}

// unmapped has what the schema has no member for.
func unmapped(e *auditlog.Indexed) object {
	u := object{}
	if len(e.Targets) > 0 {
		var list []object
		for _, t := range e.Targets {
			o := object{"type": t.Type}
			put(o, "id", t.ID)
			list = append(list, o)
		}
		u["targets"] = list
	}
	if len(e.Attrs) > 0 {
		attrs := object{}
		for _, a := range e.Attrs {
			if subject, _, ok := a.Sealed(); ok {
				attrs[a.Key] = object{"sealed_for": subject}
			} else {
				attrs[a.Key] = a.Text()
			}
		}
		u["attrs"] = attrs
	}
	put(u, "actor_kind", e.Actor.Kind.String())
	put(u, "span", e.Span)
	return u
}

// user is the account that acted; the schema wants a name for those who are
// not known.
func user(a auditlog.Actor) object {
	u := object{"type_id": 0}
	switch {
	case a.ID != "":
		u["uid"] = a.ID
	default:
		u["name"] = a.Kind.String()
	}
	switch a.Kind {
	case auditlog.User:
		u["type_id"] = 1
	case auditlog.System, auditlog.Service, auditlog.Probe:
		u["type_id"] = 3
	}
	if a.Tenant != "" {
		u["org"] = object{"uid": a.Tenant}
	}
	return u
}

// affected is the account that was acted upon: a target that is one, or else
// the actor.
func affected(e *auditlog.Indexed) object {
	for _, t := range e.Targets {
		if (t.Type == "user" || t.Type == "account") && t.ID != "" {
			return object{"uid": t.ID, "type_id": 1}
		}
	}
	return user(e.Actor)
}

// target is the first target as name and uid.
func target(e *auditlog.Indexed) object {
	if len(e.Targets) == 0 {
		return object{"name": e.Action[:strings.LastIndexByte(e.Action, '.')]}
	}
	o := object{"name": e.Targets[0].Type, "type": e.Targets[0].Type}
	put(o, "uid", e.Targets[0].ID)
	return o
}

// classMembers adds what each class demands.
func (m *Mapper) classMembers(ev object, e *auditlog.Indexed, class Class) {
	actor := object{"user": user(e.Actor)}
	put(actor, "invoked_by", e.Actor.For)
	ev["actor"] = actor
	switch class {
	case Authentication:
		ev["user"], ev["service"] = affected(e), object{"name": m.product}
	case AuthorizeSession, UserAccess:
		ev["user"], ev["privileges"] = affected(e), []string{privilege(e)}
	case AccountChange:
		ev["user"] = affected(e)
	case GroupManagement:
		ev["group"] = target(e)
	case EntityManagement:
		ev["entity"] = target(e)
	case WebResources:
		ev["web_resources"] = []object{target(e)}
	case ApplicationLifecycle:
		ev["app"] = object{"name": m.product, "vendor_name": m.product, "version": m.version}
	case APIActivity:
		ev["api"] = object{"operation": e.Action}
		ev["src_endpoint"] = object{"name": endpoint(e)}
		ev["resources"] = []object{target(e)}
	default:
		finding(ev, e, class)
	}
}

// privilege is the role that was given or taken.
func privilege(e *auditlog.Indexed) string {
	for _, t := range e.Targets {
		if t.Type == "role" || t.Type == "privilege" {
			return t.ID
		}
	}
	for _, a := range e.Attrs {
		if a.Key == "role" || a.Key == "privilege" {
			return a.Text()
		}
	}
	return e.Action
}

// endpoint is the caller's network as the audit guard records it.
func endpoint(e *auditlog.Indexed) string {
	for _, a := range e.Attrs {
		if a.Key == "network" && a.Text() != "" {
			return a.Text()
		}
	}
	return e.Actor.Kind.String()
}

func finding(ev object, e *auditlog.Indexed, class Class) {
	info := object{"uid": e.ID.String(), "title": e.Action}
	if len(e.Targets) > 0 && e.Targets[0].ID != "" {
		info["uid"] = e.Targets[0].ID
	}
	switch class {
	case IncidentFinding:
		ev["finding_info_list"] = []object{info}
		ev["assignee"] = user(e.Actor)
		delete(ev, "actor")
	case ComplianceFinding:
		c := object{"status_id": 1}
		if e.Outcome != auditlog.Success {
			c["status_id"] = 3
		}
		put(c, "control", e.Reason)
		ev["compliance"], ev["finding_info"] = c, info
		delete(ev, "actor")
	default:
		ev["finding_info"] = info
		delete(ev, "actor")
	}
}

// Encoder writes an export of the log as OCSF events, one a line.
func (m *Mapper) Encoder() auditlog.Encoder { return encoder{m} }

type encoder struct{ m *Mapper }

func (encoder) Begin(io.Writer, auditlog.Bounds) error { return nil }

func (e encoder) Entry(w io.Writer, entry auditlog.Indexed, _ []byte) error {
	b, err := e.m.Map(entry)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func (encoder) Withheld(io.Writer, uint64, [32]byte) error { return nil }

func (encoder) End(io.Writer) error { return nil }
