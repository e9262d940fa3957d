package authntest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what authenticator apps use, RFC 6238
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"testing"
	"time"
)

// An App is an authenticator app that has scanned one QR code.
type App struct{ seed []byte }

// Scan reads an otpauth URI as an app does.
func Scan(tb testing.TB, uri string) *App {
	tb.Helper()
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" {
		tb.Fatalf("not an otpauth URI for TOTP: %v", err)
	}
	return Type(tb, u.Query().Get("secret"))
}

// Type reads a secret that a person typed in.
func Type(tb testing.TB, secret string) *App {
	tb.Helper()
	mustTest()
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		tb.Fatalf("the secret is not base32: %v", err)
	}
	return &App{seed}
}

// Code returns the six digits of the time step that is offset from the one at
// the given time. RFC 6238 section 4.2, written apart from the code under
// test.
func (a *App) Code(at time.Time, offset int64) string {
	mac := hmac.New(sha1.New, a.seed)
	if err := binary.Write(mac, binary.BigEndian, at.Unix()/30+offset); err != nil {
		panic(err) // a hash takes everything
	}
	sum := mac.Sum(nil)
	cut := sum[sum[19]&15:]
	n := uint32(cut[0]&0x7f)<<24 | uint32(cut[1])<<16 | uint32(cut[2])<<8 | uint32(cut[3])
	return fmt.Sprintf("%06d", n%1_000_000)
}

// Seeds is a totp.Sealer that checks where a seed belongs and hides nothing.
type Seeds struct{}

// SealSeed writes the place in front of the seed.
func (Seeds) SealSeed(_ context.Context, tenant, account, id string, seed []byte) ([]byte, error) {
	mustTest()
	return append([]byte(place(tenant, account, id)), seed...), nil
}

// OpenSeed refuses a seed that was sealed for another place.
func (Seeds) OpenSeed(_ context.Context, tenant, account, id string, sealed []byte) ([]byte, error) {
	mustTest()
	seed, ok := bytes.CutPrefix(sealed, []byte(place(tenant, account, id)))
	if !ok {
		return nil, fmt.Errorf("authntest: the seed was sealed for another tenant, account or enrolment")
	}
	return bytes.Clone(seed), nil
}

func place(tenant, account, id string) string {
	return fmt.Sprintf("%q %q %q ", tenant, account, id)
}
