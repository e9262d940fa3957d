package federation

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/surety-go/surety/authn"
)

// AccountID is a pseudonym for the subject of an issuer: the same for the
// same two, and different for any other two. It tells neither.
func AccountID(issuer, subject string) string {
	h := sha256.New()
	for _, s := range []string{"surety federation v1", issuer, subject} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return "f-" + strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)[:20]))
}

// An Assurance says what an issuer's statements about how somebody
// authenticated are worth. The zero Assurance takes them for one factor,
// whatever they say.
type Assurance struct {
	// ACR are the levels of the issuer's values of "acr".
	ACR map[string]authn.AAL
	// AMR are the levels of single values of "amr", such as "mfa" for AAL2.
	AMR map[string]authn.AAL
}

// Validate reports a level that is none.
func (a Assurance) Validate() error {
	for _, levels := range []map[string]authn.AAL{a.ACR, a.AMR} {
		for value, level := range levels {
			if value == "" || level < authn.AAL1 || level > authn.AAL3 {
				return fmt.Errorf("federation: Assurance: %.40q: %v: want a value and AAL1 to AAL3", value, level)
			}
		}
	}
	return nil
}

// Judge returns the level of a statement, at least one factor, and its
// methods. Methods count only when the statement is worth more than one
// factor: else an issuer that is not trusted to tell them could spare its
// people the second one here.
func (a Assurance) Judge(acr string, amr []string) (authn.AAL, []string) {
	level := max(authn.AAL1, a.ACR[acr])
	for _, m := range amr {
		level = max(level, a.AMR[m])
	}
	methods := []string{"fed"}
	if level > authn.AAL1 {
		for _, m := range amr {
			if len(m) <= 32 && len(methods) < 16 && !slices.Contains(methods, m) {
				methods = append(methods, m)
			}
		}
		if !slices.Contains(methods, "mfa") {
			methods = append(methods, "mfa")
		}
	}
	return level, methods
}
