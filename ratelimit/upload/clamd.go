package upload

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// ScannerOptions are the options of [Clamd] and [ICAP].
type ScannerOptions struct {
	// Timeout bounds one scan, 100 ms to 10 min; 0 is 1 min.
	Timeout time.Duration
	// Dial opens the connection; nil is net.Dialer. TLS to a scanner on
	// another machine goes here.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o *ScannerOptions) setDefaults() error {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Timeout < 100*time.Millisecond || o.Timeout > 10*time.Minute {
		return fmt.Errorf("upload: ScannerOptions.Timeout is %v, want 100ms to 10m", o.Timeout)
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return nil
}

// connect opens a connection that ends with the scan's time or context.
func (o *ScannerOptions) connect(ctx context.Context, network, address string) (conn net.Conn, done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	conn, err = o.Dial(ctx, network, address)
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("upload: scanner: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() {
		stop()
		cancel()
		_ = conn.Close()
	}, nil
}

// clamd speaks to ClamAV's daemon (man 8 clamd, INSTREAM).
type clamd struct {
	network, address string
	o                ScannerOptions
}

// Clamd is the scanner of ClamAV's daemon at an address of network "unix" or
// "tcp". The protocol has no authentication: who can reach the daemon over TCP
// can read and stop it. The daemon's StreamMaxLength must be at least the
// gate's MaxBytes, or larger files are refused.
func Clamd(network, address string, o ScannerOptions) (Scanner, error) {
	if network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("upload: Clamd: network %q: want unix or tcp", network)
	}
	if address == "" {
		return nil, errors.New("upload: Clamd: address is empty")
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	return &clamd{network, address, o}, nil
}

// Scan implements [Scanner].
func (c *clamd) Scan(ctx context.Context, r io.Reader) (Verdict, error) {
	conn, done, err := c.o.connect(ctx, c.network, c.address)
	if err != nil {
		return Verdict{}, err
	}
	defer done()
	if _, err := io.WriteString(conn, "zINSTREAM\x00"); err != nil {
		return Verdict{}, fmt.Errorf("upload: clamd: %w", err)
	}
	sendErr := sendChunks(conn, r)
	// A daemon that has seen enough answers and closes while we still send.
	reply, err := bufio.NewReader(io.LimitReader(conn, 4096)).ReadString(0)
	if err != nil {
		return Verdict{}, fmt.Errorf("upload: clamd: %w", errors.Join(sendErr, err))
	}
	verdict, err := clamdVerdict(strings.TrimSuffix(reply, "\x00"))
	if err == nil && !verdict.Infected {
		err = sendErr // clean is what was read, and that is not all
	}
	return verdict, err
}

// sendChunks sends r, each chunk with its length before it, and the empty
// chunk that ends the stream.
func sendChunks(w io.Writer, r io.Reader) error {
	buf := make([]byte, 4+64<<10)
	for {
		n, err := io.ReadFull(r, buf[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, err := w.Write(buf[:4+n]); err != nil {
				return fmt.Errorf("upload: clamd: %w", err)
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			if _, err := w.Write(make([]byte, 4)); err != nil {
				return fmt.Errorf("upload: clamd: %w", err)
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// clamdVerdict reads "stream: OK", "stream: NAME FOUND", or anything else,
// which is no verdict.
func clamdVerdict(reply string) (Verdict, error) {
	if reply == "stream: OK" {
		return Verdict{}, nil
	}
	if name, ok := strings.CutSuffix(reply, " FOUND"); ok {
		return Verdict{Infected: true, Signature: strings.TrimPrefix(name, "stream: ")}, nil
	}
	return Verdict{}, fmt.Errorf("upload: clamd answers %q", clip(reply))
}
