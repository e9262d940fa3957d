package crypto

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// SegmentSize is how much plain data one segment of a stream holds, in bytes.
// Every segment but the last is full.
const SegmentSize = 64 << 10

const (
	segmentOverhead = 12 + 16
	sealedSegment   = SegmentSize + segmentOverhead
	streamHeader    = HeaderSize + infoSize
	batchPerWorker  = 4 // segments that a worker seals at once
	maxParallel     = 64
)

// StreamOptions are the options of streams.
type StreamOptions struct {
	// Parallel is how many segments are sealed or opened at the same time, 1
	// to 64; default 1. Memory is about 1 MiB for each, and reading is up to
	// a quarter of a MiB for each ahead.
	Parallel int
}

func (o *StreamOptions) settle() error {
	orDefault(&o.Parallel, 1)
	if o.Parallel < 1 || o.Parallel > maxParallel {
		return fmt.Errorf("crypto: StreamOptions.Parallel: want 1 to %d", maxParallel)
	}
	return nil
}

// batch is how many segments are handled together.
func (o *StreamOptions) batch() int {
	if o.Parallel == 1 {
		return 1
	}
	return o.Parallel * batchPerWorker
}

// segments seals and opens the segments of one stream. The stream's key is
// derived from the data key and the stream's random salt; each segment has a
// random nonce, and its index and whether it is the last in the associated
// data, so that none can be left out, repeated, moved or cut off.
type segments struct {
	gcm cipher.AEAD
	aad []byte // version, algorithm and binding
}

func newSegments(m *material, salt []byte, b *Binding) (*segments, error) {
	var key [32]byte
	m.derive(&key, labelStream, salt)
	gcm, err := newGCM(key[:])
	clear(key[:])
	if err != nil {
		return nil, fmt.Errorf("crypto: stream key: %w", err)
	}
	return &segments{gcm, b.AppendAAD([]byte{version1, byte(Stream)})}, nil
}

// aadOf appends a segment's associated data to buf.
func (s *segments) aadOf(buf []byte, index uint64, last bool) []byte {
	buf = binary.BigEndian.AppendUint64(append(buf[:0], s.aad...), index)
	if last {
		return append(buf, 1)
	}
	return append(buf, 0)
}

// each calls f for every segment of a batch, spread over workers, each with
// scratch space of its own, and returns when all are done.
func each(n, workers int, f func(i int, scratch *[]byte)) {
	work := func(from, to int) {
		scratch := make([]byte, 0, 512)
		for i := from; i < to; i++ {
			f(i, &scratch)
		}
	}
	if workers = min(workers, n); workers <= 1 {
		work(0, n)
		return
	}
	var wg sync.WaitGroup
	for w := range workers - 1 {
		wg.Go(func() { work(w*n/workers, (w+1)*n/workers) })
	}
	work((workers-1)*n/workers, n) // the caller is a worker too
	wg.Wait()
}

// A StreamWriter seals what is written to it. Without Close the stream is
// incomplete and does not open. It is not safe for concurrent use.
type StreamWriter struct {
	dst   io.Writer
	seg   *segments
	o     StreamOptions
	plain []byte // waiting: the last segment must be known as such
	out   []byte
	next  uint64
	err   error
}

var errStreamClosed = errors.New("crypto: write to a closed stream")

// NewWriter begins a stream for the place b on dst. Streams are for values
// over [MaxPlain] and for files; they take 28 bytes per 64 KiB.
func (k *Keeper) NewWriter(ctx context.Context, dst io.Writer, b Binding, o StreamOptions) (*StreamWriter, error) {
	if err := errors.Join(b.Validate(), o.settle()); err != nil {
		return nil, err
	}
	e, err := k.current(ctx, Scope{b.Tenant, b.Subject, ""}, 0)
	if err != nil {
		return nil, err
	}
	head := appendHeader(make([]byte, 0, streamHeader), Stream, e.mat.id)[:streamHeader]
	rand.Read(head[HeaderSize:]) // never fails
	seg, err := newSegments(e.mat, head[HeaderSize:], &b)
	if err != nil {
		return nil, err
	}
	if _, err := dst.Write(head); err != nil {
		return nil, err
	}
	return &StreamWriter{dst: dst, seg: seg, o: o}, nil
}

// Write seals p. After an error of the destination every call returns it.
func (w *StreamWriter) Write(p []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	full := w.o.batch() * SegmentSize
	for len(p) > 0 {
		// A batch is sealed once there is more: then none of it is the last.
		switch {
		case len(w.plain) == full:
			err, w.plain = w.flush(w.plain, false), w.plain[:0]
		case len(w.plain) == 0 && len(p) > full: // without a copy
			m := (len(p) - 1) / full * full
			err = w.direct(p[:m])
			p, n = p[m:], n+m
		default:
			m := min(len(p), full-len(w.plain))
			w.plain = append(w.plain, p[:m]...)
			p, n = p[m:], n+m
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// direct seals whole batches.
func (w *StreamWriter) direct(p []byte) error {
	if w.o.Parallel > 1 {
		const chunk = batchPerWorker * SegmentSize
		return w.pipe(func(*[]byte) (plain []byte) {
			plain = p[:min(chunk, len(p))]
			p = p[len(plain):]
			return plain
		})
	}
	for ; len(p) > 0 && w.err == nil; p = p[SegmentSize:] {
		w.err = w.flush(p[:SegmentSize], false)
	}
	return w.err
}

// sealWorker seals chunks of a stream.
type sealWorker struct {
	buf, plain, sealed []byte
	first              uint64
}

// pipe seals what next returns, whole segments of which none is the last, with
// several workers, until it returns nothing. next may use the buffer.
func (w *StreamWriter) pipe(next func(buf *[]byte) []byte) error {
	workers := make([]sealWorker, w.o.Parallel)
	in := func(i int) bool {
		c := &workers[i]
		c.plain, c.first = next(&c.buf), w.next
		w.next += uint64(len(c.plain) / SegmentSize)
		return len(c.plain) > 0
	}
	do := func(i int) {
		c := &workers[i]
		c.sealed = w.seg.seal(c.sealed, c.plain, c.first, false, 1)
	}
	out := func(i int) bool {
		_, w.err = w.dst.Write(workers[i].sealed)
		return w.err == nil
	}
	pipeline(w.o.Parallel, in, do, out)
	return w.err
}

// ReadFrom is io.ReaderFrom, for io.Copy: with several workers it reads, seals
// and writes at the same time.
func (w *StreamWriter) ReadFrom(src io.Reader) (n int64, err error) {
	if w.err != nil || w.o.Parallel == 1 || len(w.plain) > 0 {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	const chunk = batchPerWorker * SegmentSize
	var ahead [1]byte // the byte after the chunk that was read last
	var have int
	sealing := w.pipe(func(buf *[]byte) []byte {
		if *buf == nil {
			*buf = make([]byte, chunk+1)
		}
		b := *buf
		var m int
		m, err = io.ReadFull(src, b[copy(b, ahead[:have]):])
		n += int64(m)
		if err != nil { // the rest may be the last: Close seals it
			w.plain = append(w.plain, b[:have+m]...)
			return nil
		}
		have = copy(ahead[:], b[chunk:])
		return b[:chunk]
	})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, errors.Join(sealing, err)
}

// flush seals plain data and writes it.
func (w *StreamWriter) flush(plain []byte, last bool) error {
	w.out = w.seg.seal(w.out, plain, w.next, last, w.o.Parallel)
	w.next += uint64(max(1, (len(plain)+SegmentSize-1)/SegmentSize))
	_, w.err = w.dst.Write(w.out)
	return w.err
}

// seal seals plain data as segments into out, which is grown if it is too
// small, and returns it.
func (s *segments) seal(out, plain []byte, first uint64, last bool, workers int) []byte {
	count := max(1, (len(plain)+SegmentSize-1)/SegmentSize)
	size := len(plain) + count*segmentOverhead
	if cap(out) < size {
		out = make([]byte, size)
	}
	each(count, workers, func(i int, scratch *[]byte) {
		*scratch = s.aadOf(*scratch, first+uint64(i), last && i == count-1)
		part := plain[i*SegmentSize : min((i+1)*SegmentSize, len(plain))]
		s.gcm.Seal(out[i*sealedSegment:i*sealedSegment], nil, part, *scratch)
	})
	return out[:size]
}

// Close seals the last segment. It does not close the destination. Closing
// again does nothing.
func (w *StreamWriter) Close() error {
	if w.err != nil {
		if errors.Is(w.err, errStreamClosed) {
			return nil
		}
		return w.err
	}
	if err := w.flush(w.plain, true); err != nil {
		return err
	}
	clear(w.plain)
	w.plain, w.out, w.err = nil, nil, errStreamClosed
	return nil
}
