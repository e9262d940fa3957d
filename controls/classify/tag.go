package classify

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// parse fills the field from its tag.
func (f *Field) parse(tag string) error {
	seen := make(map[string]bool)
	for option := range strings.SplitSeq(tag, ",") {
		key, value, hasValue := strings.Cut(strings.TrimSpace(option), "=")
		if seen[key] {
			return fmt.Errorf("option %q is repeated", key)
		}
		seen[key] = true
		if err := f.option(key, value, hasValue); err != nil {
			return err
		}
	}
	return f.settle()
}

// option applies one option. Flags take no value and everything else needs one.
func (f *Field) option(key, value string, hasValue bool) error {
	flag := key == "pii" || key == "special"
	if flag && hasValue || !flag && key != "encrypt" && value == "" || key == "encrypt" && hasValue && value == "" {
		return fmt.Errorf("option %q: a value is missing or out of place", key)
	}
	var err error
	switch key {
	case "pii":
		f.Personal = true
	case "special":
		f.Personal, f.Special = true, true
	case "class":
		f.Class, err = ParseClass(value)
	case "category":
		f.Category, err = word(value, ".")
	case "purpose":
		f.Purposes, err = words(value)
	case "retention":
		f.Retention, err = ParsePeriod(value)
	case "encrypt":
		f.Encryption, err = parseEncryption(value)
	case "index":
		f.BlindIndex, err = word(value, "")
	case "norm":
		f.Normalise, err = word(value, "")
	case "column":
		f.Column, err = word(value, "")
	default:
		err = fmt.Errorf("unknown option %q", key)
	}
	return err
}

// settle fills in the class and refuses contradictions.
func (f *Field) settle() error {
	switch {
	case f.Class != Unclassified:
	case f.Special:
		f.Class = Restricted
	case f.Personal || f.Encryption != None:
		f.Class = Confidential
	}
	switch {
	case f.Class == Unclassified:
		return fmt.Errorf("the tag states neither a class nor pii, special or encrypt")
	case f.Personal && !f.Class.AtLeast(Internal):
		return fmt.Errorf("personal data can't be of class %v", f.Class)
	case f.BlindIndex != "" && f.Encryption == None:
		return fmt.Errorf("option %q needs encrypt: a blind index of a readable column hides nothing", "index")
	case f.Normalise != "" && f.BlindIndex == "" && f.Encryption != Deterministic:
		return fmt.Errorf("option %q needs index or encrypt=deterministic", "norm")
	}
	return nil
}

func parseEncryption(s string) (Encryption, error) {
	switch s {
	case "", "randomised":
		return Randomised, nil
	case "deterministic":
		return Deterministic, nil
	}
	return None, fmt.Errorf("encrypt %q: want randomised or deterministic", s)
}

func words(s string) ([]string, error) {
	list := strings.Split(s, "|")
	for _, w := range list {
		if _, err := word(w, "."); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// word accepts names that are safe in SQL, JSON and file names as they are.
func word(s, alsoAllowed string) (string, error) {
	ok := s != "" && len(s) <= 64
	for _, c := range s {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '_' || c == '-' || strings.ContainsRune(alsoAllowed, c))
	}
	if !ok {
		return "", fmt.Errorf("name %q: want 1 to 64 letters, digits, _ or -", s)
	}
	return s, nil
}

// columnOf is the db tag's name or the field's name in snake case.
func columnOf(sf reflect.StructField) string {
	if name, _, _ := strings.Cut(sf.Tag.Get("db"), ","); name != "" && name != "-" {
		return name
	}
	return snake(sf.Name)
}

// snake writes a Go name in snake case: UserID is user_id, HTTPPort http_port.
func snake(s string) string {
	var b strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		if unicode.IsUpper(r) {
			endsWord := i > 0 && !unicode.IsUpper(runes[i-1]) && runes[i-1] != '_'
			startsWord := i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])
			if endsWord || startsWord {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
