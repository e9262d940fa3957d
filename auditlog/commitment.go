package auditlog

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// commitmentPrefix names the scheme in an attribute's text.
const commitmentPrefix = "hmac-sha256:"

// Commitment returns an attribute that stands for a payload which is too large
// for an event, or that must be erasable: HMAC-SHA256 under a fresh salt of 32
// bytes, and the payload's size. The caller keeps payload and salt together;
// with both, [Commits] proves later that this payload was meant. Without the
// salt the attribute says nothing about the payload, not even to who can guess
// it, so that destroying the salt erases what is in the log.
func Commitment(key string, payload []byte) (a Attr, salt []byte) {
	salt = make([]byte, sha256.Size)
	rand.Read(salt) // crypto/rand never fails: it ends the program instead
	return String(key, commitmentOf(payload, salt)), salt
}

// Commits reports whether the text of an attribute that [Commitment] made
// stands for a payload.
func Commits(text string, payload, salt []byte) bool {
	return len(salt) == sha256.Size && hmac.Equal([]byte(text), []byte(commitmentOf(payload, salt)))
}

func commitmentOf(payload, salt []byte) string {
	m := hmac.New(sha256.New, salt)
	m.Write(payload)
	return commitmentPrefix + base64.RawStdEncoding.EncodeToString(m.Sum(nil)) + ":" + strconv.Itoa(len(payload))
}
