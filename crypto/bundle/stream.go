package bundle

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"io"

	"github.com/surety-go/surety/crypto"
)

var (
	more = []byte{0} // associated data of a segment that others follow
	last = []byte{1}

	errClosed = errors.New("bundle: write to a closed bundle")
)

// A Writer seals what is written to it. It is not safe for concurrent use.
type Writer struct {
	dst    io.Writer
	sender *hpke.Sender
	plain  []byte
	err    error
}

// NewWriter begins a bundle on dst for a recipient, bound to b.
func NewWriter(dst io.Writer, to *Recipient, b crypto.Binding) (*Writer, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	if to == nil {
		return nil, fmt.Errorf("%w: it is nil", ErrKey)
	}
	enc, sender, err := hpke.NewSender(to.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info(&b))
	if err != nil {
		return nil, fmt.Errorf("bundle: encapsulate: %w", err)
	}
	if _, err := dst.Write(append(header[:len(header):len(header)], enc...)); err != nil {
		return nil, err
	}
	return &Writer{dst: dst, sender: sender}, nil
}

// Write seals p. After an error of the destination every call returns it.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		if len(w.plain) == segmentSize { // there is more: it is not the last
			w.flush(more)
			continue
		}
		m := min(len(p), segmentSize-len(w.plain))
		w.plain = append(w.plain, p[:m]...)
		p, n = p[m:], n+m
	}
	return n, w.err
}

func (w *Writer) flush(aad []byte) {
	sealed, err := w.sender.Seal(aad, w.plain)
	clear(w.plain)
	w.plain = w.plain[:0]
	if err == nil {
		_, err = w.dst.Write(sealed)
	}
	w.err = err
}

// Close seals the last segment; without it, the bundle doesn't open. It does
// not close the destination. Closing again does nothing.
func (w *Writer) Close() error {
	if errors.Is(w.err, errClosed) {
		return nil
	}
	if w.err == nil {
		w.flush(last)
	}
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

// A Reader opens a bundle. What it returns is authentic as far as it goes;
// only io.EOF says that nothing is missing. It is not safe for concurrent use.
type Reader struct {
	src   io.Reader
	r     *hpke.Recipient
	buf   []byte // a segment and a byte of the next
	held  int    // bytes in buf
	plain []byte
	err   error
}

// NewReader opens a bundle for the identity, bound to b. Errors of src are
// passed on.
func NewReader(src io.Reader, id *Identity, b crypto.Binding) (*Reader, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	if id == nil {
		return nil, fmt.Errorf("%w: it is nil", ErrKey)
	}
	head := make([]byte, headerSize)
	if n, err := io.ReadFull(src, head); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: a bundle of %d bytes", crypto.ErrTampered, n)
		}
		return nil, err
	}
	if [4]byte(head) != header {
		return nil, fmt.Errorf("%w: no header of a bundle", crypto.ErrTampered)
	}
	r, err := hpke.NewRecipient(head[4:], id.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info(&b))
	if err != nil {
		return nil, fmt.Errorf("%w: the encapsulated key doesn't open", crypto.ErrTampered)
	}
	return &Reader{src: src, r: r, buf: make([]byte, segmentSize+tagSize+1)}, nil
}

// Read returns opened data, and io.EOF after the last segment.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.plain, r.err = r.next()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// next opens a segment. One byte more is read: whether there is one tells
// whether the segment is the last.
func (r *Reader) next() ([]byte, error) {
	n, err := io.ReadFull(r.src, r.buf[r.held:])
	n += r.held
	aad, end := more, error(nil)
	switch {
	case err == nil:
		n--
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		aad, end = last, io.EOF
	default:
		return nil, err
	}
	plain, err := r.r.Open(aad, r.buf[:n])
	if err != nil {
		return nil, fmt.Errorf("%w: a segment of %d bytes", crypto.ErrTampered, n)
	}
	r.buf[0], r.held = r.buf[n], 1
	return plain, end
}
