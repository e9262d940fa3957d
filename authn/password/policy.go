package password

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A RefusedError says why a new password is not accepted. It never holds the
// password.
type RefusedError struct {
	// Reason is "short", "long", "common", "context", "breached" or "form".
	Reason string
	// Public is a sentence for the person.
	Public string
}

// Error says why.
func (e *RefusedError) Error() string { return "password: refused: " + e.Public }

// A Breaches knows passwords that were published. [Pwned] is one.
type Breaches interface {
	// Breached reports whether the password is known to be in a breach.
	Breached(ctx context.Context, password string) (bool, error)
}

// A Policy judges new passwords as SP 800-63B-4, 3.1.1.2 asks: by length and
// by what attackers try first. There are no rules of composition and no
// expiry. The zero Policy is ready.
type Policy struct {
	// MinLength is the least length in code points when a password is only
	// one of two factors; 0 is 8, which is also the least.
	MinLength int
	// MinLengthAlone is the same when it is the only factor; 0 is 15, which
	// is also the least.
	MinLengthAlone int
	// Context are words of the service that attackers try: its name, the
	// company's. Of 4 characters and more.
	Context []string
	// Breaches is asked about passwords that pass otherwise; nil is nobody.
	// When it can't answer, the password is refused unless BreachesOptional.
	Breaches Breaches
	// BreachesOptional accepts passwords while Breaches does not answer.
	BreachesOptional bool
}

// MaxPolicyLength is the longest password a Policy accepts, in code points.
const MaxPolicyLength = 256

// Least is the least length of a password in code points, as the only factor or
// as one of two.
func (p *Policy) Least(alone bool) int {
	if alone {
		return max(15, p.MinLengthAlone)
	}
	return max(8, p.MinLength)
}

// Check returns nil or a *RefusedError. Alone says that the password is the
// only factor. The words are the account's: login name, display name.
func (p *Policy) Check(ctx context.Context, password string, alone bool, words ...string) error {
	text, err := normalise(password)
	if err != nil {
		return refuse("form", "The password is empty, too long or not text.")
	}
	n := utf8.RuneCountInString(text)
	switch least := p.Least(alone); {
	case n < least:
		return refuse("short", fmt.Sprintf("The password is too short: use at least %d characters.", least))
	case n > MaxPolicyLength:
		return refuse("long", fmt.Sprintf("The password is too long: use at most %d characters.", MaxPolicyLength))
	}
	folded := fold(text)
	for _, w := range append(splitWords(words), splitWords(p.Context)...) {
		if rest := strings.ReplaceAll(folded, w, ""); rest != folded && utf8.RuneCountInString(rest) < 6 {
			return refuse("context", "The password is mostly a word that others would guess: your name, or the service's.")
		}
	}
	if common(text) {
		return refuse("common", "This password is one of the first that attackers try.")
	}
	return p.breached(ctx, password)
}

func (p *Policy) breached(ctx context.Context, password string) error {
	if p.Breaches == nil {
		return nil
	}
	switch found, err := p.Breaches.Breached(ctx, password); {
	case err != nil && !p.BreachesOptional:
		return fmt.Errorf("password: breaches: %w", err)
	case found:
		return refuse("breached", "This password was published in a data breach.")
	}
	return nil
}

func refuse(reason, public string) error { return &RefusedError{reason, public} }

// fold makes spellings that people take for variations the same.
func fold(s string) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1 // accents
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
	return leet.Replace(plain)
}

var leet = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// splitWords folds words and takes the parts of names and addresses apart.
func splitWords(words []string) []string {
	var list []string
	for _, w := range words {
		parts := strings.FieldsFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for _, part := range append(parts, w) {
			if f := fold(part); utf8.RuneCountInString(f) >= 4 {
				list = append(list, f)
			}
		}
	}
	return list
}
