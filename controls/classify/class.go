package classify

import "fmt"

// A Class says how much harm disclosure of a value would do.
type Class uint8

// The classes, from unknown to most harmful.
const (
	// Unclassified is the zero value: nobody has decided yet. [Class.AtLeast]
	// treats it as Restricted, so forgetting a tag never lowers protection.
	Unclassified Class = iota
	Public
	Internal
	Confidential
	Restricted
)

var classNames = [...]string{"unclassified", "public", "internal", "confidential", "restricted"}

// String returns the class's name as tags and evidence spell it.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unclassified"
}

// AtLeast reports whether c needs at least the protection of d. An
// unclassified value needs all of it.
func (c Class) AtLeast(d Class) bool { return c == Unclassified || c >= d }

// ParseClass reads the name of a class other than unclassified.
func ParseClass(s string) (Class, error) {
	for i, name := range classNames[1:] {
		if s == name {
			return Class(i + 1), nil
		}
	}
	return Unclassified, fmt.Errorf("class %q: want public, internal, confidential or restricted", s)
}

// MarshalText writes the class's name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the class's name.
func (c *Class) UnmarshalText(b []byte) error {
	if string(b) == classNames[Unclassified] {
		*c = Unclassified
		return nil
	}
	parsed, err := ParseClass(string(b))
	if err != nil {
		return fmt.Errorf("classify: %w", err)
	}
	*c = parsed
	return nil
}

// An Encryption says how a field is sealed at rest.
type Encryption uint8

// The ways a field can be sealed.
const (
	// None leaves the field readable to whoever reads the database.
	None Encryption = iota
	// Randomised gives a new ciphertext each time: the default of "encrypt".
	Randomised
	// Deterministic gives equal ciphertexts for equal values, which leaks
	// equality and frequency to whoever reads the database.
	Deterministic
)

var encryptionNames = [...]string{"none", "randomised", "deterministic"}

// String returns the name as evidence spells it.
func (e Encryption) String() string {
	if int(e) < len(encryptionNames) {
		return encryptionNames[e]
	}
	return "unknown"
}
