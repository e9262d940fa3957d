package authn

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// subjects are what OWASP ASVS 5.0 asks of authentication, in our own words.
var subjects = map[string]string{
	"3.3.1": "Session cookies are Secure", "3.3.2": "Cookies stay with their site", "3.3.3": "Cookies are of this host", "3.3.4": "Session cookies are not for scripts",
	"6.2.1": "Least length of passwords", "6.2.2": "People can change their password", "6.2.3": "A change needs the present password", "6.2.4": "Common passwords are refused",
	"6.2.5": "No rules of composition", "6.2.8": "Verified exactly as typed", "6.2.9": "Long passwords are allowed", "6.2.10": "No expiry without a reason",
	"6.2.11": "Words of the context are refused", "6.2.12": "Breached passwords are refused",
	"6.3.1": "Guessing and stuffing are slowed down", "6.3.3": "Several factors before a session", "6.3.4": "Every pathway has the same strength", "6.3.5": "People hear of suspicious attempts",
	"6.3.6": "Mail is no factor", "6.3.7": "People hear of changes of their factors", "6.3.8": "Accounts can't be enumerated",
	"6.4.1": "Initial passwords end", "6.4.2": "No hints, no secret questions", "6.4.3": "A reset keeps the second factor", "6.4.5": "Renewal in time", "6.4.6": "Administrators don't choose passwords",
	"6.5.1": "Codes work once", "6.5.2": "Look-up secrets are stored as hashes", "6.5.3": "Secrets are random", "6.5.4": "Codes have enough entropy", "6.5.5": "Codes live shortly",
	"6.5.6": "Factors can be revoked", "6.5.7": "Biometrics only beside something one has", "6.5.8": "The server's time counts",
	"6.6.1": "Codes by telephone", "6.6.2": "Codes are bound to their request", "6.6.3": "Guesses at codes are limited", "6.6.4": "Bombing is limited",
	"6.7.1": "Registered keys can't be replaced", "6.7.2": "Challenges are unique and long enough",
	"6.8.1": "An identity belongs to its provider", "6.8.2": "Assertions are verified", "6.8.4": "Strength and recency come from the provider",
	"7.2.1": "Tokens are verified by the server", "7.2.2": "Tokens are made for each session", "7.2.3": "Tokens are random", "7.2.4": "A new token at authentication",
	"7.3.1": "Idle timeout", "7.3.2": "Absolute timeout", "7.4.1": "An ended session is dead", "7.4.2": "Disabled accounts have no sessions", "7.4.3": "Others end after a change of factors",
	"7.4.5": "Administrators end sessions", "7.5.1": "Changes of factors need a proof", "7.5.2": "People see and end their sessions", "7.5.3": "Step-up for what is sensitive",
	"7.6.1": "Sessions and their provider's", "7.6.2": "No session without an act of the person",
	"9.1.1": "Signature before content", "9.1.2": "Pinned algorithms", "9.1.3": "Pinned keys", "9.2.1": "Within the token's time", "9.2.2": "Tokens for their purpose",
	"9.2.3": "Tokens for this audience", "9.2.4": "The audience is required",
	"10.1.1": "Tokens go where they are needed", "10.1.2": "Flows belong to the browser that began them", "10.2.1": "Codes are bound to their request", "10.2.2": "No mix-up of issuers",
	"10.2.3": "No more scopes than needed", "10.3.1": "Access tokens for this service", "10.3.2": "Scopes decide", "10.3.3": "Issuer and subject are the person",
	"10.3.4": "Strength and recency", "10.3.5": "Tokens bound to their holder", "10.5.1": "Nonce", "10.5.2": "The subject is the person", "10.5.3": "Exact issuer",
	"10.5.4": "ID tokens for this client", "10.5.5": "Back-channel logout",
}

var numbers = regexp.MustCompile(`[0-9]+_[0-9]+_[0-9]+`)

// asvsTests finds the tests whose names carry a requirement's number.
func asvsTests(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(filepath.Join(root, "authn"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "TestASVS_") {
				continue
			}
			for _, n := range numbers.FindAllString(f.Name.Name, -1) {
				n = strings.ReplaceAll(n, "_", ".")
				found[n] = append(found[n], fmt.Sprintf("[%s](../%s) `%s`", filepath.ToSlash(dir), filepath.ToSlash(dir), f.Name.Name))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func asvsPage(found map[string][]string) string {
	keys := make([]string, 0, len(subjects))
	for n := range subjects {
		keys = append(keys, n)
	}
	for n := range found {
		if subjects[n] == "" {
			keys = append(keys, n)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		x, y := strings.Split(a, "."), strings.Split(b, ".")
		for i := range x {
			m, _ := strconv.Atoi(x[i])
			n, _ := strconv.Atoi(y[i])
			if c := cmp.Compare(m, n); c != 0 {
				return c
			}
		}
		return 0
	})
	var b strings.Builder
	b.WriteString("# OWASP ASVS 5.0\n\nWhich test holds which requirement of the Application Security Verification Standard 5.0 about authentication, sessions and tokens. " +
		"The subjects are in our own words; the numbers are the standard's. This page is made from the names of the tests: " +
		"`SURETY_WRITE_ASVS=1 go test ./internal/integration/authn -run TestASVSPage`.\n\n| requirement | subject | tests |\n|---|---|---|\n")
	for _, n := range keys {
		tests := slices.Sorted(slices.Values(found[n]))
		fmt.Fprintf(&b, "| %s | %s | %s |\n", n, cmp.Or(subjects[n], "(beyond the list)"), cmp.Or(strings.Join(tests, "<br>"), "none yet"))
	}
	return b.String()
}

func TestASVSPage(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	found := asvsTests(t, root)
	if len(found) < 50 {
		t.Fatalf("only %d requirements have a test", len(found))
	}
	want, path := asvsPage(found), filepath.Join(root, "docs", "asvs.md")
	if os.Getenv("SURETY_WRITE_ASVS") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/asvs.md is not what the tests' names say (%v): run SURETY_WRITE_ASVS=1 go test ./internal/integration/authn -run TestASVSPage", err)
	}
}
