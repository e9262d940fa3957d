package witness

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/internal/cosign"
	"github.com/surety-go/surety/internal/outbound"
)

// Errors of a client.
var (
	// ErrRefused says that the witness would not cosign.
	ErrRefused = errors.New("witness: refused")
	// ErrConflict says that the witness has seen a tree that this log does
	// not continue: the log was rolled back, or its key is used twice.
	ErrConflict = errors.New("witness: it has seen another history of this log")
)

// Options are the settings of a [Client].
type Options struct {
	Allow     []netip.Prefix // internal ranges the witness may be in; default none
	AllowHTTP bool           // plain HTTP, to addresses in Allow only
	RootCAs   *x509.CertPool // default the system's
	Timeout   time.Duration  // of one exchange; default 10 s
}

// A Client asks one witness. It is safe for concurrent use.
type Client struct {
	url  string
	key  *cosign.Verifier
	http *outbound.Client
	mu   sync.Mutex
	seen uint64 // the size the witness is thought to have seen
}

// NewClient returns a client of the witness at a URL prefix, whose public key
// is given in the form "name+hash+base64" (algorithm 0x04 or 0x06).
func NewClient(prefix, key string, o Options) (*Client, error) {
	v, err := cosign.NewVerifier(key)
	if err != nil {
		return nil, fmt.Errorf("witness: key: %w", err)
	}
	u, err := url.Parse(prefix)
	if err != nil || u.Host == "" || u.RawQuery != "" {
		return nil, errors.New("witness: want a URL without a query")
	}
	out := outbound.Options{Allow: o.Allow, AllowHTTP: o.AllowHTTP, RootCAs: o.RootCAs, Timeout: o.Timeout, MaxBody: 64 << 10}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, errors.New("witness: the URL's port is no number")
		}
		out.Ports = []uint16{uint16(n)}
	}
	c, err := outbound.New(out)
	if err != nil {
		return nil, err
	}
	return &Client{url: strings.TrimSuffix(prefix, "/") + "/add-checkpoint", key: v, http: c}, nil
}

// Name is the name of the witness's key.
func (c *Client) Name() string { return c.key.Name() }

// Close closes idle connections.
func (c *Client) Close() { c.http.Close() }

// Cosign asks the witness to cosign a checkpoint and verifies its answer.
func (c *Client) Cosign(ctx context.Context, checkpoint []byte, prove func(old uint64) ([][32]byte, error)) (auditlog.Cosignature, error) {
	h, err := parseHead(checkpoint)
	if err != nil {
		return auditlog.Cosignature{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := min(c.seen, h.size)
	for range 2 { // once more with the size the witness names
		lines, conflict, err := c.ask(ctx, old, checkpoint, prove)
		if err != nil {
			return auditlog.Cosignature{}, err
		}
		if lines != nil {
			c.seen = h.size
			return c.accept(h, lines)
		}
		if *conflict > h.size || *conflict == old {
			return auditlog.Cosignature{}, fmt.Errorf("%w: %d entries, this one has %d", ErrConflict, *conflict, h.size)
		}
		old = *conflict
	}
	return auditlog.Cosignature{}, fmt.Errorf("%w: it names another size each time", ErrRefused)
}

// ask sends one request. It returns signature lines, or the size that the
// witness has seen.
func (c *Client) ask(ctx context.Context, old uint64, checkpoint []byte, prove func(uint64) ([][32]byte, error)) (lines []byte, conflict *uint64, err error) {
	proof, err := prove(old)
	if err != nil {
		return nil, nil, err
	}
	body := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		body = append(base64.StdEncoding.AppendEncode(body, h[:]), '\n')
	}
	body = append(append(body, '\n'), checkpoint...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, err
	}
	switch res.StatusCode {
	case http.StatusOK:
		return append([]byte{}, answer...), nil, nil
	case http.StatusConflict:
		if size, err := parseSize(strings.TrimSuffix(string(answer), "\n")); err == nil && res.Header.Get("Content-Type") == sizeType {
			return nil, &size, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: status %d", ErrRefused, res.StatusCode)
}

// maxSkew is how far the witness's clock may be ahead.
const maxSkew = 5 * time.Minute

// accept takes the cosignature out of the answer if it is valid.
func (c *Client) accept(h head, lines []byte) (auditlog.Cosignature, error) {
	sig, ok := c.key.Find(h.text, lines)
	if !ok {
		return auditlog.Cosignature{}, fmt.Errorf("%w: the answer has no valid cosignature of %s", ErrRefused, c.key.Name())
	}
	at := cosign.Time(sig)
	if time.Until(at) > maxSkew {
		return auditlog.Cosignature{}, fmt.Errorf("%w: its clock is %s ahead", ErrRefused, time.Until(at).Round(time.Second))
	}
	return auditlog.Cosignature{Line: "— " + sig.Name + " " + sig.Base64, Time: at}, nil
}
