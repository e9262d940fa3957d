// Package textsafe makes text that strangers wrote harmless where programs
// would act on it: in a spreadsheet and on a terminal.
package textsafe

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CSV neutralises a cell that a spreadsheet would run as a formula, by putting
// an apostrophe before it (OWASP, CSV injection). It decides by the first
// character that can be seen, because spreadsheets skip others; a cell with
// others before it gets the apostrophe too. Plain signed decimals stay as they
// are. Quotes and separators are [encoding/csv]'s.
func CSV(cell string) string {
	if number(cell) {
		return cell
	}
	visible := strings.TrimLeftFunc(cell, unseen)
	if visible == "" {
		return cell
	}
	first, _ := utf8.DecodeRuneInString(visible)
	if visible != cell || strings.ContainsRune(formula, first) {
		return "'" + cell
	}
	return cell
}

// formula are the characters that begin a formula or a command, with the forms
// that some spreadsheets take for them: full-width, small, and the minus sign.
const formula = "=+-@|%" + "\uff1d\uff0b\uff0d\uff20\uff5c\uff05" + "\ufe66\ufe62\ufe63\ufe6b\ufe6a" + "\u2212\u207a\u207b\u207c\u208a\u208b\u208c"

// unseen reports whether a character leaves no mark.
func unseen(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// number reports whether a cell is a plain signed decimal.
func number(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(s, ".")
	return digits(whole) && (!point || digits(fraction))
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Terminal replaces by U+FFFD what a terminal would act on or hide: control
// characters other than newline and tab, bytes that are no UTF-8, and Unicode
// characters that turn the direction of text, break lines or leave no mark,
// except the joiners that some scripts need.
func Terminal(s string) string {
	return strings.Map(func(r rune) rune {
		const nonJoiner, joiner = '\u200c', '\u200d'
		switch {
		case r == '\n', r == '\t', r == nonJoiner, r == joiner:
			return r
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return utf8.RuneError
		}
		return r
	}, s)
}
