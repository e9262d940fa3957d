package tour

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/ratelimit/hostcheck"
	"github.com/surety-go/surety/ratelimit/upload"
)

// eicar is the test file that every scanner takes for a virus (EICAR), in two
// parts, so that none takes this program for one.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// A scanner stands in for clamd, which is a server: it knows one virus.
type scanner struct{}

// Scan looks for the test file.
func (scanner) Scan(_ context.Context, r io.Reader) (upload.Verdict, error) {
	b, err := io.ReadAll(r)
	if bytes.Contains(b, []byte(eicar)) {
		return upload.Verdict{Infected: true, Signature: "EICAR"}, err
	}
	return upload.Verdict{}, err
}

// A host stands in for the machine's packet filter, which only root may read.
type host struct {
	opened atomic.Bool // by somebody, past those who are responsible
	rules  *hostcheck.Rules
}

const filter = `table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		tcp dport 443 accept
	}
}
`

func newHost() (*host, error) {
	private, public, err := note.GenerateKey(rand.Reader, "network.example")
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	signed, err := hostcheck.Sign([]byte(filter), signer)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	h := &host{}
	h.rules, err = hostcheck.NewRules(signed, verifier, func(context.Context) ([]byte, error) {
		if h.opened.Load() {
			return []byte(strings.Replace(filter, "dport 443", "dport { 22, 443 }", 1)), nil
		}
		return []byte(filter), nil
	})
	return h, err
}

func hostRules(ctx context.Context, c *client) (string, error) {
	const id = "ratelimit.hostcheck.rules"
	if _, err := c.soon(ctx, id, passes); err != nil {
		return "", err
	}
	c.host.opened.Store(true)
	wrong, err := c.soon(ctx, id, func(r result) bool { return !passes(r) })
	if err != nil {
		return "", err
	}
	c.host.opened.Store(false)
	if _, err := c.soon(ctx, id, passes); err != nil {
		return "", err
	}
	return "a port opened past those responsible fails the control: " + wrong[0].Observed, nil
}

func uploads(ctx context.Context, c *client) (string, error) {
	manager, err := c.signedIn(ctx, "acme", "manager")
	if err != nil {
		return "", err
	}
	path := "/api/files/" + c.account("acme", "employee").ID + "/documents"
	send := func(want int, kind, content string) (answer, error) {
		return c.send(ctx, want, path, manager.token, kind, content)
	}
	if _, err := send(200, "text/plain", "Certificate of employment"); err != nil {
		return "", err
	}
	infected, err := send(422, "text/plain", "Certificate "+eicar)
	if err != nil {
		return "", err
	}
	if bytes.Contains(infected.body, []byte("STANDARD")) {
		return "", broken("the refusal repeats what was sent: %s", infected.body)
	}
	if _, err := send(415, "application/pdf", "MZ\x90\x00 a program that says that it is a document"); err != nil {
		return "", err
	}
	return "a certificate is stored, sealed; one with a virus and a program that calls itself a document are refused", nil
}
