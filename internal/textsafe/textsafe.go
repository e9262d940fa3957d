// Package textsafe makes text harmless where programs would act on it.
package textsafe

import (
	"strings"
	"unicode"
)

// CSV neutralises a cell that a spreadsheet would run as a formula, by putting
// an apostrophe before it (OWASP, CSV injection). Numbers stay as they are.
func CSV(cell string) string {
	if cell == "" || number(cell) {
		return cell
	}
	switch trimmed := strings.TrimLeft(cell, " \t\r\n\u00a0"); {
	case trimmed == "":
		return cell
	case strings.ContainsRune("=+-@|%\uff1d\uff0b\uff0d\uff20", []rune(trimmed)[0]), trimmed != cell:
		return "'" + cell
	}
	return cell
}

// number reports whether a cell is a plain signed decimal.
func number(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(s, ".")
	return digits(whole) && (!point || digits(fraction))
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Terminal replaces what a terminal would act on or hide: control characters
// other than newline and tab, and the marks that turn the direction of text.
func Terminal(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f:
			return '\uFFFD'
		}
		return r
	}, s)
}
