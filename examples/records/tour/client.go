package tour

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/surety-go/surety/examples/records/recordsv1"
	"github.com/surety-go/surety/examples/records/service"
)

// A client talks to the service as programs do: JSON over HTTP, and gRPC.
type client struct {
	base     string
	data     string // the service's data directory, for what only its files show
	keys     string
	http     *http.Client
	conn     *grpc.ClientConn
	records  recordsv1.RecordsClient
	accounts []service.Account  // the demo's, by tenant and role
	people   map[string]*person // who has signed in, by account id
	svc      *service.Service   // only for what is handed to an auditor, and to stop it
	witness  *neighbour
	host     *host
	last     []result // of the controls, when they were all probed
	stop     func() error

	o       service.Options // of the service
	unwatch func() error    // ends who asks from outside
}

func newClient(addr, dir string, accounts []service.Account) (*client, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("gRPC client: %w", err)
	}
	return &client{
		unwatch: func() error { return nil },
		base:    "http://" + addr, data: filepath.Join(dir, "data"), keys: filepath.Join(dir, "keys"),
		http: &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		conn: conn, records: recordsv1.NewRecordsClient(conn), accounts: accounts, people: make(map[string]*person),
	}, nil
}

func (c *client) close() error {
	c.http.CloseIdleConnections()
	return c.conn.Close()
}

// account returns a demo account by tenant and role.
func (c *client) account(tenant, role string) service.Account {
	for _, a := range c.accounts {
		if a.Tenant == tenant && a.Role == role {
			return a
		}
	}
	panic("the demo has no " + role + " of " + tenant) // a mistake of this program
}

// An answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// text returns a member of the answer's JSON object as text.
func (a answer) text(name string) string {
	var m map[string]any
	if json.Unmarshal(a.body, &m) != nil || m[name] == nil {
		return ""
	}
	return fmt.Sprint(m[name])
}

// call sends a JSON request. Headers come in pairs.
func (c *client) call(ctx context.Context, method, path, token string, body any, header ...string) (answer, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, r)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return c.do(req)
}

func (c *client) do(req *http.Request) (answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	return answer{resp.StatusCode, resp.Header, b}, nil
}

// send posts content of a kind, for payroll, and demands a status.
func (c *client) send(ctx context.Context, status int, path, token, kind, content string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(content))
	if err != nil {
		return answer{}, fmt.Errorf("POST %s: %w", path, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Purpose", "payroll")
	a, err := c.do(req)
	if err == nil && a.status != status {
		err = broken("POST %s was answered %d, not %d: %.200s", path, a.status, status, a.body)
	}
	return a, err
}

// want sends a request and demands a status.
func (c *client) want(ctx context.Context, status int, method, path, token string, body any, header ...string) (answer, error) {
	a, err := c.call(ctx, method, path, token, body, header...)
	if err == nil && a.status != status {
		err = broken("%s %s was answered %d, not %d: %.200s", method, path, a.status, status, a.body)
	}
	return a, err
}

// rpc returns a context with a session token and, if stated, a purpose.
func rpc(ctx context.Context, token, purpose string) context.Context {
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	if purpose != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "purpose", purpose)
	}
	return ctx
}
