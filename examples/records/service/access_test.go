package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/examples/records/recordsv1"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/privacytest"
	"github.com/surety-go/surety/ratelimit/upload"
)

var everyone = []string{"owner", "manager", "employee", "auditor"}

// cleanScanner finds nothing.
type cleanScanner struct{}

func (cleanScanner) Scan(_ context.Context, r io.Reader) (upload.Verdict, error) {
	_, err := io.Copy(io.Discard, r)
	return upload.Verdict{}, err
}

// A bench is a service on a port, with a session for everyone.
type bench struct {
	*Service
	url    string
	tokens map[string]string // by tenant and role
	ids    map[string]string
	rpc    recordsv1.RecordsClient
	conn   *grpc.ClientConn

	clients atomic.Uint32
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchWith(t, cleanScanner{})
}

func newBenchWith(t *testing.T, scanner upload.Scanner) *bench {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{
		Dir: filepath.Join(dir, "data"), KeyDir: filepath.Join(dir, "keys"), Demo: true, Logger: slog.New(slog.DiscardHandler),
		Scanner: scanner,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b := &bench{
		Service: s, url: "http://" + l.Addr().String(), rpc: recordsv1.NewRecordsClient(conn), conn: conn,
		tokens: make(map[string]string), ids: make(map[string]string),
	}
	for _, a := range s.Accounts() {
		key := a.Tenant + " " + a.Role
		b.ids[key] = a.ID
		b.tokens[key] = b.session(t, a, authn.AAL2, "pwd", "otp")
	}
	return b
}

// session opens a session as the sign-in would have.
func (b *bench) session(t *testing.T, a Account, level authn.AAL, methods ...string) string {
	t.Helper()
	epoch, err := b.identity.sessions.Epoch(t.Context(), a.Tenant, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	token, err := b.identity.sessions.Create(t.Context(), authn.Principal{
		Actor: auditlog.Actor{ID: a.ID, Tenant: a.Tenant, Kind: auditlog.User}, AAL: level, Methods: methods,
	}, epoch, session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// do sends a request, which must not be followed anywhere.
func (b *bench) do(t *testing.T, method, path, token, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	// Each request comes from a client of its own, so that none asks too much.
	n := b.clients.Add(1)
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.%d.%d", n>>8, n&0xff))
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// requests has one request for each route that is not public, and who may.
// ID stands for a file of the caller's tenant that is not the caller's.
var requests = map[string]struct {
	path, body string
	may        []string
}{
	"GET /{$}":                                {"/", "", everyone},
	"GET /files":                              {"/files", "", []string{"owner", "manager"}},
	"GET /files/{id}":                         {"/files/ID?purpose=payroll", "", []string{"owner", "manager"}},
	"POST /files/{id}":                        {"/files/ID?purpose=payroll", "", []string{"owner", "manager"}},
	"GET /privacy":                            {"/privacy", "", everyone},
	"POST /privacy/give":                      {"/privacy/give", "", everyone},
	"POST /privacy/withdraw":                  {"/privacy/withdraw", "", everyone},
	"POST /privacy/erasure":                   {"/privacy/erasure", "", everyone},
	"GET /audit":                              {"/audit", "", []string{"auditor"}},
	"GET /controls":                           {"/controls", "", []string{"owner", "auditor"}},
	"GET /evidence":                           {"/evidence", "", []string{"auditor"}},
	"GET /api/me":                             {"/api/me", "", everyone},
	"GET /api/files":                          {"/api/files", "", []string{"owner", "manager"}},
	"GET /api/search":                         {"/api/search?email=nobody@acme.example", "", []string{"owner", "manager"}},
	"GET /api/files/{id}":                     {"/api/files/ID?purpose=payroll", "", []string{"owner", "manager"}},
	"PUT /api/files/{id}":                     {"/api/files/ID?purpose=payroll", `{"title":"Lead"}`, []string{"owner", "manager"}},
	"POST /api/files/{id}/documents":          {"/api/files/ID/documents?purpose=payroll", `{}`, []string{"owner", "manager"}},
	"POST /api/consent/give":                  {"/api/consent/give", `{"purpose":"benefits"}`, everyone},
	"POST /api/consent/withdraw":              {"/api/consent/withdraw", `{"purpose":"benefits"}`, everyone},
	"POST /api/erasure":                       {"/api/erasure", "", nil}, // tried last, by the tour
	"GET /api/requests":                       {"/api/requests", "", everyone},
	"POST /api/requests":                      {"/api/requests", `{"kind":"complaint","regime":"gdpr"}`, everyone},
	"POST /api/requests/access":               {"/api/requests/access", `{"recipient":"nobody"}`, everyone},
	"GET /api/notice":                         {"/api/notice", "", everyone},
	"GET /api/disclosures":                    {"/api/disclosures", "", everyone},
	"GET /api/queue":                          {"/api/queue", "", []string{"owner"}},
	"POST /api/roles":                         {"/api/roles", `{"account":"u-1","role":"manager","reason":"promoted"}`, []string{"owner"}},
	"POST /api/roles/revoke":                  {"/api/roles/revoke", `{"account":"u-1","role":"manager","reason":"moved"}`, []string{"owner"}},
	"POST /api/roles/{id}/approve":            {"/api/roles/none/approve", `{}`, []string{"owner"}},
	"POST /api/emergencies":                   {"/api/emergencies", `{"reason":""}`, []string{"manager"}},
	"POST /api/emergencies/{sequence}/review": {"/api/emergencies/999/review", `{"verdict":"justified"}`, []string{"owner", "auditor"}},
	"POST /api/reviews":                       {"/api/reviews", `{"name":"now","second":"u-1"}`, []string{"owner"}},
	"POST /api/reviews/{id}/items/{number}":   {"/api/reviews/none/items/1", `{"verdict":"keep","reason":"here"}`, []string{"owner", "auditor"}},
	"POST /api/holds":                         {"/api/holds", `{"subjects":["u-1"],"reason":"case 17"}`, []string{"owner"}},
	"POST /api/holds/{id}/release":            {"/api/holds/none/release", `{"because":"over"}`, []string{"owner"}},
	"POST /api/breaches":                      {"/api/breaches", `{"title":"A laptop was lost","risk":"unlikely","why":"encrypted"}`, []string{"owner"}},
	"POST /api/breaches/{id}/notices":         {"/api/breaches/none/notices", `{"to":"regulator","proof":"4711"}`, []string{"owner"}},
	"GET /api/article-30":                     {"/api/article-30", "", []string{"owner", "auditor"}},
	"GET /api/controls":                       {"/api/controls", "", []string{"owner", "auditor"}},
	"POST /api/integrity":                     {"/api/integrity", "", []string{"auditor"}},
	"GET /api/audit":                          {"/api/audit", "", []string{"auditor"}},
	"GET /api/audit/ocsf":                     {"/api/audit/ocsf", "", []string{"auditor"}},
	"GET /api/findings":                       {"/api/findings", "", []string{"auditor"}},
	"POST /api/egress":                        {"/api/egress?purpose=payroll", `{"vendor":"Example Payroll Bureau","host":"payroll.vendor.example","category":"user.name","subject":"u-1"}`, []string{"owner", "manager"}},
}

// Every route of the service, by everyone: strangers, half signed-in people,
// each role. A route that is added without a line here fails.
func TestAccessMatrix(t *testing.T) {
	b := newBench(t)
	half := b.session(t, b.Accounts()[0], authn.AAL1, "pwd")
	public := []string{"GET /livez", "GET /readyz", "GET /startupz", "GET /static/app.css", "GET /static/icon.svg", "GET /.well-known/gpc.json"}
	for _, route := range b.routes() {
		if slices.Contains(public, route.Pattern) {
			continue
		}
		r, ok := requests[route.Pattern]
		if !ok {
			t.Errorf("%s is in no line of this test", route.Pattern)
			continue
		}
		method, _, _ := strings.Cut(route.Pattern, " ")
		path := strings.Replace(r.path, "ID", b.ids["acme employee"], 1)
		for name, token := range map[string]string{"a stranger": "", "a forged session": b.tokens["acme owner"][:20] + "AAAA", "one factor": half} {
			if got, body := b.do(t, method, path, token, r.body); got != http.StatusUnauthorized && got != http.StatusForbidden {
				t.Errorf("%s by %s: %d %s", route.Pattern, name, got, body)
			}
		}
		if got, _ := b.do(t, method, path, "", r.body, "Accept", "text/html"); method == "GET" && got != http.StatusSeeOther {
			t.Errorf("%s by a stranger's browser: %d, want the sign-in page", route.Pattern, got)
		}
		if r.may == nil {
			continue
		}
		for _, role := range everyone {
			if role == "employee" && strings.Contains(r.path, "ID") {
				path = strings.Replace(r.path, "ID", b.ids["acme owner"], 1)
			}
			got, body := b.do(t, method, path, b.tokens["acme "+role], r.body)
			if refused := got == http.StatusForbidden; refused == slices.Contains(r.may, role) || got >= 500 {
				t.Errorf("%s by %s: %d %s", route.Pattern, role, got, body)
			}
		}
	}
}

// Whatever the service and its packages record, a security information system
// can be told.
func TestEveryEventHasAClass(t *testing.T) {
	b := newBench(t)
	for _, r := range requests {
		path := strings.Replace(r.path, "ID", b.ids["acme employee"], 1)
		for _, role := range everyone {
			if strings.Contains(path, "erasure") && role != "employee" {
				continue // the others are still needed
			}
			b.do(t, "GET", path, b.tokens["acme "+role], "")
			b.do(t, "POST", path, b.tokens["acme "+role], r.body)
		}
	}
	seen := make(map[string]bool)
	for e, err := range b.log.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		seen[e.Action] = true
		if _, err := b.siem.Map(e); err != nil {
			t.Errorf("entry %d: %v", e.Index, err)
		}
		if e.Action == "auditlog.log.read" {
			break // this very reading
		}
	}
	if len(seen) < 25 {
		t.Errorf("only %d kinds of events: %v", len(seen), seen)
	}
	status, lines := b.do(t, "GET", "/api/audit/ocsf", b.tokens["acme auditor"], "")
	if n := strings.Count(lines, `"class_uid":`); status != 200 || n < 50 || strings.Contains(lines, b.ids["globex owner"]) {
		t.Errorf("the export: %d, %d events", status, n)
	}
}

func TestUploadsNeedAScanner(t *testing.T) {
	b := newBenchWith(t, nil)
	path := "/api/files/" + b.ids["acme employee"] + "/documents?purpose=payroll"
	if status, body := b.do(t, "POST", path, b.tokens["acme manager"], "x", "Content-Type", "text/plain"); status != http.StatusServiceUnavailable {
		t.Errorf("without a scanner: %d %s", status, body)
	}
	if n, err := b.documents.Remains(t.Context(), "acme", b.ids["acme employee"]); n != 0 || err != nil {
		t.Errorf("%d documents are stored: %v", n, err)
	}
}

// The same over gRPC.
func TestAccessMatrixOfRPC(t *testing.T) {
	b := newBench(t)
	calls := map[string]func(context.Context) error{
		"List": func(ctx context.Context) error { _, err := b.rpc.List(ctx, &recordsv1.ListRequest{}); return err },
		"Read": func(ctx context.Context) error {
			_, err := b.rpc.Read(ctx, &recordsv1.ReadRequest{Id: b.ids["acme auditor"]})
			return err
		},
		"Update": func(ctx context.Context) error {
			_, err := b.rpc.Update(ctx, &recordsv1.UpdateRequest{Id: b.ids["acme auditor"], Title: "Lead"})
			return err
		},
		"Watch": func(ctx context.Context) error {
			stream, err := b.rpc.Watch(ctx, &recordsv1.WatchRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	}
	const public = 3 // of the health protocol, see TestHealthOverGRPC
	if len(calls) != len(b.methods())-public {
		t.Errorf("%d methods, %d are tried", len(b.methods()), len(calls))
	}
	for name, call := range calls {
		for who, want := range map[string]codes.Code{
			"": codes.Unauthenticated, "nobody": codes.Unauthenticated,
			"owner": codes.OK, "manager": codes.OK, "employee": codes.PermissionDenied, "auditor": codes.PermissionDenied,
		} {
			ctx, cancel := context.WithCancel(t.Context())
			ctx = metadata.AppendToOutgoingContext(ctx, "purpose", "payroll")
			switch token := b.tokens["acme "+who]; {
			case who == "nobody":
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer acme.x")
			case who != "":
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
			}
			if err := call(ctx); status.Code(err) != want {
				t.Errorf("%s by %q: %v, want %v", name, who, err, want)
			}
			cancel()
		}
	}
}

// Attack: naming another tenant's file, or another's own one.
func TestFilesOfOthers(t *testing.T) {
	b := newBench(t)
	for _, tc := range []struct {
		who, file string
		want      int
	}{
		{"acme employee", "acme employee", 200}, // the own one
		{"acme employee", "acme owner", 403},
		{"acme auditor", "acme auditor", 403},
		{"acme owner", "globex employee", 404}, // does not exist here
		{"globex owner", "acme owner", 404},
		{"globex employee", "acme employee", 403},
	} {
		id := b.ids[tc.file]
		if got, body := b.do(t, "GET", "/api/files/"+id+"?purpose=payroll", b.tokens[tc.who], ""); got != tc.want {
			t.Errorf("%s reads the file of %s: %d %s", tc.who, tc.file, got, body)
		}
		if got, body := b.do(t, "PUT", "/api/files/"+id+"?purpose=payroll", b.tokens[tc.who], `{"title":"x"}`); got == 200 && tc.who != "acme owner" || got == 200 && tc.want == 404 {
			t.Errorf("%s changes the file of %s: %d %s", tc.who, tc.file, got, body)
		}
	}
	for _, path := range []string{"/api/files/%20", "/api/files/u-'--", "/api/files/..%2f..%2fetc", "/api/files/" + strings.Repeat("u", 4000)} {
		if got, body := b.do(t, "GET", path+"?purpose=payroll", b.tokens["acme owner"], ""); got != 404 && got != 400 {
			t.Errorf("%.40s: %d %s", path, got, body)
		}
	}
}

// Attack: a form on another site, sent by a signed-in person's browser.
func TestFormsOfOtherSites(t *testing.T) {
	b := newBench(t)
	for name, header := range map[string][]string{
		"fetch metadata": {"Sec-Fetch-Site", "cross-site"},
		"origin":         {"Origin", "https://evil.example"},
		"user info":      {"Origin", "http://" + strings.TrimPrefix(b.url, "http://") + "@evil.example"},
		"null":           {"Origin", "null"},
	} {
		got, _ := b.do(t, "POST", "/api/consent/give", b.tokens["acme employee"], `{"purpose":"benefits"}`, header...)
		if got != http.StatusForbidden {
			t.Errorf("%s: %d", name, got)
		}
	}
	given, err := b.ledger.Consented(t.Context(), "acme", b.ids["acme employee"], benefits)
	if err != nil || given {
		t.Errorf("consent was given from elsewhere: %v, %v", given, err)
	}
}

// What comes in is bounded and read strictly, and errors name the field.
func TestInput(t *testing.T) {
	b := newBench(t)
	path, token := "/api/files/"+b.ids["acme manager"]+"?purpose=payroll", b.tokens["acme owner"]
	for name, tc := range map[string]struct {
		body, want string
		status     int
	}{
		"no JSON":       {"title=x", "could not be read", 400},
		"unknown field": {`{"titel":"x"}`, "JSON", 400},
		"two values":    {`{"title":"x"}{"title":"y"}`, "could not be read", 400},
		"wrong type":    {`{"title":7}`, "JSON", 400},
		"too long":      {`{"title":"` + strings.Repeat("x", 201) + `"}`, `"field":"title"`, 400},
		"too large":     {`{"title":"` + strings.Repeat("x", 2<<20) + `"}`, "", 413},
	} {
		if got, body := b.do(t, "PUT", path, token, tc.body); got != tc.status || !strings.Contains(body, tc.want) {
			t.Errorf("%s: %d %s", name, got, body)
		}
	}
	if got, body := b.do(t, "GET", path, token, ""); got != 200 || !strings.Contains(body, `"title":"Team Lead"`) {
		t.Errorf("the file was changed: %d %s", got, body)
	}
}

// A response carries the headers that keep a browser safe, refusals too.
func TestHeaders(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/login", "/files", "/nowhere"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "127.0.0.1:4711"
		b.handler.ServeHTTP(w, r)
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Cross-Origin-Opener-Policy", "Referrer-Policy"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%s has no %s", path, name)
			}
		}
		if strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: %s", path, w.Header().Get("Content-Security-Policy"))
		}
	}
}

// Load balancers ask over gRPC without credentials, and watch; a watch does not
// hold up the end of the service.
func TestHealthOverGRPC(t *testing.T) {
	b := newBench(t)
	client := healthpb.NewHealthClient(b.conn)
	for _, name := range []string{"", recordsv1.Records_ServiceDesc.ServiceName} {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			r, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
			if err == nil && r.GetStatus() == healthpb.HealthCheckResponse_SERVING {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%q: %v, %v", name, r, err)
			}
		}
	}
	watch, err := client.Watch(context.WithoutCancel(t.Context()), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", r, err)
	}
}

// What a field's tag says holds for whoever reads files, whatever the route.
func TestFieldsNeedAPurpose(t *testing.T) {
	b := newBench(t)
	read := func(ctx context.Context) (Person, error) {
		ctx = authn.NewContext(ctx, authn.Principal{Actor: auditlog.Actor{ID: b.ids["acme owner"], Tenant: "acme", Kind: auditlog.User}, AAL: authn.AAL2})
		return b.openFile(ctx, b.ids["acme manager"])
	}
	for field, allowed := range map[string][]privacy.Purpose{
		"NationalID": {payroll}, "Name": {directory, payroll}, "Email": {payroll}, // nobody consented to benefits
	} {
		privacytest.NeedsPurpose(t, b.gate, field, allowed, read)
	}
}
