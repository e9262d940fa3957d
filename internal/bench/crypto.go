package main

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/localkms"
)

// field is the place that values are bound to.
var field = crypto.Binding{Tenant: "acme", Subject: "u-17", Table: "people", Column: "email", Row: "17"}

// sealing asks what it costs to seal a field with its key's management, its
// place and its header, once the key is warm.
func sealing() Group {
	g := Group{
		Name:  "sealing",
		Title: "Sealing one field, key warm",
		Note: "The floor is AES-256-GCM with a random nonce, key at hand, into a buffer with room; " +
			"the peer a prebuilt Tink primitive. Ours finds the key, binds the value to its place and writes the header. A derived key serves 2^16 values of an instance; with another one each time, none is at hand.",
	}
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		g.Cases = append(g.Cases,
			Case{Name: "seal " + bytesName(size), Rows: []Row{
				{Floor, "crypto/cipher", func(b *testing.B) { reusedSeal(b, size) }},
				{Peer, "tink-go", func(b *testing.B) { tinkSeal(b, size) }},
				{Ours, "Keeper.Seal", func(b *testing.B) { keeperSeal(b, crypto.AES256GCM, size) }},
				{Ours, "Keeper.Seal, derived keys", func(b *testing.B) { keeperSeal(b, crypto.AES256GCMDerived, size) }},
			}},
			Case{Name: "open " + bytesName(size), Rows: []Row{
				{Floor, "crypto/cipher", func(b *testing.B) { reusedOpen(b, size) }},
				{Peer, "tink-go", func(b *testing.B) { tinkOpen(b, size) }},
				{Ours, "Keeper.Open", func(b *testing.B) { keeperOpen(b, crypto.AES256GCM, size) }},
				{Ours, "Keeper.Open, derived keys", func(b *testing.B) { keeperOpen(b, crypto.AES256GCMDerived, size) }},
				{Ours, "Keeper.Open, another derived key each time", func(b *testing.B) { coldDerivedOpen(b, size) }},
			}})
	}
	return g
}

// streams asks what a file of 64 MiB costs, on one core and on two.
func streams() Group {
	const size = 64 << 20
	return Group{
		Name:  "streams",
		Title: "Sealing a stream of 64 MiB",
		Note:  "The floor seals 64 KiB segments one after the other, key at hand, and reads from no reader. The row of crypto/cipher with 2 at a time is what a second core gave in that run.",
		Cases: []Case{
			{Name: "seal 64 MiB", Rows: []Row{
				{Floor, "crypto/cipher", func(b *testing.B) { floorStream(b, size) }},
				{Peer, "crypto/cipher, 2 at a time", func(b *testing.B) { floorStreamBoth(b, size) }},
				{Peer, "tink-go, streaming", func(b *testing.B) { tinkStreamSeal(b, size) }},
				{Ours, "Keeper.NewWriter", func(b *testing.B) { streamSeal(b, size, 1) }},
				{Ours, "Keeper.NewWriter, 2 at a time", func(b *testing.B) { streamSeal(b, size, 2) }},
			}},
			{Name: "open 64 MiB", Rows: []Row{
				{Floor, "crypto/cipher", func(b *testing.B) { floorStream(b, size) }},
				{Peer, "crypto/cipher, 2 at a time", func(b *testing.B) { floorStreamBoth(b, size) }},
				{Peer, "tink-go, streaming", func(b *testing.B) { tinkStreamOpen(b, size) }},
				{Ours, "Keeper.NewReader", func(b *testing.B) { streamOpen(b, size, 1) }},
				{Ours, "Keeper.NewReader, 2 at a time", func(b *testing.B) { streamOpen(b, size, 2) }},
			}},
		},
	}
}

// newKeeper returns a keeper whose key stays warm for the whole measurement.
func newKeeper(b *testing.B, a crypto.Algorithm) *crypto.Keeper {
	k, _, _ := newKeeperOn(b, a)
	return k
}

func newKeeperOn(b *testing.B, a crypto.Algorithm) (*crypto.Keeper, crypto.KeyStore, crypto.KEK) {
	kek, err := localkms.KeyFile(b.TempDir()+"/kek.json", "")
	check(err)
	store := crypto.NewMemoryStore()
	return keeperOn(b, a, store, kek), store, kek
}

func keeperOn(b *testing.B, a crypto.Algorithm, store crypto.KeyStore, kek crypto.KEK) *crypto.Keeper {
	discard := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	k, err := crypto.NewKeeper(kek, store, discard, crypto.Options{
		Algorithm: a, Cache: crypto.CachePolicy{MaxUses: 1 << 50, MaxBytes: 1 << 60},
	})
	check(err)
	b.Cleanup(func() { check(k.Close()) })
	return k
}

func keeperSeal(b *testing.B, a crypto.Algorithm, size int) {
	k, plain, dst := newKeeper(b, a), random(size), make([]byte, 0, size+crypto.Overhead)
	ctx := context.Background()
	b.SetBytes(int64(size))
	for b.Loop() {
		_, err := k.Seal(ctx, dst, plain, field)
		check(err)
	}
}

func keeperOpen(b *testing.B, a crypto.Algorithm, size int) {
	k, dst := newKeeper(b, a), make([]byte, 0, size+crypto.Overhead)
	ctx := context.Background()
	sealed, err := k.Seal(ctx, nil, random(size), field)
	check(err)
	b.SetBytes(int64(size))
	for b.Loop() {
		_, err := k.Open(ctx, dst, sealed, field)
		check(err)
	}
}

// coldDerivedOpen opens values that different instances sealed, so that none
// finds its derived key at hand.
func coldDerivedOpen(b *testing.B, size int) {
	k, store, kek := newKeeperOn(b, crypto.AES256GCMDerived)
	ctx := context.Background()
	plain, dst := random(size), make([]byte, 0, size+crypto.Overhead)
	var values [64][]byte
	for i := range values {
		other := keeperOn(b, crypto.AES256GCMDerived, store, kek)
		var err error
		values[i], err = other.Seal(ctx, nil, plain, field)
		check(err)
	}
	b.SetBytes(int64(size))
	for i := 0; b.Loop(); i++ {
		_, err := k.Open(ctx, dst, values[i%len(values)], field)
		check(err)
	}
}

func reusedSeal(b *testing.B, size int) {
	gcm, plain, dst := newFloor(), random(size), make([]byte, 0, size+28)
	b.SetBytes(int64(size))
	for b.Loop() {
		gcm.Seal(dst, nil, plain, nil)
	}
}

func reusedOpen(b *testing.B, size int) {
	gcm, dst := newFloor(), make([]byte, 0, size+28)
	sealed := gcm.Seal(nil, nil, random(size), nil)
	b.SetBytes(int64(size))
	for b.Loop() {
		_, err := gcm.Open(dst, nil, sealed, nil)
		check(err)
	}
}

func floorStream(b *testing.B, size int) {
	gcm, plain, dst := newFloor(), random(size), make([]byte, 0, crypto.SegmentSize+28)
	b.SetBytes(int64(size))
	for b.Loop() {
		for i := 0; i < size; i += crypto.SegmentSize {
			gcm.Seal(dst, nil, plain[i:i+crypto.SegmentSize], nil)
		}
	}
}

// floorStreamBoth is what the machine's cores can do beside each other.
func floorStreamBoth(b *testing.B, size int) {
	gcm, plain := newFloor(), random(size)
	b.SetBytes(int64(size))
	for b.Loop() {
		var wg sync.WaitGroup
		for _, half := range [][]byte{plain[:size/2], plain[size/2:]} {
			wg.Go(func() {
				dst := make([]byte, 0, crypto.SegmentSize+28)
				for i := 0; i < len(half); i += crypto.SegmentSize {
					gcm.Seal(dst, nil, half[i:i+crypto.SegmentSize], nil)
				}
			})
		}
		wg.Wait()
	}
}

func newTinkStream() tink.StreamingAEAD {
	handle, err := keyset.NewHandle(streamingaead.AES256GCMHKDF1MBKeyTemplate())
	check(err)
	primitive, err := streamingaead.New(handle)
	check(err)
	return primitive
}

func tinkStreamSeal(b *testing.B, size int) {
	primitive, plain := newTinkStream(), random(size)
	b.SetBytes(int64(size))
	for b.Loop() {
		w, err := primitive.NewEncryptingWriter(io.Discard, nil)
		check(err)
		_, err = w.Write(plain)
		check(err)
		check(w.Close())
	}
}

func tinkStreamOpen(b *testing.B, size int) {
	primitive := newTinkStream()
	var sealed bytes.Buffer
	w, err := primitive.NewEncryptingWriter(&sealed, nil)
	check(err)
	_, err = w.Write(random(size))
	check(err)
	check(w.Close())
	b.SetBytes(int64(size))
	for b.Loop() {
		r, err := primitive.NewDecryptingReader(bytes.NewReader(sealed.Bytes()), nil)
		check(err)
		_, err = io.Copy(io.Discard, r)
		check(err)
	}
}

func streamSeal(b *testing.B, size, parallel int) {
	k, plain := newKeeper(b, crypto.AES256GCM), random(size)
	b.SetBytes(int64(size))
	for b.Loop() {
		w, err := k.NewWriter(context.Background(), io.Discard, field, crypto.StreamOptions{Parallel: parallel})
		check(err)
		_, err = w.Write(plain)
		check(err)
		check(w.Close())
	}
}

func streamOpen(b *testing.B, size, parallel int) {
	k := newKeeper(b, crypto.AES256GCM)
	var sealed bytes.Buffer
	w, err := k.NewWriter(context.Background(), &sealed, field, crypto.StreamOptions{})
	check(err)
	_, err = w.Write(random(size))
	check(err)
	check(w.Close())
	b.SetBytes(int64(size))
	for b.Loop() {
		r, err := k.NewReader(context.Background(), bytes.NewReader(sealed.Bytes()), field, crypto.StreamOptions{Parallel: parallel})
		check(err)
		_, err = io.Copy(io.Discard, r)
		check(err)
	}
}
