package consent

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/privacy"
)

// ErrReceipt says that a receipt does not verify.
var ErrReceipt = errors.New("consent: the receipt does not verify")

// A Receipt is what a person keeps of a choice: the record's fields that
// ISO/IEC TS 27560 names, in the form of a Kantara consent receipt.
type Receipt struct {
	SchemaVersion string     `json:"schema_version"` // of ISO/IEC TS 27560
	RecordID      string     `json:"record_id"`      // the ledger's hash of the entry
	Subject       string     `json:"pii_principal_id"`
	Controller    Controller `json:"pii_controller"`
	Notice        string     `json:"privacy_notice"` // its version
	NoticeHash    string     `json:"privacy_notice_hash,omitempty"`
	Processing    []Use      `json:"pii_processing"`
	Event         Happened   `json:"event"`
}

// A Controller answers for the data.
type Controller struct {
	Name    string `json:"name"`
	Contact string `json:"contact"`
	Country string `json:"jurisdiction,omitempty"`
}

// A Use is a purpose and its lawful basis.
type Use struct {
	Purpose     privacy.Purpose `json:"purpose"`
	LawfulBasis string          `json:"lawful_basis"`
	Withdrawal  string          `json:"withdrawal_method"`
}

// Happened is the choice itself.
type Happened struct {
	Type     string    `json:"event_type"` // "consent-given" or "consent-withdrawn"
	State    string    `json:"event_state"`
	Time     time.Time `json:"event_time"`
	Method   string    `json:"collection_method"`
	Explicit bool      `json:"explicit"`
	Guardian string    `json:"guardian,omitempty"`
}

// An Issuer signs receipts.
type Issuer struct {
	key        ed25519.PrivateKey
	controller Controller
	withdrawal string
}

// NewIssuer makes an issuer. withdrawal tells people how to take a consent
// back, such as the address of the privacy page.
func NewIssuer(key ed25519.PrivateKey, c Controller, withdrawal string) (*Issuer, error) {
	if len(key) != ed25519.PrivateKeySize || c.Name == "" || c.Contact == "" || withdrawal == "" {
		return nil, errors.New("consent: NewIssuer needs an Ed25519 key, the controller's name and contact, and how to withdraw")
	}
	return &Issuer{key, c, withdrawal}, nil
}

// header is that of a JSON Web Signature with Ed25519 (RFC 8037).
const header = `{"alg":"EdDSA","typ":"consent-receipt+jws"}`

// Issue signs a receipt for a ledger's entry, as a compact JSON Web Signature
// (RFC 7515), which any JOSE library verifies. noticeHash is the hash of the
// notice as it was shown, or empty.
func (i *Issuer) Issue(e Entry, noticeHash string) (string, error) {
	kind, state := "consent-withdrawn", "withdrawn"
	if e.Given {
		kind, state = "consent-given", "given"
	}
	payload, err := json.Marshal(Receipt{
		SchemaVersion: "ISO/IEC TS 27560:2023", RecordID: hex.EncodeToString(e.MAC[:]), Subject: e.Subject, Controller: i.controller,
		Notice: e.Notice, NoticeHash: noticeHash,
		Processing: []Use{{e.Purpose, privacy.Consent.String(), i.withdrawal}},
		Event:      Happened{kind, state, e.Time, e.Method, e.Explicit, e.Guardian},
	})
	if err != nil {
		return "", fmt.Errorf("consent: receipt: %w", err)
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString(payload)
	return signed + "." + b64.EncodeToString(ed25519.Sign(i.key, []byte(signed))), nil
}

// VerifyReceipt checks a receipt against the controller's public key, without
// the ledger.
func VerifyReceipt(public ed25519.PublicKey, receipt string) (Receipt, error) {
	parts := bytes.Split([]byte(receipt), []byte("."))
	if len(parts) != 3 || len(public) != ed25519.PublicKeySize {
		return Receipt{}, fmt.Errorf("%w: want three parts and a public key", ErrReceipt)
	}
	var decoded [3][]byte
	for i, p := range parts {
		d, err := base64.RawURLEncoding.Strict().DecodeString(string(p))
		if err != nil {
			return Receipt{}, fmt.Errorf("%w: part %d is not base64url", ErrReceipt, i+1)
		}
		decoded[i] = d
	}
	// One algorithm, one spelling: what the header says is never followed.
	if string(decoded[0]) != header {
		return Receipt{}, fmt.Errorf("%w: another kind of signature", ErrReceipt)
	}
	if !ed25519.Verify(public, []byte(receipt[:len(parts[0])+1+len(parts[1])]), decoded[2]) {
		return Receipt{}, fmt.Errorf("%w: the signature is wrong", ErrReceipt)
	}
	var r Receipt
	if err := json.Unmarshal(decoded[1], &r); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return r, nil
}
