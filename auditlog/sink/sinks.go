package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/internal/outbound"
)

// lines writes a batch as lines of JSON.
func lines(batch []auditlog.Indexed) ([]byte, error) {
	var buf []byte
	for i := range batch {
		buf = fmt.Appendf(buf, `{"index":%d,"entry":`, batch[i].Index)
		b, err := batch[i].AppendJSON(buf)
		if err != nil {
			return nil, err
		}
		buf = append(b, "}\n"...)
	}
	return buf, nil
}

// JSONLines is a sink that appends {"index":…,"entry":…} lines to a file and
// syncs it.
func JSONLines(path string) Sink { return jsonLines(path) }

type jsonLines string

func (j jsonLines) Name() string { return "jsonl" }

func (j jsonLines) Send(_ context.Context, batch []auditlog.Indexed) error {
	b, err := lines(batch)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(string(j), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	before, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		if _, err = f.Write(b); err != nil {
			err = errors.Join(err, f.Truncate(before)) // no half line before the batch comes again
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// HookOptions are the settings of a [Webhook].
type HookOptions struct {
	Allow     []netip.Prefix // internal ranges the receiver may be in; default none
	AllowHTTP bool           // plain HTTP, to addresses in Allow only
	RootCAs   *x509.CertPool // default the system's
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
	url  string
	key  []byte
	http *outbound.Client
}

// NewWebhook returns a webhook. The key, of at least 32 bytes, is shared with
// the receiver.
func NewWebhook(to string, key []byte, o HookOptions) (*Webhook, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.User != nil || len(key) < sha256.Size {
		return nil, errors.New("sink: want a URL without credentials and a key of at least 32 bytes")
	}
	out := outbound.Options{Allow: o.Allow, AllowHTTP: o.AllowHTTP, RootCAs: o.RootCAs, MaxBody: 64 << 10}
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
	return &Webhook{to, bytes.Clone(key), c}, nil
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
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/jsonl")
	r.Header.Set("Idempotency-Key", fmt.Sprintf("%d-%d-%s", batch[0].Index, batch[len(batch)-1].Index, batch[0].ID))
	r.Header.Set("Surety-Signature", sign(w.key, time.Now(), body))
	res, err := w.http.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("sink: the receiver answered %d", res.StatusCode)
	}
	return nil
}

func sign(key []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, key)
	m.Write([]byte(t + "."))
	m.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(m.Sum(nil))
}

// Syslog is a sink that writes RFC 5424 messages over TLS with octet counting
// (RFC 5425): facility 13 (log audit), the action as MSGID, the canonical JSON
// as message. Syslog has no acknowledgement: a message may be lost when the
// connection breaks, so whoever must not lose one uses another sink.
type Syslog struct {
	addr string
	conf *tls.Config
	host string
	mu   sync.Mutex
	conn net.Conn
}

// NewSyslog returns a syslog sink for a host and port. conf may be nil for the
// system's certificate authorities.
func NewSyslog(addr string, conf *tls.Config) (*Syslog, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("sink: syslog: want host:port: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "-"
	}
	return &Syslog{addr: addr, conf: conf, host: host}, nil
}

// Name is "syslog".
func (*Syslog) Name() string { return "syslog" }

const syslogTimeout = 10 * time.Second

// Send writes a batch. After a failure the connection is made anew.
func (s *Syslog) Send(ctx context.Context, batch []auditlog.Indexed) error {
	var buf []byte
	for i := range batch {
		msg, err := s.message(&batch[i])
		if err != nil {
			return err
		}
		buf = append(strconv.AppendInt(buf, int64(len(msg)), 10), ' ')
		buf = append(buf, msg...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: syslogTimeout}, Config: s.conf}
		c, err := d.DialContext(ctx, "tcp", s.addr)
		if err != nil {
			return err
		}
		s.conn = c
	}
	err := s.conn.SetWriteDeadline(time.Now().Add(syslogTimeout))
	if err == nil {
		_, err = s.conn.Write(buf)
	}
	if err != nil {
		err = errors.Join(err, s.conn.Close())
		s.conn = nil
	}
	return err
}

// Close closes the connection.
func (s *Syslog) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// message is one entry as RFC 5424 writes it. Severity is notice for what was
// done as asked, warning for a refusal, error for a failure.
func (s *Syslog) message(e *auditlog.Indexed) ([]byte, error) {
	severity := 5
	switch e.Outcome {
	case auditlog.Denied:
		severity = 4
	case auditlog.Failed:
		severity = 3
	}
	id := e.Action // MSGID has at most 32 printable ASCII characters
	if len(id) > 32 {
		id = id[:32]
	}
	head := fmt.Sprintf("<%d>1 %s %s surety %d %s - \ufeff", 13*8+severity,
		e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), strings.ToValidUTF8(s.host, "-"), e.Index, id)
	return e.AppendJSON([]byte(head))
}
