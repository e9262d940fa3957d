package engine

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// A signatureLine is a line of a signed note (C2SP signed-note), unverified.
type signatureLine struct {
	name string
	hash uint32
	sig  []byte // without the key hash
}

// signatures reads the signature lines of a note; malformed ones are passed
// over.
func signatures(msg []byte) (list []signatureLine) {
	_, lines, _ := strings.Cut(string(msg), "\n\n")
	for line := range strings.Lines(lines) {
		name, text, ok := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "— "), " ")
		b, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(b) < 5 || !strings.HasPrefix(line, "— ") {
			continue
		}
		list = append(list, signatureLine{name, binary.BigEndian.Uint32(b), b[4:]})
	}
	return list
}
