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
	buf   []byte // a batch and one byte
	ahead byte   // that byte
	out   []byte // the batch, opened
	plain []byte // the part of out that is not yet returned
	next  uint64
	err   error
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
	r.buf = r.buf[:0]
	if r.next > 0 {
		r.buf = append(r.buf, r.ahead)
	}
	whole := r.opt.batch() * sealedSegment
	ended, err := r.read(whole + 1)
	if err != nil {
		r.err = err
		return
	}
	if !ended {
		r.ahead = r.buf[whole]
	}
	r.out, err = r.o.open(r.out, r.buf[:min(len(r.buf), whole)], r.next, ended, r.opt.Parallel)
	if err != nil {
		r.err = err
		return
	}
	r.plain, r.next = r.out, r.next+uint64(r.opt.batch())
	if ended {
		r.err = io.EOF
	}
}

// read extends buf to n bytes, growing it with what comes, so that a short
// stream takes a short buffer.
func (r *StreamReader) read(n int) (ended bool, err error) {
	for idle := 0; len(r.buf) < n; idle++ {
		if len(r.buf) == cap(r.buf) {
			grown := make([]byte, len(r.buf), min(n, max(1024, 4*cap(r.buf))))
			copy(grown, r.buf)
			r.buf = grown
		}
		m, err := r.src.Read(r.buf[len(r.buf):min(n, cap(r.buf))])
		r.buf = r.buf[:len(r.buf)+m]
		if errors.Is(err, io.EOF) {
			return len(r.buf) < n, nil
		}
		if err != nil {
			return false, err
		}
		if m > 0 {
			idle = 0
		} else if idle == 100 {
			return false, io.ErrNoProgress
		}
	}
	return false, nil
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
