package tour

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/examples/records/recordsv1"
)

func twoFactors(ctx context.Context, c *client) (string, error) {
	owner := c.account("acme", "owner")
	if _, err := c.want(ctx, 401, "GET", "/api/me", "", nil); err != nil {
		return "", err
	}
	p, err := c.firstSignIn(ctx, owner)
	if err != nil {
		return "", err
	}
	me, err := c.want(ctx, 200, "GET", "/api/me", p.token, nil)
	if err != nil {
		return "", err
	}
	if me.text("aal") != "2" {
		return "", broken("the session has assurance level %s", me.text("aal"))
	}
	first := map[string]any{"tenant": owner.Tenant, "name": owner.Name, "password": owner.Password}
	if a, err := c.call(ctx, "POST", "/login", "", first); err != nil || a.status == 200 {
		return "", broken("the one-time password still works: %d %v", a.status, err)
	}
	begun, err := c.want(ctx, 200, "POST", "/login", "", map[string]any{"tenant": owner.Tenant, "name": owner.Name, "password": newPassword})
	if err != nil {
		return "", err
	}
	code := p.app.code(0)
	if _, err := c.want(ctx, 200, "POST", "/login/code", "", map[string]any{"ticket": begun.text("ticket"), "code": code}); err != nil {
		return "", err
	}
	again, err := c.want(ctx, 200, "POST", "/login", "", map[string]any{"tenant": owner.Tenant, "name": owner.Name, "password": newPassword})
	if err != nil {
		return "", err
	}
	replayed, err := c.call(ctx, "POST", "/login/code", "", map[string]any{"ticket": again.text("ticket"), "code": code})
	if err != nil || replayed.status == 200 {
		return "", broken("a code was accepted twice: %d %v", replayed.status, err)
	}
	stepUp, err := c.want(ctx, 200, "POST", "/account/reauthenticate", p.token, map[string]any{"password": newPassword, "code": p.app.code(1)})
	if err != nil {
		return "", err
	}
	if t := stepUp.text("token"); t != "" {
		p.token = t
	}
	return fmt.Sprintf("signed in with password and code (AAL %s); the first password was refused afterwards, the used code was answered %d, a step-up took the next code",
		me.text("aal"), replayed.status), nil
}

func revocation(ctx context.Context, c *client) (string, error) {
	manager, err := c.signedIn(ctx, "globex", "manager")
	if err != nil {
		return "", err
	}
	stream, err := c.records.Watch(rpc(ctx, manager.token, ""), &recordsv1.WatchRequest{})
	if err != nil {
		return "", fmt.Errorf("watch: %w", err)
	}
	if _, err := stream.Recv(); err != nil {
		return "", broken("the stream did not begin: %v", err)
	}
	start := time.Now()
	if _, err := c.want(ctx, 200, "POST", "/account/sessions", manager.token, map[string]any{"end": "all"}); err != nil {
		return "", err
	}
	_, err = stream.Recv()
	took := time.Since(start)
	if status.Code(err) != codes.Unauthenticated || took > 2*time.Second {
		return "", broken("the stream ended with %v after %v", err, took)
	}
	if _, err := c.want(ctx, 401, "GET", "/api/me", manager.token, nil); err != nil {
		return "", err
	}
	return fmt.Sprintf("the idle stream ended with Unauthenticated %.1f s after the session, whose token is refused", took.Seconds()), nil
}

func intrusion(ctx context.Context, c *client) (string, error) {
	victim := c.account("globex", "employee")
	const attacker = "203.0.113.7"
	tries := 0
	for range 8 {
		a, err := c.call(ctx, "POST", "/login", "", map[string]any{"tenant": "globex", "name": victim.Name, "password": fmt.Sprint("wrong guess ", tries)}, "X-Forwarded-For", attacker)
		if err != nil || a.status == 200 {
			return "", broken("a wrong password was answered %d: %v", a.status, err)
		}
		tries++
	}
	right, err := c.call(ctx, "POST", "/login", "", map[string]any{"tenant": "globex", "name": victim.Name, "password": victim.Password})
	if err != nil || right.status == 200 {
		return "", broken("after %d wrong passwords the right one was answered %d: %v", tries, right.status, err)
	}
	auditor, err := c.signedIn(ctx, "globex", "auditor")
	if err != nil {
		return "", err
	}
	f, err := c.finding(ctx, auditor.token, func(f finding) bool { return f.Control == "authn.throttle" })
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d wrong passwords; then the right one was answered %d; finding %q for %s, due %s",
		tries, right.status, f.Summary, f.Owner, f.Due.Format(time.DateOnly)), nil
}

// A finding as the API shows it.
type finding struct {
	Control, Summary, Owner, State string
	Due                            time.Time
}

func (c *client) finding(ctx context.Context, token string, match func(finding) bool) (finding, error) {
	a, err := c.want(ctx, 200, "GET", "/api/findings", token, nil)
	if err != nil {
		return finding{}, err
	}
	var body struct{ Findings []finding }
	if err := json.Unmarshal(a.body, &body); err != nil {
		return finding{}, broken("findings: %v", err)
	}
	for _, f := range body.Findings {
		if match(f) {
			if f.Owner == "" || f.Due.IsZero() {
				return f, broken("the finding has no owner or no due date: %+v", f)
			}
			return f, nil
		}
	}
	return finding{}, broken("there is no such finding among %d", len(body.Findings))
}

func firewalled(ctx context.Context, c *client) (string, error) {
	if _, err := c.want(ctx, 403, "GET", "/livez", "", nil, "X-Forwarded-For", "198.51.100.23"); err != nil {
		return "", err
	}
	if _, err := c.want(ctx, 403, "GET", "/livez", "", nil, "X-Forwarded-For", "127.0.0.1, 198.51.100.23"); err != nil {
		return "", err
	}
	admitted, denied := 0, 0
	for range 300 {
		a, err := c.call(ctx, "GET", "/livez", "", nil, "X-Forwarded-For", "203.0.113.50")
		if err != nil {
			return "", err
		}
		switch a.status {
		case 200:
			admitted++
		case 429:
			denied++
			if a.header.Get("Retry-After") == "" {
				return "", broken("a 429 without Retry-After")
			}
		default:
			return "", broken("a flooding client was answered %d", a.status)
		}
	}
	if denied == 0 || admitted < 200 {
		return "", broken("of 300 requests at once %d were admitted and %d denied", admitted, denied)
	}
	if _, err := c.want(ctx, 200, "GET", "/livez", "", nil, "X-Forwarded-For", "203.0.113.51"); err != nil {
		return "", err
	}
	return fmt.Sprintf("a denied range was refused, also with a forged chain; of 300 requests of one client %d were admitted and %d answered 429, another client was served", admitted, denied), nil
}

// attacked tries an injection as a manager would be tricked into, again and
// again.
func attacked(ctx context.Context, c *client) (string, error) {
	manager, err := c.signedIn(ctx, "acme", "manager")
	if err != nil {
		return "", err
	}
	file := "/api/files/" + c.account("acme", "employee").ID
	const attacker, neighbour = "192.0.2.77", "192.0.3.77" // RFC 5737: nobody's
	attack := map[string]any{"title": "x' UNION SELECT password FROM accounts--"}
	if _, err := c.want(ctx, 200, "GET", "/livez", "", nil, "X-Forwarded-For", attacker); err != nil {
		return "", err
	}
	for range 10 {
		if _, err := c.want(ctx, 403, "PUT", file, manager.token, attack, "X-Forwarded-For", attacker, "Purpose", "payroll"); err != nil {
			return "", err
		}
	}
	if _, err := c.want(ctx, 403, "GET", "/livez", "", nil, "X-Forwarded-For", attacker); err != nil {
		return "", err
	}
	if _, err := c.want(ctx, 200, "GET", "/livez", "", nil, "X-Forwarded-For", neighbour); err != nil {
		return "", err
	}
	return "10 injections were refused; then the network was refused everything, and another was served", nil
}

func encrypted(ctx context.Context, c *client) (string, error) {
	manager, err := c.signedIn(ctx, "acme", "manager")
	if err != nil {
		return "", err
	}
	owner := c.account("acme", "owner")
	found, err := c.want(ctx, 200, "GET", "/api/search?email="+url.QueryEscape(strings.ToUpper(owner.Name)), manager.token, nil, "Purpose", "payroll")
	if err != nil || !bytes.Contains(found.body, []byte(owner.ID)) {
		return "", broken("searching for an address found %s: %v", found.body, err)
	}
	secrets := []string{"Olive Oduya", "DEMO-A-0001", "Esra Eriksen", "DEMO-G-0003"}
	files := 0
	root, err := os.OpenRoot(c.data)
	if err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := root.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, s := range secrets {
			if bytes.Contains(b, []byte(s)) {
				return broken("%s holds %q in the clear", path, s)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(c.keys, "kek.json")); err != nil {
		return "", broken("the key file is not where it should be: %v", err)
	}
	return fmt.Sprintf("none of %d personal values stands in any of %d files; the key lies outside; a file is found by its sealed e-mail address", len(secrets), files), nil
}
