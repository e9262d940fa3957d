package ocsf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surety-go/surety/controls"
)

// ErrUnknownAction says that no row of the table knows an action.
var ErrUnknownAction = errors.New("ocsf: no row of the table knows the action")

// A Class is the uid of an OCSF event class; its first digit is the category.
type Class int

// The classes that audit entries are written as.
const (
	ComplianceFinding    Class = 2003
	DetectionFinding     Class = 2004
	IncidentFinding      Class = 2005
	AccountChange        Class = 3001
	Authentication       Class = 3002
	AuthorizeSession     Class = 3003
	EntityManagement     Class = 3004
	UserAccess           Class = 3005
	GroupManagement      Class = 3006
	WebResources         Class = 6001
	ApplicationLifecycle Class = 6002
	APIActivity          Class = 6003
)

// Other is the activity of a verb that the class has no number for; its name
// is then the verb.
const Other = 99

// Verbs gives verbs the class's activity_id.
type Verbs map[string]int

// CRUD are the verbs of [APIActivity] for ordinary data.
var CRUD = Verbs{
	"create": 1, "read": 2, "list": 2, "get": 2, "search": 2, "watch": 2, "export": 2,
	"update": 3, "import": 1, "delete": 4,
}

// A Row says how the actions below a prefix are written.
type Row struct {
	Prefix string // whole words: "authn.session"
	Class  Class
	Verbs  Verbs
}

// words are the verbs that many packages share.
type words struct{ change, logon, account, finding Verbs }

func common() words {
	change := Verbs{
		"create": 1, "add": 1, "propose": 1, "read": 2, "list": 2, "verify": 2, "check": 2, "export": 2, "review": 2,
		"update": 3, "change": 3, "set": 3, "rotate": 3, "approve": Other, "reject": Other, "accept": Other,
		"delete": 4, "remove": 4, "destroy": 4, "retire": 4, "expire": 4,
		"enable": 8, "disable": 9, "activate": 10, "deactivate": 11, "suspend": 12, "resume": 13,
		"load": 3, "reload": 3, "rollback": 3, "restore": 1, "backup": 2, "record": 1, "prune": 4, "hold": 12, "release": 13,
	}
	logon := Verbs{"verify": 1, "login": 1, "create": 1, "logout": 2, "end": 2, "end_all": 2, "rotate": 5, "refresh": 5, "issue": 3, "admit": 6, "begin": 6, "challenge": 6, "probe": Other}
	account := Verbs{
		"create": 1, "enable": 2, "change": 3, "reset": 4, "set": 3, "rehash": 3, "disable": 5, "delete": 6, "lock": 9, "unlock": 12,
		"enrol": 10, "confirm": 10, "remove": 11, "update": Other, "regenerate": 10,
	}
	finding := Verbs{"alert": 1, "open": 1, "create": 1, "raise": 1, "update": 2, "assign": 2, "accept": 2, "escalate": 2, "close": 3, "resolve": 3}
	return words{change, logon, account, finding}
}

// other are verbs without an activity of their own.
func other(verbs ...string) Verbs {
	v := make(Verbs)
	for _, name := range verbs {
		v[name] = Other
	}
	return v
}

// table has the actions of all packages of this module.
func table() []Row {
	w := common()
	return slices.Concat(w.spineRows(), w.authnRows(), w.authzRows(), w.privacyRows(), w.networkRows(), w.controlsRows())
}

// spineRows are the actions of the log, the chain of guards and health.
func (w words) spineRows() []Row {
	return []Row{
		{"auditlog.log", ApplicationLifecycle, Verbs{"open": 3, "close": 4, "probe": Other, "read": Other, "tail": Other, "search": Other, "export": Other, "prune": Other}},
		{"auditlog.tessera", ApplicationLifecycle, other("mark", "probe", "read")},
		{"auditlog.period", EntityManagement, Verbs{"report": 3}},
		{"auditlog.disk", ApplicationLifecycle, other("alarm", "clear")},
		{"auditlog.queue", ApplicationLifecycle, other("drop")},
		{"auditlog.outbox", ApplicationLifecycle, other("heartbeat")},
		{"auditlog.outbox", DetectionFinding, Verbs{"reject": 1}},
		{"auditlog.aggregate", WebResources, other("rest")},
		{"auditlog.checkpoint", EntityManagement, Verbs{"cosign": 3}},
		{"auditlog.key", EntityManagement, Verbs{"rotate": 3}},
		{"auditlog", EntityManagement, w.change},
		{"guard", WebResources, Verbs{"route": 2, "call": Other, "probe": Other}},
		{"health", ApplicationLifecycle, Verbs{"live": Other, "ready": Other, "check": Other, "watch": Other, "start": 3, "stop": 4, "drain": 4, "failover": 5, "fail": Other, "recover": 5}},
		{"health.slo", ApplicationLifecycle, other("burn", "recover", "measure", "store")},
		{"health.leader", ApplicationLifecycle, other("acquire", "lose", "resign", "fence")},
		{"health.balance", ApplicationLifecycle, other("eject", "recover")},
	}
}

// authnRows are the actions of authn.
func (w words) authnRows() []Row {
	return []Row{
		{"authn", Authentication, w.logon},
		{"authn.login", Authentication, Verbs{"complete": 1, "reauthenticate": 1, "resume": 6, "code": 6, "enrol": 6, "confirm": 6, "change": 6, "forgot": 6, "link": 6}},
		{"authn.login.forgot", Authentication, Verbs{"open": 6}},
		{"authn.login.link", Authentication, Verbs{"open": 6}},
		{"authn.lifecycle", AccountChange, Verbs{
			"request": 1, "approve": 2, "suspend": 5, "resume": 2, "leave": 5, "left": 6, "move": Other, "import": Other, "review": Other, "update": Other, "delete": 6, "create": 1,
		}},
		{"authn.lifecycle", DetectionFinding, Verbs{"overdue": 1}},
		{"authn.lifecycle", WebResources, Verbs{"read": 2, "list": 2}},
		{"authn.notice", AccountChange, Verbs{"send": Other}},
		{"authn.login.page", WebResources, Verbs{"read": 2}},
		{"authn.session", Authentication, w.logon},
		{"authn.oidc", Authentication, Verbs{"verify": 1, "begin": 6, "callback": 6, "logout": 2}},
		{"authn.oidc", AccountChange, Verbs{"link": 10, "unlink": 11}},
		{"authn.throttle", AccountChange, Verbs{"lock": 9, "unlock": 12}},
		{"authn.throttle", Authentication, Verbs{"admit": 6}},
		{"authn.account", AccountChange, merge(w.account, Verbs{"password": 3, "totp": 10, "recovery": 10})},
		{"authn.account", Authentication, Verbs{"reauthenticate": 1, "sessions": 2}},
		{"authn.account", WebResources, Verbs{"read": 2}},
		{"authn.account.page", WebResources, Verbs{"read": 2}},
		{"authn.password", AccountChange, w.account},
		{"authn.totp", AccountChange, w.account},
		{"authn.recovery", AccountChange, w.account},
		{"authn.recoverycode", AccountChange, merge(w.account, Verbs{"issue": 10})},
		{"authn.recoverycode", Authentication, Verbs{"verify": 1}},
		{"authn.otp", AccountChange, Verbs{"reset": 4}},
		{"authn.otp", Authentication, Verbs{"verify": 1, "send": 6}},
		{"authn.apikey", AccountChange, merge(w.account, Verbs{"rotate": 3, "revoke": 6})},
		{"authn.apikey", Authentication, Verbs{"verify": 1}},
		{"authn.passkey", AccountChange, merge(w.account, Verbs{"register": 10, "revoke": 11})},
		{"authn.passkey", Authentication, Verbs{"verify": 1, "begin": 6, "login": 1}},
		{"authn.passkey", DetectionFinding, Verbs{"alert": 1}},
		{"authn.passkey", WebResources, Verbs{"list": 2}},
	}
}

// authzRows are the actions of authz and crypto.
func (w words) authzRows() []Row {
	return []Row{
		{"authz", APIActivity, Verbs{"decide": 2, "check": 2, "enforce": 2, "read": 2}},
		{"authz.policy", EntityManagement, w.change},
		{"authz.review", EntityManagement, Verbs{"start": 1, "read": 2, "export": 2, "decide": 3, "close": 3, "remind": Other}},
		{"authz.role", UserAccess, Verbs{"grant": 1, "assign": 1, "revoke": 2}},
		{"authz.grant", UserAccess, Verbs{"create": 1, "grant": 1, "revoke": 2, "expire": 2, "delete": 2}},
		{"authz.access", UserAccess, Verbs{"grant": 1, "revoke": 2, "review": Other, "escalate": Other, "remind": Other}},
		{"authz.session", AuthorizeSession, Verbs{"elevate": 1, "assign": 1}},
		{"authz.group", GroupManagement, Verbs{"grant": 1, "revoke": 2, "add": 3, "remove": 4, "delete": 5, "create": 6}},
		{"crypto", APIActivity, Verbs{"seal": 1, "open": 2, "sign": 1, "verify": 2}},
		{"crypto.key", EntityManagement, merge(w.change, Verbs{"unwrap": 2, "wrap": 2, "allow": 8, "deny": 9, "rewrap": 3, "import": 1, "destroyed": 4})},
	}
}

// privacyRows are the actions of privacy and integrity.
func (w words) privacyRows() []Row {
	return []Row{
		{"privacy", EntityManagement, w.change},
		{"privacy.purpose", APIActivity, Verbs{"check": 2}},
		{"privacy.consent", EntityManagement, merge(w.change, Verbs{"give": 1, "grant": 1, "withdraw": 4, "merge": 3})},
		{"privacy.notice", EntityManagement, Verbs{"publish": 1, "show": 2}},
		{"privacy.erasure", EntityManagement, Verbs{"request": 1, "plan": 1, "approve": 8, "step": 4, "complete": 4, "replay": 4, "verify": 2, "refuse": Other, "fail": Other, "cancel": Other}},
		{"privacy.request", EntityManagement, Verbs{"create": 1, "verify": 2, "complete": 3, "refuse": Other, "extend": 3, "close": 3, "confirm": 3, "pause": 3, "notify": 3, "lapse": Other}},
		{"privacy.export", EntityManagement, Verbs{"create": 2}},
		{"privacy.hold", EntityManagement, Verbs{"place": 1, "review": 3, "release": 4}},
		{"privacy.retention", EntityManagement, Verbs{"purge": 4}},
		{"privacy.egress", APIActivity, Verbs{"disclose": 2}},
		{"privacy.breach", EntityManagement, Verbs{"open": 1, "assess": 3, "notify": 3, "close": 3, "lapse": Other}},
		{"privacy.release", APIActivity, Verbs{"check": 2}},
		{"integrity", ComplianceFinding, merge(w.finding, Verbs{"scan": 1, "verify": 1, "check": 1})},
		{"integrity.row", DetectionFinding, Verbs{"mismatch": 1}},
	}
}

// networkRows are the actions of ratelimit.
func (w words) networkRows() []Row {
	return []Row{
		{"ratelimit", APIActivity, other("limit", "deny", "allow", "admit", "probe")},
		{"ratelimit.store", ApplicationLifecycle, other("fail", "recover")},
		{"ratelimit.firewall", EntityManagement, Verbs{"ban": 1, "unban": 4, "reload": 3}},
		{"ratelimit.concurrency", ApplicationLifecycle, other("overload", "relax")},
		{"ratelimit.upload", DetectionFinding, Verbs{"quarantine": 1, "scan": Other}},
		{"ratelimit.waf", DetectionFinding, Verbs{"match": 1}},
		{"ratelimit.list", EntityManagement, w.change},
	}
}

// controlsRows are the actions of controls.
func (w words) controlsRows() []Row {
	return []Row{
		{"controls", EntityManagement, w.change},
		{"controls.probe", ComplianceFinding, Verbs{"run": 1, "fail": 1, "pass": 2}},
		{"controls.monitor", ComplianceFinding, merge(w.finding, other("start", "stop", "run", "gap", "pass", "fail"))},
		{"controls.finding", ComplianceFinding, w.finding},
		{"controls.detect", DetectionFinding, w.finding},
		{"controls.incident", IncidentFinding, w.finding},
		{"controls.vendor", APIActivity, other("egress")},
	}
}

func merge(a, b Verbs) Verbs {
	all := make(Verbs, len(a)+len(b))
	for _, m := range [...]Verbs{a, b} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// check reports a row that can't be right.
func (r Row) check() error {
	if !controls.ValidID(r.Prefix + ".x") {
		return fmt.Errorf("ocsf: prefix %q: want lower-case words joined by dots", r.Prefix)
	}
	if _, ok := classNames[r.Class]; !ok || len(r.Verbs) == 0 {
		return fmt.Errorf("ocsf: prefix %q: want a class of this package and verbs", r.Prefix)
	}
	for verb, id := range r.Verbs {
		if verb == "" || id != Other && (id < 1 || id > maxActivity[r.Class]) {
			return fmt.Errorf("ocsf: prefix %q: activity %d of verb %q is not one of class %d", r.Prefix, id, verb, r.Class)
		}
	}
	return nil
}

// covers reports how many bytes of the action the row's prefix covers.
func (r Row) covers(action, verb string) int {
	if _, ok := r.Verbs[verb]; !ok || !strings.HasPrefix(action, r.Prefix+".") {
		return 0
	}
	return len(r.Prefix)
}

var classNames = map[Class]string{
	ComplianceFinding: "Compliance Finding", DetectionFinding: "Detection Finding", IncidentFinding: "Incident Finding",
	AccountChange: "Account Change", Authentication: "Authentication", AuthorizeSession: "Authorize Session",
	EntityManagement: "Entity Management", UserAccess: "User Access Management", GroupManagement: "Group Management",
	WebResources: "Web Resources Activity", ApplicationLifecycle: "Application Lifecycle", APIActivity: "API Activity",
}

var categoryNames = map[Class]string{2: "Findings", 3: "Identity & Access Management", 6: "Application Activity"}

// maxActivity is the largest activity_id of each class besides Other.
var maxActivity = map[Class]int{
	ComplianceFinding: 3, DetectionFinding: 3, IncidentFinding: 3, AccountChange: 12, Authentication: 7,
	AuthorizeSession: 2, EntityManagement: 13, UserAccess: 2, GroupManagement: 8, WebResources: 8,
	ApplicationLifecycle: 8, APIActivity: 4,
}
