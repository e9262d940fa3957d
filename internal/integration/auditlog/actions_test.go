package auditlog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog/ocsf"
	"github.com/surety-go/surety/controls/catalogue"
)

// dotted are the names that packages give to actions, controls and reasons.
var dotted = regexp.MustCompile(`^(auditlog|authn|authz|crypto|privacy|integrity|ratelimit|guard|health|controls)(\.[a-z][a-z0-9_]*)+$`)

// notActions are dotted names in the source that no event has as its action
// and that are no control in the catalogue: reasons, and names of files.
var notActions = []string{
	"auditlog.jsonl", "auditlog.outbox", "auditlog.seq", "controls.json", "ratelimit.authn",
	"authn.login.disabled", "authn.login.error", "authn.login.forced", "authn.login.mismatch", "authn.login.unknown",
	"authn.apikey.forged", "authn.otp.code", "authn.otp.error", "authn.recoverycode.code",
	"authn.lifecycle.leavers", "authn.lifecycle.source", "authn.lifecycle.self", "authn.passkey.backup", "authn.passkey.counter", "authn.passkey.error", "authn.passkey.limit", "authn.passkey.refused",
	"authn.login.reset", "authn.notice.error", "authn.session.forged", "authn.session.limit", "authn.totp.code", "authn.totp.error", "authn.totp.none", "authn.totp.used", "authz.unavailable",
	"guard.cancelled", "guard.panic", "guard.undecided",
}

// names lists the dotted names in the library's source, with where they stand.
func names(t *testing.T) map[string]string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if d.IsDir() && (rel == "internal" || rel == "examples" || strings.HasPrefix(d.Name(), ".") && rel != ".") {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || rel == filepath.Join("auditlog", "ocsf", "table.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && dotted.MatchString(s) {
					found[s] = rel
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Every action that a package can emit has a class: whoever adds one adds its
// row to the table, or says here that it is none.
func TestEveryActionOfTheSourceHasAClass(t *testing.T) {
	m, err := ocsf.New("records", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Default()
	if err != nil {
		t.Fatal(err)
	}
	found := names(t)
	if len(found) < 100 {
		t.Fatalf("only %d names were found", len(found))
	}
	for name, file := range found {
		_, control := cat.Control(name)
		_, _, err := m.Find(name)
		if listed := slices.Contains(notActions, name); err != nil && !control && !listed {
			t.Errorf("%s: %q is an action without a row in auditlog/ocsf/table.go, or is to be listed here", file, name)
		}
	}
	for _, name := range notActions {
		if found[name] == "" {
			t.Errorf("%q is listed here and stands nowhere", name)
		}
	}
}
