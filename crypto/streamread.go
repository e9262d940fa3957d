package crypto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// opening is what reading a stream needs beside its bytes.
type opening struct {
	k   *Keeper
	ctx context.Context
	b   Binding
	h   Header
	seg *segments
}

// newOpening reads a stream's header.
func (k *Keeper) newOpening(ctx context.Context, head []byte, b Binding) (*opening, error) {
	h, err := Inspect(head)
	if err != nil {
		return nil, k.tampered(ctx, b, nil, err)
	}
	o := &opening{k: k, ctx: ctx, b: b, h: h}
	if h.Algorithm != Stream || len(head) != streamHeader {
		return nil, o.tampered()
	}
	e, err := k.keyByID(ctx, b.Tenant, h.Key, 0)
	if err != nil {
		return nil, k.notOpened(ctx, b, &h, err)
	}
	if e.scope.Subject != b.Subject || e.scope.Use != "" {
		return nil, o.tampered()
	}
	o.seg, err = newSegments(e.mat, head[HeaderSize:], &b)
	return o, err
}

func (o *opening) tampered() error { return o.k.tampered(o.ctx, o.b, &o.h, ErrTampered) }

// stands takes a use of n bytes of the key, so that a stream that is being
// read ends when its key is destroyed.
func (o *opening) stands(n int) error {
	_, err := o.k.keyByID(o.ctx, o.b.Tenant, o.h.Key, n)
	if err != nil {
		return o.k.notOpened(o.ctx, o.b, &o.h, err)
	}
	return nil
}

// open opens sealed segments into out, which is grown if it is too small, and
// returns it.
func (o *opening) open(out, sealed []byte, first uint64, last bool, workers int) ([]byte, error) {
	if err := o.stands(len(sealed)); err != nil {
		return nil, err
	}
	count := (len(sealed) + sealedSegment - 1) / sealedSegment
	size := len(sealed) - count*segmentOverhead
	if count == 0 || len(sealed)-(count-1)*sealedSegment < segmentOverhead {
		return nil, o.tampered()
	}
	if cap(out) < size {
		out = make([]byte, size)
	}
	var bad atomic.Bool
	each(count, workers, func(i int, scratch *[]byte) {
		*scratch = o.seg.aadOf(*scratch, first+uint64(i), last && i == count-1)
		part := sealed[i*sealedSegment : min((i+1)*sealedSegment, len(sealed))]
		dst := out[i*SegmentSize : i*SegmentSize : min((i+1)*SegmentSize, size)]
		if _, err := o.seg.gcm.Open(dst, nil, part, *scratch); err != nil {
			bad.Store(true)
		}
	})
	if bad.Load() {
		clear(out[:size])
		return nil, o.tampered()
	}
	return out[:size], nil
}

// A StreamReader opens a stream from its beginning. What it returns is
// authentic as far as it goes; only io.EOF says that nothing is missing. It
// is not safe for concurrent use.
type StreamReader struct {
	src   io.Reader
	o     *opening
	opt   StreamOptions
	buf   []byte // a batch and one byte of the next, which says that there is one
	ended bool   // there is no more to read
	out   []byte // the batch, opened
	plain []byte // the part of out that is not yet returned
	next  uint64
	err   error // what comes after plain
}

// NewReader opens a stream for the place b. ctx is used for all its reads.
// Like Open's, its errors tell ErrTampered, which also stands for a stream
// that was cut off, from ErrShredded and ErrKeyUnavailable; those of src are
// passed on.
func (k *Keeper) NewReader(ctx context.Context, src io.Reader, b Binding, o StreamOptions) (*StreamReader, error) {
	if err := errors.Join(b.Validate(), o.settle()); err != nil {
		return nil, err
	}
	head := make([]byte, streamHeader)
	if n, err := io.ReadFull(src, head); err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		return nil, k.tampered(ctx, b, nil, fmt.Errorf("%w: a stream of %d bytes", ErrTampered, n))
	}
	open, err := k.newOpening(ctx, head, b)
	if err != nil {
		return nil, err
	}
	return &StreamReader{src: src, o: open, opt: o}, nil
}

// Read returns opened data, and io.EOF after the last segment.
func (r *StreamReader) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// fill reads and opens the next batch. One byte more is read: whether there is
// one tells whether the batch ends the stream. All plain data of the batch
// before has been returned, so that its memory is free.
func (r *StreamReader) fill() {
	whole := r.opt.batch() * sealedSegment
	start := r.buf[:0]
	if r.next > 0 {
		start = append(start, r.buf[whole])
	}
	if r.buf, r.err = r.read(start, whole+1); r.err != nil {
		return
	}
	r.out, r.err = r.o.open(r.out, r.buf[:min(len(r.buf), whole)], r.next, r.ended, r.opt.Parallel)
	r.plain, r.next = r.out, r.next+uint64(r.opt.batch())
	if r.err == nil && r.ended {
		r.err = io.EOF
	}
}

// WriteTo is io.WriterTo, for io.Copy: it spares a copy, and with several
// workers reads, opens and writes at the same time.
func (r *StreamReader) WriteTo(w io.Writer) (n int64, err error) {
	if r.opt.Parallel > 1 && r.next == 0 && r.err == nil {
		n, r.err = r.pipe(w)
	}
	for {
		if len(r.plain) > 0 {
			m, err := writeAll(w, r.plain)
			n += int64(m)
			if r.plain = r.plain[m:]; err != nil {
				return n, err
			}
		}
		switch {
		case errors.Is(r.err, io.EOF):
			return n, nil
		case r.err != nil:
			return n, r.err
		}
		r.fill()
	}
}

func writeAll(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// openWorker opens chunks of a stream.
type openWorker struct {
	buf, plain []byte
	first      uint64
	last       bool
	err        error
}

// pipe opens a stream from its beginning. Its error is io.EOF when all was
// written.
func (r *StreamReader) pipe(w io.Writer) (n int64, err error) {
	const whole = batchPerWorker * sealedSegment
	workers := make([]openWorker, r.opt.Parallel)
	var ahead []byte // the byte after the chunk that was read last
	var failed error // of reading: comes after what was read before
	in := func(i int) bool {
		c := &workers[i]
		if r.ended || failed != nil {
			return false
		}
		if c.buf, failed = r.read(append(c.buf[:0], ahead...), whole+1); failed != nil {
			return false
		}
		c.first, c.last = r.next, r.ended
		r.next += batchPerWorker
		if !r.ended {
			ahead = append(ahead[:0], c.buf[whole])
		}
		return true
	}
	do := func(i int) {
		c := &workers[i]
		c.plain, c.err = r.o.open(c.plain, c.buf[:min(len(c.buf), whole)], c.first, c.last, 1)
	}
	out := func(i int) bool {
		c := &workers[i]
		if err = c.err; err != nil {
			return false
		}
		var m int
		m, err = writeAll(w, c.plain)
		n += int64(m)
		return err == nil
	}
	pipeline(r.opt.Parallel, in, do, out)
	switch {
	case err != nil:
		return n, err
	case failed != nil:
		return n, failed
	}
	return n, io.EOF
}

// read extends buf to n bytes, growing it with what comes, so that a short
// stream takes a short buffer. It sets ended.
func (r *StreamReader) read(buf []byte, n int) ([]byte, error) {
	for idle := 0; len(buf) < n; idle++ {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, max(1024, 4*cap(buf))))
			copy(grown, buf)
			buf = grown
		}
		m, err := r.src.Read(buf[len(buf):min(n, cap(buf))])
		buf = buf[:len(buf)+m]
		if errors.Is(err, io.EOF) {
			r.ended = len(buf) < n
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
		if m > 0 {
			idle = 0
		} else if idle == 100 {
			return buf, io.ErrNoProgress
		}
	}
	return buf, nil
}

// A StreamReaderAt opens any part of a stream. It is safe for concurrent use.
type StreamReaderAt struct {
	src  io.ReaderAt
	o    *opening
	size int64 // of the sealed stream
}

// NewReaderAt opens a stream of size sealed bytes for the place b and checks
// its last segment, so that a stream that was cut off is refused at once. ctx
// is used for all its reads.
func (k *Keeper) NewReaderAt(ctx context.Context, src io.ReaderAt, size int64, b Binding) (*StreamReaderAt, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	if size < streamHeader+segmentOverhead {
		return nil, k.tampered(ctx, b, nil, fmt.Errorf("%w: a stream of %d bytes", ErrTampered, size))
	}
	head := make([]byte, streamHeader)
	if err := readAt(src, head, 0); err != nil {
		return nil, err
	}
	open, err := k.newOpening(ctx, head, b)
	if err != nil {
		return nil, err
	}
	r := &StreamReaderAt{src, open, size}
	if _, err := r.segment(r.count() - 1); err != nil {
		return nil, err
	}
	return r, nil
}

// count is the number of segments.
func (r *StreamReaderAt) count() int64 {
	return (r.size - streamHeader + sealedSegment - 1) / sealedSegment
}

// Size is the number of bytes of plain data.
func (r *StreamReaderAt) Size() int64 {
	return r.size - streamHeader - r.count()*segmentOverhead
}

func readAt(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the stream is shorter than it was said to be", ErrTampered)
	}
	return err
}

// segment returns the plain data of the i-th segment.
func (r *StreamReaderAt) segment(i int64) ([]byte, error) {
	off := streamHeader + i*sealedSegment
	buf := make([]byte, min(sealedSegment, r.size-off))
	if err := readAt(r.src, buf, off); err != nil {
		return nil, err
	}
	return r.o.open(nil, buf, uint64(i), i == r.count()-1, 1)
}

// ReadAt is io.ReaderAt over the plain data.
func (r *StreamReaderAt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("crypto: ReadAt: negative offset")
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= r.Size() {
			return n, io.EOF
		}
		part, err := r.segment(at / SegmentSize)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], part[at%SegmentSize:])
	}
	return n, nil
}
