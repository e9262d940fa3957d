package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/surety-go/surety/controls"
)

// A Purpose names what personal data is used for: lower-case letters, digits,
// "-" and "_", at most 64 bytes, such as "payroll".
type Purpose string

// A Basis is a lawful basis for processing, GDPR Article 6(1).
type Basis uint8

// The lawful bases. The zero Basis is none, and refused.
const (
	basisNone          Basis = iota
	Consent                  // (a) the person agreed, and may withdraw
	Contract                 // (b) a contract with the person needs it
	LegalObligation          // (c) a law demands it
	VitalInterests           // (d) a life depends on it
	PublicTask               // (e) an official task needs it
	LegitimateInterest       // (f) an interest that the person's does not outweigh
)

var basisNames = [...]string{"none", "consent", "contract", "legal-obligation", "vital-interests", "public-task", "legitimate-interest"}

// String returns the basis's name as evidence spells it.
func (b Basis) String() string {
	if int(b) < len(basisNames) {
		return basisNames[b]
	}
	return "unknown"
}

// A Declaration states a purpose and on what basis data is used for it.
type Declaration struct {
	Purpose Purpose
	Title   string // for people: "Paying salaries"
	Basis   Basis
	// Sale says that California calls it selling or sharing: it is refused to
	// people whose browser sends Sec-GPC (CCPA, 11 CCR 7025).
	Sale bool
	// SpecialGround is the ground of GDPR Art. 9(2) on which special-category
	// data is used, if not explicit consent: "9(2)(b) employment law".
	SpecialGround string
}

// ErrDeclaration is returned, wrapped with what is wrong, for declarations
// that can't stand.
var ErrDeclaration = errors.New("privacy: bad declaration")

// declarations checks a list and files it by purpose.
func declarations(list []Declaration) (map[Purpose]Declaration, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no purpose is declared", ErrDeclaration)
	}
	m := make(map[Purpose]Declaration, len(list))
	for _, d := range list {
		switch _, dup := m[d.Purpose]; {
		case !valid(d.Purpose):
			return nil, fmt.Errorf("%w: purpose %q: want 1 to 64 lower-case letters, digits, - or _", ErrDeclaration, clip(string(d.Purpose)))
		case dup:
			return nil, fmt.Errorf("%w: purpose %q is declared twice", ErrDeclaration, d.Purpose)
		case d.Title == "":
			return nil, fmt.Errorf("%w: purpose %q has no title for people", ErrDeclaration, d.Purpose)
		case d.Basis == basisNone || int(d.Basis) >= len(basisNames):
			return nil, fmt.Errorf("%w: purpose %q has no lawful basis", ErrDeclaration, d.Purpose)
		}
		m[d.Purpose] = d
	}
	return m, nil
}

func valid(p Purpose) bool {
	ok := p != "" && len(p) <= 64
	for _, c := range p {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	return ok
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

type purposeKey struct{}

// WithPurpose returns a context under which data is used for p. Handlers get
// theirs from the guard; background work states its own.
func WithPurpose(ctx context.Context, p Purpose) context.Context {
	return context.WithValue(ctx, purposeKey{}, p)
}

// PurposeFrom returns the context's purpose, or "" when none was stated.
func PurposeFrom(ctx context.Context) Purpose {
	p, _ := ctx.Value(purposeKey{}).(Purpose)
	return p
}

type optOutKey struct{}

// WithOptOut returns a context in which the person's browser asked not to be
// sold or shared: the Global Privacy Control. [Gate.Require] reads the header.
func WithOptOut(ctx context.Context) context.Context {
	return context.WithValue(ctx, optOutKey{}, true)
}

// OptedOut reports whether the context carries the signal.
func OptedOut(ctx context.Context) bool { return ctx.Value(optOutKey{}) != nil }

// names lists purposes in order, for messages and parameters.
func names[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = string(p)
	}
	slices.Sort(out)
	return out
}

// parameters lists the declared purposes with their bases.
func parameters(m map[Purpose]Declaration) []controls.Parameter {
	keys := make([]Purpose, 0, len(m))
	for p := range m {
		keys = append(keys, p)
	}
	var list []controls.Parameter
	for _, p := range names(keys) {
		list = append(list, controls.Text("basis_"+p, m[Purpose(p)].Basis.String()))
	}
	return list
}
