package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/internal/outbound"
)

// HTTPOptions are the settings of a sink that posts.
type HTTPOptions struct {
	Allow     []netip.Prefix // internal ranges the receiver may be in; default none
	AllowHTTP bool           // plain HTTP, to addresses in Allow only
	RootCAs   *x509.CertPool // default the system's
	Header    http.Header    // added to each request, such as Authorization
}

// A poster posts to one URL.
type poster struct {
	url    string
	header http.Header
	http   *outbound.Client
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

func newPoster(to string, o HTTPOptions) (*poster, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("sink: want a URL without credentials: they belong into a header")
	}
	out := outbound.Options{Allow: o.Allow, AllowHTTP: o.AllowHTTP, RootCAs: o.RootCAs, MaxBody: maxAnswer}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, errors.New("sink: the URL's port is no number")
		}
		out.Ports = []uint16{uint16(n)}
	}
	c, err := outbound.New(out)
	if err != nil {
		return nil, err
	}
	return &poster{to, o.Header.Clone(), c}, nil
}

// post sends a body and returns the answer's, unless it is a refusal.
func (p *poster) post(ctx context.Context, body []byte, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, h := range []http.Header{p.header, header} {
		for name, values := range h {
			r.Header[name] = values
		}
	}
	res, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		return nil, &refusal{res.StatusCode, retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
	return answer, nil
}

// A refusal is an answer that is not 2xx. The receiver's text is not told: it
// may repeat what was sent.
type refusal struct {
	status int
	after  time.Duration
}

func (r *refusal) Error() string { return fmt.Sprintf("sink: the receiver answered %d", r.status) }

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds or
// a date.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// Webhook is a sink that posts batches as JSON Lines. A receiver that answers
// 2xx has taken the batch. Each request has
//
//	Idempotency-Key: <first index>-<last index>-<first id>
//	Surety-Signature: t=<unix time>,v1=<hex of HMAC-SHA256(key, t "." body)>
//
// so that the receiver can drop what comes twice and refuse what is not from
// the key's holder, or is old.
type Webhook struct {
	*poster
	key []byte
}

// NewWebhook returns a webhook. The key, of at least 32 bytes, is shared with
// the receiver.
func NewWebhook(to string, key []byte, o HTTPOptions) (*Webhook, error) {
	if len(key) < sha256.Size {
		return nil, fmt.Errorf("sink: key of %d bytes, want at least %d", len(key), sha256.Size)
	}
	p, err := newPoster(to, o)
	if err != nil {
		return nil, err
	}
	return &Webhook{p, bytes.Clone(key)}, nil
}

// Name is "webhook".
func (*Webhook) Name() string { return "webhook" }

// Close closes idle connections.
func (w *Webhook) Close() { w.http.Close() }

// Send posts a batch.
func (w *Webhook) Send(ctx context.Context, batch []auditlog.Indexed) error {
	body, err := lines(batch)
	if err != nil {
		return err
	}
	_, err = w.post(ctx, body, http.Header{
		"Content-Type":     {"application/jsonl"},
		"Idempotency-Key":  {fmt.Sprintf("%d-%d-%s", batch[0].Index, batch[len(batch)-1].Index, batch[0].ID)},
		"Surety-Signature": {sign(w.key, time.Now(), body)},
	})
	return err
}

func sign(key []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, key)
	m.Write([]byte(t + "."))
	m.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(m.Sum(nil))
}
