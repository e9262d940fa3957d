package policy

import (
	"slices"
	"strings"
	"testing"
)

// The drawing in docs/design.md, as cases.
func TestMayImport(t *testing.T) {
	for edge, want := range map[string]bool{
		"auditlog -> controls":                            true,
		"auditlog -> controls/classify":                   true,
		"auditlog -> auditlog/internal/engine":            true,
		"auditlog/internal/engine -> auditlog/internal/m": true,
		"guard -> auditlog":                               true,
		"guard/clientip -> guard":                         true,
		"guard/guardgrpc -> guard/clientip":               true,
		"authn -> guard":                                  true,
		"authn -> guard/clientip":                         true,
		"authz -> authn":                                  true,
		"authz -> internal/sqldb":                         true,
		"authz/authzsql -> authz":                         true,
		"authz/authzsql -> authz/casbin":                  true,
		"authn/totp -> authn/throttle":                    true,
		"auditlog/detect -> auditlog":                     true,
		"controls/register -> controls/catalogue":         true,
		"controls/evidence -> auditlog":                   true,
		"controls/evidence -> integrity":                  true,
		"internal/outbound -> internal/problem":           true,
		"authz/authztest -> auditlog/auditlogtest":        true,

		"controls -> auditlog":                 false,
		"controls -> controls/catalogue":       false,
		"controls -> controls/classify":        false,
		"controls/classify -> auditlog":        false,
		"auditlog -> guard":                    false,
		"auditlog -> auditlog/detect":          false,
		"guard -> authn":                       false,
		"guard -> guard/clientip":              false,
		"guard/clientip -> authn":              false,
		"authn -> authn/password":              false,
		"authz -> crypto":                      false,
		"authz -> authz/authzsql":              false,
		"authz/authzsql -> crypto":             false,
		"authz -> controls/catalogue":          false,
		"authn/totp -> crypto":                 false,
		"privacy -> integrity":                 false,
		"ratelimit -> health":                  false,
		"authz -> auditlog/detect":             false,
		"authz -> auditlog/auditlogtest":       false,
		"authz -> auditlog/internal/engine":    false,
		"internal/outbound -> controls":        false,
		"internal/sqldb -> auditlog":           false,
		"authz/authztest -> crypto/cryptotest": false,
		"privacy/consent -> examples/records":  false,
		"authorities -> authz":                 false, // a prefix of letters is no family
	} {
		from, to, _ := strings.Cut(edge, " -> ")
		if got := mayImport(from, to); got != want {
			t.Errorf("%s: %v, want %v", edge, got, want)
		}
	}
}

func TestMayTestImport(t *testing.T) {
	for edge, want := range map[string]bool{
		"authz -> auditlog/auditlogtest":       true,
		"authz -> authz/authztest":             true,
		"authz -> authz/authzsql":              true,
		"authz -> controls/controlstest":       true,
		"privacy/consent -> privacy/x/xtest":   true,
		"authz -> crypto":                      false,
		"authz -> crypto/cryptotest":           false,
		"authz -> controls/catalogue":          false,
		"controls -> auditlog":                 false,
		"internal/sqldb -> auditlog":           false,
		"internal/sqldb -> internal/outbound":  true,
		"authn/totp -> crypto/keeper":          false,
		"authn/totp -> authn/totp/internal/xy": true,
	} {
		from, to, _ := strings.Cut(edge, " -> ")
		if got := mayTestImport(from, to); got != want {
			t.Errorf("%s: %v, want %v", edge, got, want)
		}
	}
}

// Putting parts of a family together is no new dependency; a root that did so
// would bring it to everyone.
func TestModulesOfParts(t *testing.T) {
	all := decode(t, []byte(`
{"ImportPath":"`+module+`/authn","Imports":["`+module+`/authn/totp"]}
{"ImportPath":"`+module+`/authn/totp"}
{"ImportPath":"`+module+`/authn/whole","Imports":["fmt","`+module+`/authn/middle"]}
{"ImportPath":"`+module+`/authn/middle","Imports":["`+module+`/authn/totp"]}
{"ImportPath":"`+module+`/privacy/x","Imports":["`+module+`/authn/totp"]}
`))
	for name, want := range map[string]bool{"authn/totp": true, "authn/whole": true, "authn": false, "privacy/x": false} {
		if got := slices.Contains(allowedModules(all, name), "rsc.io/qr"); got != want {
			t.Errorf("%s may reach what authn/totp may: %v, want %v", name, got, want)
		}
	}
}

func TestLongestRuleCounts(t *testing.T) {
	for name, want := range map[string]string{
		"controls": "controls", "controls/catalogue": "controls", "controls/classify": "controls/classify",
		"guard/clientip": "guard", "newfamily": "", "authzx": "",
	} {
		if r, ok := ruleFor(name); r.path != want || ok != (want != "") {
			t.Errorf("rule for %s is %q, want %q", name, r.path, want)
		}
	}
	if r, _ := ruleFor("controls"); slices.Contains(r.modules, yaml[0]) {
		t.Error("the controls root may reach YAML, which only what lies below it may")
	}
}

// The two that must be adoptable with nothing but the OpenTelemetry API: what
// else they reach is the audit log's, and listed here word for word, so that
// widening spine fails too.
func TestPinned(t *testing.T) {
	want := []string{
		"github.com/cespare/xxhash/v2", "github.com/go-logr/logr", "github.com/go-logr/stdr",
		"go.opentelemetry.io/auto/sdk", "go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric",
		"go.opentelemetry.io/otel/trace", "golang.org/x/mod",
	}
	for _, name := range []string{"ratelimit", "ratelimit/any", "health", "health/any", "controls", "controls/classify", "auditlog", "guard", "guard/any", "authn"} {
		r, _ := ruleFor(name)
		for _, m := range r.modules {
			if !slices.Contains(want, m) {
				t.Errorf("%s may reach %s: %s", name, m, advice)
			}
		}
	}
}

// fake is a small house with one fault of each kind.
func fake(t *testing.T) packages {
	t.Helper()
	return decode(t, []byte(`
{"ImportPath":"fmt","Standard":true}
{"ImportPath":"github.com/x/driver/sub","Module":{"Path":"github.com/x/driver"}}
{"ImportPath":"go.opentelemetry.io/otel/attribute","Module":{"Path":"go.opentelemetry.io/otel"}}
{"ImportPath":"`+module+`/health","Module":{"Path":"`+module+`"},
 "Imports":["fmt","go.opentelemetry.io/otel/attribute","`+module+`/crypto"],
 "Deps":["fmt","go.opentelemetry.io/otel/attribute","github.com/x/driver/sub","`+module+`/crypto"]}
{"ImportPath":"`+module+`/authz","Module":{"Path":"`+module+`"},"XTestImports":["github.com/x/driver/sub","`+module+`/privacy"]}
{"ImportPath":"`+module+`/authz [`+module+`/authz.test]","Module":{"Path":"`+module+`"},"Deps":["github.com/x/driver/sub"]}
{"ImportPath":"`+module+`/crypto","Module":{"Path":"`+module+`"},"Error":{"Err":"no such thing"}}
{"ImportPath":"`+module+`/novel","Module":{"Path":"`+module+`"}}
{"ImportPath":"`+module+`/examples/app","Module":{"Path":"`+module+`/examples"},"Imports":["`+module+`/health"],"Deps":["github.com/x/driver/sub"]}
`))
}

func TestEachKindOfViolationIsFound(t *testing.T) {
	all := fake(t)
	for _, c := range []struct {
		name string
		got  []string
		want []string // one substring for each violation
	}{
		{"load", loadErrors(all), []string{"crypto doesn't load: no such thing"}},
		{"reach", reachViolations(all), []string{"health reaches github.com/x/driver", `novel: no rule fits this package; add to rules in rules_test.go: {"novel"`}},
		{"tests", testViolations(all), []string{"authz: its tests import github.com/x/driver/sub"}},
		{"floors", floorViolations(all), []string{"authz imports in a test privacy", "health imports crypto"}},
		{"unused", unusedModules(all), []string{"nothing under crypto reaches golang.org/x/crypto", "x/sys", "tink-go", "protobuf"}},
	} {
		if len(c.got) != len(c.want) {
			t.Errorf("%s: %q, want %d violations", c.name, c.got, len(c.want))
			continue
		}
		for i := range c.want {
			if !strings.Contains(c.got[i], c.want[i]) {
				t.Errorf("%s: %q, want %q in it", c.name, c.got[i], c.want[i])
			}
		}
	}
}
