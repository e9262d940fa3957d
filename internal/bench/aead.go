package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"testing"

	tinkaead "github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// aead asks what authenticated encryption of a field costs before any key
// management: the number below which nothing that seals can get.
func aead() Group {
	g := Group{
		Name:  "aead",
		Title: "Authenticated encryption of one value",
		Note: "AES-256-GCM with a random nonce and 32 bytes of associated data, key at hand. " +
			"The floor is crypto/cipher, the peer a prebuilt Tink primitive.",
	}
	for _, size := range []int{64, 1 << 10, 16 << 10} {
		g.Cases = append(g.Cases,
			Case{Name: "seal " + bytesName(size), Rows: []Row{
				{Floor, "crypto/cipher", func(b *testing.B) { floorSeal(b, size) }},
				{Peer, "tink-go", func(b *testing.B) { tinkSeal(b, size) }},
			}},
			Case{Name: "open " + bytesName(size), Rows: []Row{
				{Floor, "crypto/cipher", func(b *testing.B) { floorOpen(b, size) }},
				{Peer, "tink-go", func(b *testing.B) { tinkOpen(b, size) }},
			}})
	}
	return g
}

func bytesName(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, err := rand.Read(b)
	check(err)
	return b
}

func newFloor() cipher.AEAD {
	block, err := aes.NewCipher(random(32))
	check(err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	check(err)
	return gcm
}

func floorSeal(b *testing.B, size int) {
	gcm, plain, data := newFloor(), random(size), random(32)
	b.SetBytes(int64(size))
	for b.Loop() {
		gcm.Seal(nil, nil, plain, data)
	}
}

func floorOpen(b *testing.B, size int) {
	gcm, data := newFloor(), random(32)
	sealed := gcm.Seal(nil, nil, random(size), data)
	b.SetBytes(int64(size))
	for b.Loop() {
		_, err := gcm.Open(nil, nil, sealed, data)
		check(err)
	}
}

func newTink() tink.AEAD {
	handle, err := keyset.NewHandle(tinkaead.AES256GCMKeyTemplate())
	check(err)
	primitive, err := tinkaead.New(handle)
	check(err)
	return primitive
}

func tinkSeal(b *testing.B, size int) {
	primitive, plain, data := newTink(), random(size), random(32)
	b.SetBytes(int64(size))
	for b.Loop() {
		_, err := primitive.Encrypt(plain, data)
		check(err)
	}
}

func tinkOpen(b *testing.B, size int) {
	primitive, data := newTink(), random(32)
	sealed, err := primitive.Encrypt(random(size), data)
	check(err)
	b.SetBytes(int64(size))
	for b.Loop() {
		_, err := primitive.Decrypt(sealed, data)
		check(err)
	}
}
