package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/auditlog"
)

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
