package upload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// icap speaks the Internet Content Adaptation Protocol (RFC 3507), which most
// commercial scanners offer.
type icap struct {
	service *url.URL
	address string
	o       ScannerOptions
}

// ICAP is the scanner of an ICAP service, such as icap://scanner:1344/avscan.
// Each file is sent as the body of a response (RESPMOD) without a preview.
// 204 is clean. What the service would change is infected if it says why, in
// X-Infection-Found, X-Virus-ID or X-Violations-Found, or answers 403 in the
// response's place; any other answer is no verdict. icap is plain text: use
// Options.Dial for TLS.
func ICAP(service string, o ScannerOptions) (Scanner, error) {
	u, err := url.Parse(service)
	if err != nil || u.Scheme != "icap" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("upload: ICAP: want a service such as icap://host:1344/path, without credentials")
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	address := u.Host
	if u.Port() == "" {
		address += ":1344"
	}
	return &icap{u, address, o}, nil
}

// Scan implements [Scanner].
func (c *icap) Scan(ctx context.Context, r io.Reader) (Verdict, error) {
	conn, done, err := c.o.connect(ctx, "tcp", c.address)
	if err != nil {
		return Verdict{}, err
	}
	defer done()
	const header = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
	_, err = fmt.Fprintf(conn, "RESPMOD %s ICAP/1.0\r\nHost: %s\r\nAllow: 204\r\nConnection: close\r\n"+
		"Encapsulated: res-hdr=0, res-body=%d\r\n\r\n%s", c.service, c.service.Host, len(header), header)
	if err != nil {
		return Verdict{}, fmt.Errorf("upload: icap: %w", err)
	}
	chunks := httputil.NewChunkedWriter(conn)
	_, sendErr := io.CopyBuffer(struct{ io.Writer }{chunks}, r, make([]byte, 64<<10))
	if sendErr == nil {
		_, err := io.WriteString(conn, "0\r\n\r\n")
		sendErr = err
	}
	verdict, err := icapVerdict(bufio.NewReader(io.LimitReader(conn, 64<<10)))
	switch {
	case err != nil:
		return Verdict{}, fmt.Errorf("upload: icap: %w", errors.Join(sendErr, err))
	case sendErr != nil && !verdict.Infected:
		return Verdict{}, fmt.Errorf("upload: icap: %w", sendErr)
	}
	return verdict, nil
}

// icapVerdict reads a response. The service is trusted for its verdict and not
// for its form.
func icapVerdict(r *bufio.Reader) (Verdict, error) {
	text := textproto.NewReader(r)
	status, err := icapStatus(text, "ICAP/1.0 ")
	if err != nil {
		return Verdict{}, err
	}
	header, err := text.ReadMIMEHeader()
	switch {
	case err != nil:
		return Verdict{}, err
	case status == 204:
		return Verdict{}, nil
	case status != 200:
		return Verdict{}, fmt.Errorf("the service answers %d", status)
	}
	for _, name := range []string{"X-Infection-Found", "X-Virus-Id", "X-Violations-Found"} {
		if v := header.Get(name); v != "" {
			return Verdict{Infected: true, Signature: threat(v)}, nil
		}
	}
	// The response in whose place the service puts another begins with its
	// status, wherever there is a header at all.
	if strings.HasPrefix(header.Get("Encapsulated"), "res-hdr=0") {
		if status, err := icapStatus(text, "HTTP/1."); err == nil && status == 403 {
			return Verdict{Infected: true, Signature: "refused by the service"}, nil
		}
	}
	return Verdict{}, errors.New("the service answers 200 and does not say why")
}

func icapStatus(text *textproto.Reader, version string) (int, error) {
	line, err := text.ReadLine()
	if err != nil {
		return 0, err
	}
	rest, ok := strings.CutPrefix(line, version)
	if version == "HTTP/1." && len(rest) > 2 {
		rest = rest[2:] // the minor version
	}
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(code)
	if !ok || err != nil || n < 100 || n > 599 {
		return 0, fmt.Errorf("a status line of %d bytes that is none", len(line))
	}
	return n, nil
}

// threat takes the name out of "Type=0; Resolution=2; Threat=NAME;".
func threat(v string) string {
	for part := range strings.SplitSeq(v, ";") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(part), "Threat="); ok {
			return name
		}
	}
	return v
}
