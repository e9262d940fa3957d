package crypto_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
)

const (
	seg       = crypto.SegmentSize
	sealedSeg = seg + 28
	streamHdr = crypto.HeaderSize + 16
)

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func sealStream(t testing.TB, k *crypto.Keeper, plain []byte, parallel int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := k.NewWriter(context.Background(), &out, place, crypto.StreamOptions{Parallel: parallel})
	if err != nil {
		t.Fatal(err)
	}
	for len(plain) > 0 { // in pieces that fit nothing
		n := min(len(plain), 50_021)
		if m, err := w.Write(plain[:n]); m != n || err != nil {
			t.Fatal(m, err)
		}
		plain = plain[n:]
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Error("written after Close")
	}
	return out.Bytes()
}

func openStream(k *crypto.Keeper, sealed []byte, b crypto.Binding, parallel int) ([]byte, error) {
	r, err := k.NewReader(context.Background(), bytes.NewReader(sealed), b, crypto.StreamOptions{Parallel: parallel})
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestStream(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, o crypto.Options) {
		f := newFixture(t, o)
		for _, n := range []int{0, 1, 200, seg - 1, seg, seg + 1, 2 * seg, 8 * seg, 8*seg + 1, 17*seg + 5} {
			plain := noise(n)
			for _, parallel := range []int{1, 2, 3} {
				sealed := sealStream(t, f.Keeper, plain, parallel)
				if want := streamHdr + n + 28*max(1, (n+seg-1)/seg); len(sealed) != want {
					t.Errorf("%d bytes became %d, want %d", n, len(sealed), want)
				}
				for _, p := range []int{1, 2, 5} {
					if got, err := openStream(f.Keeper, sealed, place, p); err != nil || !bytes.Equal(got, plain) {
						t.Errorf("%d bytes, sealed by %d, opened by %d: %d bytes, %v", n, parallel, p, len(got), err)
					}
				}
				r, err := f.NewReaderAt(t.Context(), bytes.NewReader(sealed), int64(len(sealed)), place)
				if err != nil || r.Size() != int64(n) {
					t.Fatalf("%d bytes at random: %v", n, err)
				}
				if got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size())); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes at random: %v", n, err)
				}
			}
		}
	})
}

func TestStreamReadAt(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	plain := noise(3*seg + 100)
	sealed := sealStream(t, f.Keeper, plain, 1)
	r, err := f.NewReaderAt(t.Context(), bytes.NewReader(sealed), int64(len(sealed)), place)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ off, n int }{{0, 1}, {seg - 1, 2}, {seg, seg}, {10, 2*seg + 50}, {3 * seg, 100}, {3*seg + 99, 1}} {
		p := make([]byte, tc.n)
		if n, err := r.ReadAt(p, int64(tc.off)); n != tc.n || err != nil || !bytes.Equal(p, plain[tc.off:tc.off+tc.n]) {
			t.Errorf("%+v: %d, %v", tc, n, err)
		}
	}
	p := make([]byte, 200)
	if n, err := r.ReadAt(p, 3*seg); n != 100 || !errors.Is(err, io.EOF) {
		t.Errorf("over the end: %d, %v", n, err)
	}
	if n, err := r.ReadAt(p, 4*seg); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if _, err := r.ReadAt(p, -1); err == nil {
		t.Error("a negative offset")
	}
}

// Segments can't be cut off, left out, repeated, swapped, taken from another
// stream, or changed.
func TestStreamTampering(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	plain := noise(3 * seg)
	sealed := sealStream(t, f.Keeper, plain, 1)
	other := sealStream(t, f.Keeper, plain, 1)
	head, s := sealed[:streamHdr], func(b []byte, i int) []byte { return b[streamHdr+i*sealedSeg : streamHdr+(i+1)*sealedSeg] }
	flip := func(i int) []byte {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		return b
	}
	for name, bad := range map[string][]byte{
		"empty":                 nil,
		"header cut":            sealed[:streamHdr-1],
		"header alone":          head,
		"last segment cut off":  sealed[:streamHdr+2*sealedSeg],
		"only the first":        sealed[:streamHdr+sealedSeg],
		"a byte cut off":        sealed[:len(sealed)-1],
		"a byte too many":       append(bytes.Clone(sealed), 0),
		"a segment too many":    bytes.Join([][]byte{sealed, s(sealed, 2)}, nil),
		"middle left out":       bytes.Join([][]byte{head, s(sealed, 0), s(sealed, 2)}, nil),
		"swapped":               bytes.Join([][]byte{head, s(sealed, 1), s(sealed, 0), s(sealed, 2)}, nil),
		"repeated":              bytes.Join([][]byte{head, s(sealed, 0), s(sealed, 0), s(sealed, 2)}, nil),
		"another stream's":      bytes.Join([][]byte{head, s(sealed, 0), s(other, 1), s(sealed, 2)}, nil),
		"another stream's head": bytes.Join([][]byte{other[:streamHdr], sealed[streamHdr:]}, nil),
		"magic":                 flip(0), "version": flip(2), "algorithm": flip(3), "key": flip(5), "salt": flip(streamHdr - 1),
		"nonce": flip(streamHdr), "body": flip(streamHdr + sealedSeg + 100), "tag": flip(len(sealed) - 1),
		"a value": mustSeal(t, f.Keeper, string(noise(200)), place),
	} {
		for _, parallel := range []int{1, 2} {
			got, err := openStream(f.Keeper, bad, place, parallel)
			if !errors.Is(err, crypto.ErrTampered) || !bytes.HasPrefix(plain, got) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
		r, err := f.NewReaderAt(t.Context(), bytes.NewReader(bad), int64(len(bad)), place)
		if err == nil {
			var got []byte
			got, err = io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			if len(got) == len(plain) {
				t.Errorf("%s: all was read at random", name)
			}
		}
		if !errors.Is(err, crypto.ErrTampered) {
			t.Errorf("%s at random: %v", name, err)
		}
	}
	moved := place
	moved.Row = "18"
	if got, err := openStream(f.Keeper, sealed, moved, 1); !errors.Is(err, crypto.ErrTampered) || len(got) > 0 {
		t.Errorf("moved: %v", err)
	}
	moved.Subject = "u-2"
	if _, err := openStream(f.Keeper, sealed, moved, 1); !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("another's: %v", err)
	}
	if _, err := f.Open(t.Context(), nil, sealed, place); !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("a stream as a value: %v", err)
	}
	if len(f.rec.Find("crypto.open")) == 0 {
		t.Error("no event")
	}
	f.rec.WantWithout(t, string(plain[:20]))
	for _, e := range f.rec.Find("crypto.open") {
		if e.Outcome != auditlog.Denied {
			t.Errorf("event %+v", e)
		}
	}
	if r, err := f.NewReaderAt(t.Context(), bytes.NewReader(sealed[:len(sealed)-10]), int64(len(sealed)), place); r != nil || !errors.Is(err, crypto.ErrTampered) {
		t.Errorf("a file shorter than its size: %v", err)
	}
}

func TestStreamFaults(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	broken := errors.New("disk gone")
	for _, limit := range []int{0, streamHdr, streamHdr + 10, streamHdr + sealedSeg} {
		w, err := f.NewWriter(t.Context(), &brokenWriter{left: limit, err: broken}, place, crypto.StreamOptions{})
		if err == nil {
			_, err = w.Write(noise(3 * seg))
			err = errors.Join(err, w.Close())
			if _, again := w.Write([]byte{1}); !errors.Is(again, broken) {
				t.Errorf("after %d bytes, written again: %v", limit, again)
			}
		}
		wantErr(t, err, broken)
	}
	sealed := sealStream(t, f.Keeper, noise(3*seg), 1)
	for _, n := range []int{3, streamHdr, streamHdr + seg} {
		src := io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(broken))
		r, err := f.NewReader(t.Context(), src, place, crypto.StreamOptions{})
		if err == nil {
			_, err = io.ReadAll(r)
		}
		wantErr(t, err, broken)
	}
	for name, src := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(sealed)), "half": iotest.HalfReader(bytes.NewReader(sealed)), "data with EOF": iotest.DataErrReader(bytes.NewReader(sealed)),
	} {
		r, err := f.NewReader(t.Context(), src, place, crypto.StreamOptions{Parallel: 2})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, noise(3*seg)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	r, err := f.NewReader(t.Context(), io.MultiReader(bytes.NewReader(sealed[:100]), idle{}), place, crypto.StreamOptions{})
	if err == nil {
		_, err = io.ReadAll(r)
	}
	wantErr(t, err, io.ErrNoProgress)
	for _, o := range []crypto.StreamOptions{{Parallel: -1}, {Parallel: 65}} {
		if _, err := f.NewWriter(t.Context(), io.Discard, place, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	_, err = f.NewWriter(t.Context(), io.Discard, crypto.Binding{}, crypto.StreamOptions{})
	wantErr(t, err, crypto.ErrBinding)
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// A stream that is being read ends when its key is destroyed.
func TestStreamOfAnErasedPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, crypto.Options{})
		other := f.instance(t, crypto.Options{})
		r, err := other.NewReader(t.Context(), bytes.NewReader(sealStream(t, f.Keeper, noise(5*seg), 1)), place, crypto.StreamOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, seg)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Destroy(t.Context(), "acme", "u-1", "r"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, err = io.ReadAll(r)
		wantErr(t, err, crypto.ErrShredded)
	})
}

// Tink's streaming AEAD takes 1 MiB for 200 bytes.
func TestShortStreamsTakeLittleMemory(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	sealed := sealStream(t, f.Keeper, noise(200), 1)
	res := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := openStream(f.Keeper, sealed, place, 4); err != nil {
				b.Fatal(err)
			}
		}
	})
	if n := res.AllocedBytesPerOp(); n > 16<<10 {
		t.Errorf("opening 200 bytes takes %d bytes of memory", n)
	}
}

func FuzzStream(f *testing.F) {
	fx := newFixture(f, crypto.Options{})
	sealed := sealStream(f, fx.Keeper, noise(300), 1)
	f.Add(sealed[:streamHdr], []byte{})
	f.Add(sealed, []byte{1})
	f.Add(sealed[:streamHdr+100], sealed[streamHdr+100:])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		in := append(bytes.Clone(a), b...)
		got, err := openStream(fx.Keeper, in, place, 1)
		fx.rec.Reset()
		if err == nil && (!bytes.Equal(in, sealed) || !bytes.Equal(got, noise(300))) {
			t.Errorf("%d bytes open as %d", len(in), len(got))
		}
	})
}

func BenchmarkStream(b *testing.B) {
	f := newFixture(b, crypto.Options{Cache: crypto.CachePolicy{MaxBytes: 1 << 60}})
	plain := noise(16 << 20)
	for _, parallel := range []int{1, 2} {
		b.Run(fmt.Sprint("seal/", parallel), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				w, err := f.NewWriter(b.Context(), io.Discard, place, crypto.StreamOptions{Parallel: parallel})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := w.Write(plain); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		sealed := sealStream(b, f.Keeper, plain, 1)
		b.Run(fmt.Sprint("open/", parallel), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				r, err := f.NewReader(b.Context(), bytes.NewReader(sealed), place, crypto.StreamOptions{Parallel: parallel})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// io.Copy takes WriteTo: all of it, in order, and its errors.
func TestStreamWriteTo(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	for _, parallel := range []int{1, 2, 3} {
		for _, n := range []int{0, 1, seg, 40*seg + 7} {
			sealed := sealStream(t, f.Keeper, noise(n), 1)
			r, err := f.NewReader(t.Context(), bytes.NewReader(sealed), place, crypto.StreamOptions{Parallel: parallel})
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if m, err := r.WriteTo(&got); err != nil || m != int64(n) || !bytes.Equal(got.Bytes(), noise(n)) {
				t.Errorf("%d bytes, %d at a time: %d, %v", n, parallel, m, err)
			}
			if m, err := r.WriteTo(&got); m != 0 || err != nil {
				t.Errorf("again: %d, %v", m, err)
			}
		}
	}
	sealed := sealStream(t, f.Keeper, noise(20*seg), 1)
	open := func(src io.Reader) *crypto.StreamReader {
		t.Helper()
		r, err := f.NewReader(t.Context(), src, place, crypto.StreamOptions{Parallel: 2})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	broken := errors.New("disk gone")
	_, err := open(bytes.NewReader(sealed)).WriteTo(&brokenWriter{left: 3 * seg, err: broken})
	wantErr(t, err, broken)
	_, err = open(bytes.NewReader(sealed)).WriteTo(shortWriter{})
	wantErr(t, err, io.ErrShortWrite)
	_, err = open(bytes.NewReader(sealed[:len(sealed)-1])).WriteTo(io.Discard)
	wantErr(t, err, crypto.ErrTampered)

	// What was read before the source broke is returned first.
	n, err := open(io.MultiReader(bytes.NewReader(sealed[:streamHdr+17*sealedSeg]), iotest.ErrReader(broken))).WriteTo(io.Discard)
	wantErr(t, err, broken)
	if n == 0 || n%seg != 0 {
		t.Errorf("%d bytes before the source broke", n)
	}
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

// However the data comes, in one piece or from a reader, and however many
// workers there are, it opens.
func TestStreamWritersAgree(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	const chunk = 4 * seg
	for _, parallel := range []int{1, 2, 3} {
		for _, n := range []int{0, 1, seg, chunk - 1, chunk, chunk + 1, 3 * chunk, 8*chunk + 1, 20*seg + 7} {
			for name, feed := range map[string]func(*crypto.StreamWriter, []byte) error{
				"Write": func(w *crypto.StreamWriter, p []byte) error {
					_, err := w.Write(p)
					return err
				},
				"ReadFrom": func(w *crypto.StreamWriter, p []byte) error {
					m, err := w.ReadFrom(iotest.HalfReader(bytes.NewReader(p)))
					if m != int64(n) {
						t.Errorf("%d of %d bytes read", m, n)
					}
					return err
				},
				"both": func(w *crypto.StreamWriter, p []byte) error {
					_, err := w.Write(p[:n/3])
					if err == nil {
						_, err = io.Copy(w, bytes.NewReader(p[n/3:2*n/3]))
					}
					if err == nil {
						_, err = w.Write(p[2*n/3:])
					}
					return err
				},
			} {
				var out bytes.Buffer
				w, err := f.NewWriter(t.Context(), &out, place, crypto.StreamOptions{Parallel: parallel})
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(feed(w, noise(n)), w.Close()); err != nil {
					t.Fatal(err)
				}
				if got, err := openStream(f.Keeper, out.Bytes(), place, 1); err != nil || !bytes.Equal(got, noise(n)) {
					t.Errorf("%s of %d bytes, %d at a time: %d bytes, %v", name, n, parallel, len(got), err)
				}
			}
		}
	}
}

func TestStreamReadFromFaults(t *testing.T) {
	f := newFixture(t, crypto.Options{})
	broken := errors.New("disk gone")
	for _, parallel := range []int{1, 2} {
		for _, limit := range []int{streamHdr, streamHdr + 6*sealedSeg} {
			w, err := f.NewWriter(t.Context(), &brokenWriter{left: limit, err: broken}, place, crypto.StreamOptions{Parallel: parallel})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.ReadFrom(bytes.NewReader(noise(40 * seg)))
			wantErr(t, err, broken)
			wantErr(t, w.Close(), broken)
		}
		var out bytes.Buffer
		w, err := f.NewWriter(t.Context(), &out, place, crypto.StreamOptions{Parallel: parallel})
		if err != nil {
			t.Fatal(err)
		}
		n, err := w.ReadFrom(io.MultiReader(bytes.NewReader(noise(9*seg+5)), iotest.ErrReader(broken)))
		wantErr(t, err, broken)
		if n != 9*seg+5 {
			t.Errorf("%d bytes", n)
		}
		// What was read is not lost: the caller may go on, or end here.
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := openStream(f.Keeper, out.Bytes(), place, 1); err != nil || !bytes.Equal(got, noise(9*seg+5)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}
