package password

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"
)

// words are what passwords are mostly made of when they are common, one a
// line, folded: names, words, brands, keyboard walks.
//
//go:embed words.txt
var words string

var wordSet = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		set[fold(w)] = true
	}
	return set
})

// common reports whether a password is one that guessing programs try first:
// one or two common words with digits or punctuation around them, a repeated
// piece, or a walk over digits, letters or keys. Few of the real passwords
// are refused by that, and nearly all of a list of the commonest.
func common(text string) bool {
	lower := strings.ToLower(text)
	if strings.Trim(text, "0123456789") == "" && len(text) <= 10 {
		return true // dates of birth and telephone numbers
	}
	for _, s := range []string{lower, fold(text)} {
		if repeated(s) || walk(s) || made(strip(s)) {
			return true
		}
	}
	return made(strip(fold(strip(lower))))
}

// strip takes digits and punctuation off both ends.
func strip(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r < 'a' && r < utf8.RuneSelf || r > 'z' && r < utf8.RuneSelf })
}

// made reports whether s is one or two common words.
func made(s string) bool {
	set := wordSet()
	if set[s] || len(s) >= 4 && repeated(s) {
		return true
	}
	for i := 3; i <= len(s)-3; i++ {
		if set[s[:i]] && set[s[i:]] {
			return true
		}
	}
	return false
}

// repeated reports whether s is one piece of at most 4 bytes over and over.
func repeated(s string) bool {
	for n := 1; n <= 4 && 2*n <= len(s); n++ {
		if strings.HasPrefix(strings.Repeat(s[:n], len(s)/n+1), s) {
			return true
		}
	}
	return false
}

var walks = []string{
	"01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./",
	"qwertzuiopü", "yxcvbnm", "azertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0",
	"!@#$%^&*()", "qazwsxedcrfvtgbyhnujmikolp", "zaq12wsxcde34rfvbgt56yhnmju78ik,.lo90p;/", "14725836", "147258369", "741852963", "789456123", "159753", "00112233445566778899", "aabbccddeeffgghh",
}

// walk reports whether s is made of at most three runs along a keyboard,
// alphabet or count, forwards or backwards.
func walk(s string) bool {
	runs := 0
	for s != "" && runs < 3 {
		n := longestWalk(s)
		if n < 3 {
			return false
		}
		s = s[n:]
		runs++
	}
	return s == "" || len(s) < 2
}

func longestWalk(s string) int {
	best := 0
	for _, w := range walks {
		for _, dir := range []string{w, reverse(w)} {
			for n := min(len(s), len(dir)); n > best; n-- {
				if strings.Contains(dir, s[:n]) {
					best = n
				}
			}
		}
	}
	return best
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}
