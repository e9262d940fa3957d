package crypto_test

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"

	"github.com/surety-go/surety/crypto"
)

// BenchmarkSeal compares with AES-256-GCM alone, with a random nonce.
func BenchmarkSeal(b *testing.B) {
	f := newFixture(b, crypto.Options{Cache: crypto.CachePolicy{MaxUses: 1 << 40, MaxBytes: 1 << 60}})
	d := newFixture(b, crypto.Options{Algorithm: crypto.AES256GCMDerived, Cache: crypto.CachePolicy{MaxUses: 1 << 40, MaxBytes: 1 << 60}})
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	raw, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{64, 1024, 16384} {
		plain, dst, out := make([]byte, n), make([]byte, 0, n+crypto.Overhead), make([]byte, 0, n+crypto.Overhead)
		ctx := b.Context()
		b.Run(fmt.Sprint("raw/", n), func(b *testing.B) {
			for b.Loop() {
				raw.Seal(dst, nil, plain, nil)
			}
		})
		for name, k := range map[string]*fixture{"keeper": f, "derived": d} {
			b.Run(fmt.Sprint(name, "/", n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := k.Seal(ctx, dst, plain, place); err != nil {
						b.Fatal(err)
					}
				}
			})
			sealed := mustSeal(b, k.Keeper, string(plain), place)
			b.Run(fmt.Sprint(name, "-open/", n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := k.Open(ctx, out, sealed, place); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		sealed := raw.Seal(nil, nil, plain, nil)
		b.Run(fmt.Sprint("raw-open/", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := raw.Open(out, nil, sealed, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
