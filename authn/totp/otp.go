package totp

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HMAC-SHA-1 is what authenticator apps implement; RFC 4226 section B.2 and RFC 6194 on why it stands
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"rsc.io/qr"
)

const (
	digits     = 6
	modulus    = 1_000_000
	period     = 30 // seconds of a step
	seedLength = 20 // 160 bits, RFC 4226 section 4, R6
)

// hotp is RFC 4226 section 5.3.
func hotp(seed []byte, counter uint64) uint32 {
	mac := hmac.New(sha1.New, seed)
	var c [8]byte
	binary.BigEndian.PutUint64(c[:], counter)
	mac.Write(c[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return (binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff) % modulus
}

// parseCode reads what a person typed: six digits, with spaces between them
// as apps show them.
func parseCode(s string) (uint32, bool) {
	if len(s) > 4*digits {
		return 0, false
	}
	s = strings.ReplaceAll(s, " ", "")
	if len(s) != digits {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// An Enrolment is what a person needs to set up an authenticator app. It is
// shown once and holds the secret: it is not for logs.
type Enrolment struct {
	// URI is the otpauth URI.
	URI string
	// Secret is the seed in base32, for typing it in.
	Secret string
}

func newEnrolment(issuer, label string, seed []byte) Enrolment {
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed)
	q := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {strconv.Itoa(digits)}, "period": {strconv.Itoa(period)}}
	// Apps read %20 and not "+".
	query := strings.ReplaceAll(q.Encode(), "+", "%20")
	return Enrolment{URI: "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(label) + "?" + query, Secret: secret}
}

// String hides the secret from logs.
func (e Enrolment) String() string { return "totp.Enrolment{…}" }

// GoString hides the secret from logs.
func (e Enrolment) GoString() string { return e.String() }

// PNG returns the URI as a QR code.
func (e Enrolment) PNG() ([]byte, error) {
	code, err := qr.Encode(e.URI, qr.M)
	if err != nil {
		return nil, fmt.Errorf("totp: QR code: %w", err)
	}
	return code.PNG(), nil
}

// SVG returns the URI as a QR code, an svg element that can stand in a page
// under a strict content security policy. The description is read by screen
// readers; the page shows Secret beside it.
func (e Enrolment) SVG() (string, error) {
	code, err := qr.Encode(e.URI, qr.M)
	if err != nil {
		return "", fmt.Errorf("totp: QR code: %w", err)
	}
	const quiet, module = 4, 4 // ISO/IEC 18004: four modules of white around
	side := code.Size + 2*quiet
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="QR code for your authenticator app" width="%d" height="%d" viewBox="0 0 %d %d" shape-rendering="crispEdges">`,
		side*module, side*module, side, side)
	fmt.Fprintf(&b, `<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, side, side)
	for y := range code.Size {
		for x := 0; x < code.Size; {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			}
			x += max(run, 1)
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}
