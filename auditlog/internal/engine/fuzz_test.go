package engine

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// A frame that checks is the one that was written, and parsing anything else
// reads nothing beyond it.
func FuzzParseFrame(f *testing.F) {
	seed := seedOf(7)
	good := appendFrame(nil, kindEntry, []byte("payload"))
	sealFrame(good, seed, 3)
	f.Add(good, uint32(7))
	f.Add(good[:9], uint32(7))
	f.Add(append(bytes.Clone(good), 1, 2, 3), uint32(8))
	f.Fuzz(func(t *testing.T, b []byte, epoch uint32) {
		seed := seedOf(uint64(epoch))
		frame, size, ok := parseFrame(b, seed)
		if !ok {
			return
		}
		if size > len(b)+frameAlign || len(frame.body) > MaxPayload {
			t.Fatalf("a frame of %d bytes in %d", size, len(b))
		}
		again := appendFrame(nil, frame.kind, frame.body)
		sealFrame(again, seed, frame.index)
		if !bytes.HasPrefix(again, b[:frameHeader+len(frame.body)]) {
			t.Fatal("the frame is not the one that was written")
		}
	})
}

// The disk changes some bytes of some file. The log opens with nothing but
// what was appended, or does not open; it never panics, and never passes one
// entry off as another.
func FuzzDamagedFiles(f *testing.F) {
	f.Add(uint8(0), uint32(70), []byte{1})
	f.Add(uint8(1), uint32(4), []byte("x"))
	f.Add(uint8(2), uint32(0), bytes.Repeat([]byte{0xff}, 64))
	f.Add(uint8(3), uint32(5000), make([]byte, 512))
	f.Fuzz(func(t *testing.T, which uint8, at uint32, with []byte) {
		w := newWorld(t)
		e := w.mustOpen()
		appended := make(acked)
		for i := range 12 {
			b := fmt.Appendf(nil, "entry %d", i)
			index, err := e.Append(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			appended[index] = b
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		names := slices.Sorted(maps.Keys(w.fs.names))
		n := w.fs.names[names[int(which)%len(names)]]
		if len(n.data) > 0 {
			copy(n.data[int(at)%min(len(n.data), 1<<14):], with) // what follows is empty
		}
		e, err := w.open()
		if err != nil {
			return
		}
		err = e.Scan(0, e.State().Size, func(i uint64, b []byte) error {
			if !bytes.Equal(appended[i], b) {
				t.Errorf("entry %d is %q", i, b)
			}
			return nil
		})
		if err == nil && e.State().Size > uint64(len(appended)) {
			t.Errorf("%d entries of %d", e.State().Size, len(appended))
		}
		_ = e.Close() // damaged tiles may keep it from publishing
	})
}
