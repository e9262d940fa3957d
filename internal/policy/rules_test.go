package policy

import (
	"path"
	"slices"
	"strings"
)

// The modules of others, in the groups in which they come.
var (
	// otel is the OpenTelemetry API and what the API itself needs. The SDK is
	// another module.
	otel = []string{
		"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/trace",
		"go.opentelemetry.io/auto/sdk", "github.com/cespare/xxhash/v2", "github.com/go-logr/logr", "github.com/go-logr/stdr",
	}
	// spine is otel and what auditlog needs for checkpoints and tiles.
	spine   = slices.Concat(otel, []string{"golang.org/x/mod"})
	xcrypto = []string{"golang.org/x/crypto", "golang.org/x/sys"}
	tink    = slices.Concat(xcrypto, []string{"github.com/tink-crypto/tink-go/v2", "google.golang.org/protobuf"})
	mldsa   = []string{"filippo.io/mldsa"}
	xtext   = []string{"golang.org/x/text"}
	yaml    = []string{"go.yaml.in/yaml/v3"}
)

// A rule says which modules of others the packages at and below a path may
// reach, through whatever imports.
type rule struct {
	path    string
	modules []string
}

// rules has a line for every family, and one for each package below it that
// needs more itself, or must reach less. The longest path that fits a package
// counts. What a package reaches through others of its family, below the
// root, needs no line. It is about the packages of the root module; other modules list
// theirs in their go.mod.
var rules = []rule{
	{"internal", nil},

	{"controls", slices.Concat(spine, yaml, mldsa)}, // floor 3, read from files; evidence holds logs to verify
	{"controls/classify", nil},
	{"auditlog", spine},
	{"auditlog/internal/cosign", slices.Concat(spine, mldsa)}, // witnesses' signatures, until Go itself has them
	{"guard", spine},
	{"authn", spine},
	{"authn/password", slices.Concat(spine, xcrypto, xtext)},    // argon2, Unicode normalisation
	{"authn/login", slices.Concat(spine, xtext)},                // names of accounts, normalised
	{"authn/totp", slices.Concat(spine, []string{"rsc.io/qr"})}, // the picture of an enrolment

	{"authz", spine},
	{"authz/authztest", slices.Concat(spine, yaml)}, // cases in files
	{"crypto", slices.Concat(spine, tink)},
	{"crypto/blindindex", slices.Concat(spine, tink, xtext)}, // Unicode normalisation
	{"crypto/field", slices.Concat(spine, tink, xtext)},      // through it
	{"privacy", spine},
	{"integrity", spine},
	{"ratelimit", spine},
	{"health", spine},
}

// exactRules are for a root that must reach less than what lies below it.
var exactRules = []rule{
	{"controls", otel},
}

// ruleFor finds the line that counts for a package.
func ruleFor(pkg string) (rule, bool) {
	for _, r := range exactRules {
		if r.path == pkg {
			return r, true
		}
	}
	var best rule
	for _, r := range rules {
		if under(pkg, r.path) && len(r.path) > len(best.path) {
			best = r
		}
	}
	return best, best.path != ""
}

// ranks order the spine: a package imports only what has a lower rank.
var ranks = map[string]int{
	"controls": 1, "controls/classify": 2, "auditlog": 3, "guard": 4, "guard/*": 5, "authn": 6,
}

// rank is 0 for packages that are not of the spine. A package's own internal
// packages count as the package.
func rank(pkg string) int {
	if r, ok := ranks[owner(pkg)]; ok {
		return r
	}
	if under(pkg, "guard") {
		return ranks["guard/*"]
	}
	return 0
}

// mayImport tells whether one of our packages may import another: arrows go
// downward, and never sideways to another family.
func mayImport(from, to string) bool {
	switch {
	case under(from, "internal"):
		return under(to, "internal") // helpers know no domain
	case under(to, "internal"):
		return true
	case strings.Contains(to, "/internal/"):
		return under(from, owner(to)) // the compiler's rule, wider than needed for nobody
	case rank(from) > 0 && rank(to) > 0:
		return rank(to) < rank(from) || rank(from) == ranks["guard/*"] && rank(to) == rank(from)
	case rank(from) > 0:
		return false // the spine knows nothing above it
	case rank(to) > 0:
		return true
	case isTestSupport(from) && isTestSupport(to) && spineFamily(to):
		return true
	case under(from, "controls"):
		return true // floor 3 sees all floors
	default:
		// Floor 2 sees its own family. A root sees nothing above it.
		return from != family(from) && family(from) == family(to)
	}
}

// mayTestImport tells the same for a package's test files, which may also use
// their family and the test support of the spine and of floor 3.
func mayTestImport(from, to string) bool {
	return mayImport(from, to) || family(from) == family(to) ||
		isTestSupport(to) && (spineFamily(to) || under(to, "controls"))
}

func spineFamily(pkg string) bool { return rank(family(pkg)) > 0 }

// isTestSupport goes by the name: auditlogtest, consenttest.
func isTestSupport(pkg string) bool { return strings.HasSuffix(path.Base(pkg), "test") }

// owner cuts off "/internal/...".
func owner(pkg string) string {
	before, _, _ := strings.Cut(pkg, "/internal/")
	return before
}

// family is the first element of the path.
func family(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

// under tells whether a package is at or below a path.
func under(pkg, dir string) bool {
	return pkg == dir || strings.HasPrefix(pkg, dir+"/")
}
