package quickstart

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/authnsql"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authn/password"
)

// The README shows this very code.
func TestREADMEShowsTheProgram(t *testing.T) {
	source, err := os.ReadFile("quickstart.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "// begin README\n\n")
	code, _, found := strings.Cut(code, "\n// end README")
	if !found || !strings.Contains(string(readme), "```go\n"+code+"```") {
		t.Error("README.md does not show quickstart.go between its markers")
	}
}

// plain is no sealing at all: this test is about wiring.
type plain struct{}

func (plain) SealSeed(_ context.Context, _, _, _ string, seed []byte) ([]byte, error) {
	return bytes.Clone(seed), nil
}

func (plain) OpenSeed(_ context.Context, _, _, _ string, sealed []byte) ([]byte, error) {
	return bytes.Clone(sealed), nil
}

const model = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && (p.dom == "*" || r.dom == p.dom) && r.obj == p.obj && r.act == p.act
`

func TestProtect(t *testing.T) {
	ctx := t.Context()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "q.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := authnsql.Migrate(ctx, db); err != nil {
		t.Fatal(err)
	}
	log := &auditlogtest.Recorder{}
	app := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the application") })
	h, policy, err := Protect(ctx, app, db, bytes.Repeat([]byte{1}, 32), plain{}, model, "p, staff, *, app, use\n", log)
	if err != nil {
		t.Fatal(err)
	}
	addAccount(t, db)
	send := func(method, path, token string, body any) (int, map[string]any, string) {
		b, _ := json.Marshal(body)
		r := httptest.NewRequest(method, path, bytes.NewReader(b))
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var m map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &m)
		return w.Code, m, w.Body.String()
	}
	if code, _, _ := send("GET", "/", "", nil); code != 401 {
		t.Errorf("nobody is answered %d", code)
	}
	code, begun, _ := send("POST", "/login", "", map[string]string{"tenant": "acme", "name": "ada@acme.example", "password": "correct horse battery"})
	if code != 200 || begun["step"] != "enrol" || begun["token"] != nil {
		t.Errorf("after the password alone: %d %v", code, begun)
	}
	if err := policy.Grant(ctx, "acme", "u-1", "staff"); err != nil {
		t.Fatal(err)
	}
	denied := log.Find("app.use")
	if len(denied) != 1 || denied[0].Outcome != auditlog.Denied || denied[0].Reason != "authn.required" {
		t.Errorf("events %+v", denied)
	}
}

func addAccount(t *testing.T, db *sql.DB) {
	t.Helper()
	store, err := authnsql.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := password.New(password.Options{})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := hasher.Hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Accounts().Create(t.Context(), login.Account{Tenant: "acme", ID: "u-1", Name: "ada@acme.example", Password: hash}); err != nil {
		t.Fatal(err)
	}
}
