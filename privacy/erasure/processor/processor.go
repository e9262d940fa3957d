// Package processor asks another company to erase a person, over HTTP, in the
// manner of the OpenDSR specification: a request with an id, an answer that the
// vendor signs, and a status that says when it is done.
//
//	place, err := processor.New("crm", "https://crm.example/opendsr/v3", client, processor.Ed25519(key), processor.Options{Identity: identity, Keep: keep})
//
// A vendor is an erasure.Place: it remains until its signed status says
// "completed". One that can't be reached keeps the erasure open and visible
// and fails nothing else. Asking again sends the same id, so that a vendor
// sees one request however often a crash or a retry repeats it.
package processor

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Errors of a vendor.
var (
	ErrReceipt  = errors.New("processor: the receipt does not verify")
	ErrRefused  = errors.New("processor: the request was refused")
	ErrNoAnswer = errors.New("processor: no answer")
)

// SignatureHeader is the response header with the signature over the body, in
// base64.
const SignatureHeader = "X-OpenDSR-Signature"

// A Doer sends requests; *http.Client is one, but brings no protection against
// addresses inside: see the application's client for vendors.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// A Verifier checks a vendor's signature over the bytes of an answer.
type Verifier func(body, signature []byte) error

// Ed25519 verifies with a vendor's public key.
func Ed25519(key ed25519.PublicKey) Verifier {
	return func(body, signature []byte) error {
		if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, body, signature) {
			return ErrReceipt
		}
		return nil
	}
}

// An Identity names a person to a vendor.
type Identity struct {
	Type   string `json:"identity_type"` // "email", "controller_customer_id"
	Value  string `json:"identity_value"`
	Format string `json:"identity_format"` // "raw", "sha256"
}

// A Receipt is a signed answer, for an auditor to check again.
type Receipt struct {
	Processor, RequestID string
	At                   time.Time
	Body, Signature      []byte
}

// Options are the options of a [Processor].
type Options struct {
	// Identity tells how the vendor knows a person; nil sends the account id.
	Identity func(ctx context.Context, tenant, subject string) (Identity, error)
	// Keep keeps receipts. What can't be kept counts as not received; nil
	// keeps none.
	Keep func(ctx context.Context, r Receipt) error
	// Regulation is "gdpr" (the default) or "ccpa".
	Regulation string
	// Attempts is how often a request is sent before giving up for now; 0 is
	// 3. Between them passes a second, then two, then four …
	Attempts int
	// Authorization is the header's value, if the vendor wants one.
	Authorization func(ctx context.Context) (string, error)
}

// A Processor is an erasure.Place at another company. It is safe for concurrent
// use.
type Processor struct {
	name   string
	base   *url.URL
	client Doer
	verify Verifier
	o      Options
}

// New makes a place of a vendor. endpoint is an https address under which
// "requests" lies.
func New(name, endpoint string, client Doer, verify Verifier, o Options) (*Processor, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("processor: the endpoint must be a plain https address")
	}
	if name == "" || client == nil || verify == nil || o.Attempts < 0 || o.Attempts > 10 {
		return nil, errors.New("processor: New needs a name, a client, a verifier and at most 10 attempts")
	}
	if o.Regulation == "" {
		o.Regulation = "gdpr"
	}
	if o.Attempts == 0 {
		o.Attempts = 3
	}
	if o.Identity == nil {
		o.Identity = func(_ context.Context, _, subject string) (Identity, error) {
			return Identity{"controller_customer_id", subject, "raw"}, nil
		}
	}
	return &Processor{name, u, client, verify, o}, nil
}

// Name is the place's name.
func (v *Processor) Name() string { return v.name }

// RequestID is the id under which a person's erasure is asked for: always the
// same one.
func (v *Processor) RequestID(tenant, subject string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "surety vendor v1 %d %s %d %s %s", len(v.name), v.name, len(tenant), tenant, subject))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // UUID version 8 (RFC 9562)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

type request struct {
	Regulation string     `json:"regulation"`
	ID         string     `json:"subject_request_id"`
	Type       string     `json:"subject_request_type"`
	Submitted  time.Time  `json:"submitted_time"`
	Identities []Identity `json:"subject_identities"`
	Version    string     `json:"api_version"`
}

type answer struct {
	ID     string `json:"subject_request_id"`
	Status string `json:"request_status"`
}

// Erase asks the vendor and checks its signed receipt. That the vendor has
// taken the request does not mean that it is done: see Remains.
func (v *Processor) Erase(ctx context.Context, tenant, subject string) error {
	id, err := v.o.Identity(ctx, tenant, subject)
	if err != nil {
		return fmt.Errorf("processor: %s: identity: %w", v.name, err)
	}
	body, err := json.Marshal(request{v.o.Regulation, v.RequestID(tenant, subject), "erasure", time.Now().UTC().Truncate(time.Second), []Identity{id}, "3.0"})
	if err != nil {
		return fmt.Errorf("processor: %s: %w", v.name, err)
	}
	// 409 says that it has the request already.
	_, err = v.ask(ctx, http.MethodPost, "requests", body, tenant, subject, http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusConflict)
	return err
}

// Remains is 0 once the vendor's signed status is "completed", else 1.
func (v *Processor) Remains(ctx context.Context, tenant, subject string) (int, error) {
	a, err := v.ask(ctx, http.MethodGet, "requests/"+v.RequestID(tenant, subject), nil, tenant, subject, http.StatusOK, http.StatusNotFound)
	switch {
	case err != nil:
		return 1, err
	case a.Status == "completed" || a.Status == "not_found": // of someone it never knew
		return 0, nil
	}
	return 1, nil
}

// ask sends a request, again after errors that may pass, and checks the answer.
func (v *Processor) ask(ctx context.Context, method, path string, body []byte, tenant, subject string, want ...int) (answer, error) {
	var err error
	for i := range v.o.Attempts {
		if i > 0 {
			select {
			case <-ctx.Done():
				return answer{}, fmt.Errorf("%w: %s: %w", ErrNoAnswer, v.name, ctx.Err())
			case <-time.After(time.Second << (i - 1)):
			}
		}
		var a answer
		a, err = v.once(ctx, method, path, body, tenant, subject, want)
		if err == nil || !errors.Is(err, ErrNoAnswer) {
			return a, err
		}
	}
	return answer{}, err
}

const maxAnswer = 64 << 10

func (v *Processor) once(ctx context.Context, method, path string, body []byte, tenant, subject string, want []int) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, v.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("processor: %s: %w", v.name, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if v.o.Authorization != nil {
		value, err := v.o.Authorization(ctx)
		if err != nil {
			return answer{}, fmt.Errorf("processor: %s: authorization: %w", v.name, err)
		}
		r.Header.Set("Authorization", value)
	}
	w, err := v.client.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s: %w", ErrNoAnswer, v.name, err)
	}
	defer w.Body.Close()
	data, err := io.ReadAll(io.LimitReader(w.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("%w: %s: %w", ErrNoAnswer, v.name, err)
	case len(data) > maxAnswer:
		return answer{}, fmt.Errorf("%w: %s: more than %d bytes", ErrReceipt, v.name, maxAnswer)
	case w.StatusCode >= 500 || w.StatusCode == http.StatusTooManyRequests || w.StatusCode == http.StatusRequestTimeout:
		return answer{}, fmt.Errorf("%w: %s: status %d", ErrNoAnswer, v.name, w.StatusCode)
	}
	for _, s := range want {
		if w.StatusCode == s {
			return v.receipt(ctx, w.Header.Get(SignatureHeader), data, v.RequestID(tenant, subject))
		}
	}
	return answer{}, fmt.Errorf("%w: %s: status %d", ErrRefused, v.name, w.StatusCode)
}

// receipt checks and keeps a signed answer. It must be about this request: a
// signature over another one's answer proves nothing.
func (v *Processor) receipt(ctx context.Context, header string, body []byte, id string) (answer, error) {
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(header))
	if err != nil || len(signature) == 0 {
		return answer{}, fmt.Errorf("%w: %s: no signature", ErrReceipt, v.name)
	}
	if err := v.verify(body, signature); err != nil {
		return answer{}, fmt.Errorf("%w: %s: %w", ErrReceipt, v.name, err)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || a.ID != id {
		return answer{}, fmt.Errorf("%w: %s: it is about another request", ErrReceipt, v.name)
	}
	if v.o.Keep != nil {
		if err := v.o.Keep(ctx, Receipt{v.name, id, time.Now().UTC(), body, signature}); err != nil {
			return answer{}, fmt.Errorf("processor: %s: the receipt can't be kept: %w", v.name, err)
		}
	}
	return a, nil
}
