package crypto

import (
	"bytes"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

var addKAT = flag.Bool("add-known-answers", false, "write known answers of algorithms that have none yet")

// A known answer is a value sealed by an earlier version of this package. What
// was once written must open for ever: entries are added, never changed.
type knownAnswer struct {
	Name      string
	Algorithm Algorithm
	Key       string
	Binding   Binding
	Plain     string
	Sealed    string
}

func TestKnownAnswers(t *testing.T) {
	path := filepath.Join("testdata", "known-answers.json")
	var list []knownAnswer
	data, err := os.ReadFile(path)
	if err != nil && !*addKAT {
		t.Fatal(err)
	}
	if err == nil {
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[Algorithm]int{}
	for _, a := range list {
		seen[a.Algorithm]++
		t.Run(a.Name, func(t *testing.T) { a.check(t) })
	}
	for _, a := range []Algorithm{AES256GCM, AES256GCMDerived, AES256SIV, Stream} {
		if seen[a] > 0 {
			continue
		}
		if !*addKAT {
			t.Errorf("%v has no known answer", a)
			continue
		}
		list = append(list, newKnownAnswer(t, a))
	}
	if *addKAT {
		out, err := json.MarshalIndent(list, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (a *knownAnswer) check(t *testing.T) {
	sealed := unhex(t, a.Sealed)
	m, err := newMaterial(keyAlgorithm(a.Algorithm), unhex(t, a.Key), a.Binding.Tenant, a.Binding.Subject)
	if fips140.Enforced() && a.Algorithm == AES256SIV {
		if !errors.Is(err, ErrFIPS) {
			t.Errorf("error %v, want ErrFIPS", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := Inspect(sealed)
	if err != nil || h.Algorithm != a.Algorithm || h.Key != m.id {
		t.Fatalf("header %+v, %v", h, err)
	}
	plain, err := openKnown(m, a, sealed)
	if err != nil || string(plain) != a.Plain {
		t.Errorf("opens as %q, %v", plain, err)
	}
	if a.Algorithm == AES256SIV {
		if again, err := m.seal(nil, plain, &a.Binding); err != nil || !bytes.Equal(again, sealed) {
			t.Errorf("seals as %x, %v", again, err)
		}
	}
}

// keyAlgorithm is the algorithm of the keys that values are sealed with.
func keyAlgorithm(a Algorithm) Algorithm {
	if a == Stream {
		return AES256GCM
	}
	return a
}

// openKnown opens a value, or a stream of one segment.
func openKnown(m *material, a *knownAnswer, sealed []byte) ([]byte, error) {
	if a.Algorithm != Stream {
		return m.open(nil, sealed, &a.Binding)
	}
	seg, err := newSegments(m, sealed[HeaderSize:streamHeader], &a.Binding)
	if err != nil {
		return nil, err
	}
	return seg.gcm.Open(nil, nil, sealed[streamHeader:], seg.aadOf(nil, 0, true))
}

func sealKnown(m *material, a Algorithm, plain []byte, b *Binding) ([]byte, error) {
	if a != Stream {
		return m.seal(nil, plain, b)
	}
	out := appendHeader(nil, Stream, m.id)
	out = append(out, bytes.Repeat([]byte{7}, infoSize)...)
	seg, err := newSegments(m, out[HeaderSize:], b)
	if err != nil {
		return nil, err
	}
	return seg.gcm.Seal(out, nil, plain, seg.aadOf(nil, 0, true)), nil
}

func newKnownAnswer(t *testing.T, a Algorithm) knownAnswer {
	h, err := generate(keyAlgorithm(a))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := keyBytes(keyAlgorithm(a), h)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMaterial(keyAlgorithm(a), raw, "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	b := Binding{Tenant: "acme", Subject: "u-1", Table: "people", Column: "email", Row: "17", Purpose: "contact"}
	sealed, err := sealKnown(m, a, []byte("ada@example.org"), &b)
	if err != nil {
		t.Fatal(err)
	}
	return knownAnswer{a.String() + ", version 1", a, hex.EncodeToString(raw), b, "ada@example.org", hex.EncodeToString(sealed)}
}

// Blind index values are stored for as long as the values they index.
func TestKnownIndexValue(t *testing.T) {
	raw := bytes.Repeat([]byte{0x42}, 32)
	m, err := newMaterial(HMACSHA256, raw, "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	b := Binding{Tenant: "acme", Table: "people", Column: "email"}
	var sum [32]byte
	m.derive(&sum, labelIndex, append(b.AppendAAD(nil), "ada@example.org"...))
	h := hmac.New(sha256.New, raw)
	h.Write([]byte("surety blind index v1\x00\x00\x04acme\x00\x00\x00\x06people\x00\x05email\x00\x00\x00\x00ada@example.org"))
	if !bytes.Equal(sum[:], h.Sum(nil)) {
		t.Errorf("%x", sum)
	}
	if m.id.String() != "b70c1ee3cb7513a7721fa89144e0b5019420ea01bd1b7d5b4018ead2cb1adaf8" || hex.EncodeToString(sum[:]) != "b6c0f60a6ee500abcca94361a0b44b36d21d9f79dcfc991ae801b5602de21116" {
		t.Errorf("key %v, value %x", m.id, sum)
	}
}

// A derived key seals no more than its share of values, however many callers
// there are, and what all of them sealed opens.
func TestDerivedKeysAreReplaced(t *testing.T) {
	m, err := newMaterial(AES256GCMDerived, make([]byte, 32), "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	b := Binding{Tenant: "acme", Purpose: "p"}
	const callers, each = 4, derivedUses
	var mu sync.Mutex
	uses := map[[infoSize]byte]int{}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			mine := map[[infoSize]byte]int{}
			var sealed []byte
			for range each {
				var err error
				if sealed, err = m.seal(sealed[:0], nil, &b); err != nil {
					t.Error(err)
					return
				}
				mine[[infoSize]byte(sealed[HeaderSize:])]++
			}
			if _, err := m.open(nil, sealed, &b); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for info, n := range mine {
				uses[info] += n
			}
		})
	}
	wg.Wait()
	if len(uses) < callers*each/derivedUses {
		t.Errorf("%d derived keys for %d values", len(uses), callers*each)
	}
	for info, n := range uses {
		if n > derivedUses {
			t.Errorf("%x sealed %d values", info, n)
		}
	}
}

// What is opened with keys that share a slot, in turn, opens.
func TestDerivedKeysShareSlots(t *testing.T) {
	m, err := newMaterial(AES256GCMDerived, make([]byte, 32), "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	b := Binding{Tenant: "acme", Purpose: "p"}
	var list [][]byte
	for i := range 3 * openedSlots {
		m.derived.sealing.Store(nil)
		sealed, err := m.seal(nil, []byte{byte(i)}, &b)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, sealed)
	}
	for range 2 {
		for i, sealed := range list {
			if plain, err := m.open(nil, sealed, &b); err != nil || plain[0] != byte(i) {
				t.Errorf("%d: %x, %v", i, plain, err)
			}
		}
	}
}

func FuzzInspect(f *testing.F) {
	f.Add([]byte{})
	f.Add(append([]byte{magic0, magic1, version1, byte(AES256GCM)}, make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Inspect(b)
		if err == nil && !bytes.Equal(appendHeader(nil, h.Algorithm, h.Key), b[:HeaderSize]) {
			t.Errorf("%x reads as %+v", b, h)
		}
	})
}

func FuzzBinding(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'p'})
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, enc []byte) {
		b, err := ParseAAD(enc)
		if err == nil && !bytes.Equal(b.AppendAAD(nil), enc) {
			t.Errorf("%x reads as %+v, which is written otherwise", enc, b)
		}
	})
}

func FuzzOpen(f *testing.F) {
	var ms []*material
	for _, a := range []Algorithm{AES256GCM, AES256GCMDerived, AES256SIV} {
		size := 32
		if a == AES256SIV {
			size = 64
		}
		m, err := newMaterial(a, make([]byte, size), "t", "")
		if errors.Is(err, ErrFIPS) {
			continue
		}
		if err != nil {
			f.Fatal(err)
		}
		ms = append(ms, m)
		f.Add(m.header[:])
		f.Add(append(m.header[:], make([]byte, 40)...))
	}
	b := Binding{Tenant: "t", Purpose: "p"}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if len(sealed) < HeaderSize {
			return
		}
		for _, m := range ms {
			if plain, err := m.open(nil, sealed, &b); err == nil {
				t.Errorf("%v: %x opens as %x", m.alg, sealed, plain)
			}
		}
	})
}
