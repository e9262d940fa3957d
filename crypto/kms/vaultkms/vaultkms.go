// Package vaultkms is a key-encryption key in HashiCorp Vault's or OpenBao's
// Transit engine: the key never leaves the server, which can say who used it
// and stop.
//
//	kek, err := vaultkms.New(client, vaultkms.Key{
//		Addresses: []string{"https://vault.internal:8200"}, Mount: "transit", Name: "records",
//	}, token, kms.Options{})
//
// The Transit key must be of type aes256-gcm96 or chacha20-poly1305 and not
// derived: the Binding is passed as associated data, which other types don't
// have. The token needs update on MOUNT/encrypt/NAME and MOUNT/decrypt/NAME
// and nothing else. After a rotation of the Transit key, old wrapped keys
// still unwrap, as Transit keeps versions; a new kms.Options.Version
// makes crypto.Keeper.Rewrap wrap them anew.
//
// Addresses of one cluster or of its replicas are tried in turn, see kms. The
// client is net/http's, because Vault's and OpenBao's own have types that
// don't fit each other; the protocol is one request.
package vaultkms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/kms"
)

// A Key names a Transit key.
type Key struct {
	Addresses []string // https://host:port of the same cluster or its replicas, in the order to try
	Mount     string   // the engine's path, such as "transit"
	Name      string   // the key's name
	Namespace string   // Vault Enterprise's or OpenBao's namespace; empty for none
}

// Token returns the token to use now; it may be renewed between calls.
type Token func(ctx context.Context) (string, error)

// New returns the KEK. The client is the caller's, with its roots and client
// certificates; redirects are not followed, whatever it says, because they
// would carry the token elsewhere. Addresses must be https, except loopback.
// The KEK's ID is "vault:", the namespace, mount and name, and the version.
func New(client *http.Client, key Key, token Token, o kms.Options) (*kms.KEK, error) {
	if client == nil || token == nil || len(key.Addresses) == 0 || key.Mount == "" || key.Name == "" {
		return nil, errors.New("vaultkms: New needs a client, a token, an address, a mount and a name")
	}
	if strings.ContainsAny(key.Name, "/?#%") || strings.ContainsAny(key.Mount, "?#%") || path.Clean(key.Mount) != key.Mount || strings.HasPrefix(key.Mount, "..") {
		return nil, errors.New("vaultkms: Key.Mount or Key.Name is no plain path")
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var replicas []kms.Driver
	for _, a := range key.Addresses {
		if err := checkAddress(a); err != nil {
			return nil, err
		}
		replicas = append(replicas, &server{&c, strings.TrimSuffix(a, "/") + "/v1/", key, token})
	}
	return kms.New("vault:"+path.Join(key.Namespace, key.Mount, key.Name), replicas, o)
}

func checkAddress(a string) error {
	u, err := url.Parse(a)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" {
		return errors.New("vaultkms: Key.Addresses: want https://host:port")
	}
	if host := u.Hostname(); u.Scheme != "https" && (u.Scheme != "http" || host != "127.0.0.1" && host != "::1" && host != "localhost") {
		return fmt.Errorf("vaultkms: Key.Addresses: scheme %q: want https", u.Scheme)
	}
	return nil
}

// server is the key at one address.
type server struct {
	client *http.Client
	base   string
	key    Key
	token  Token
}

type request struct {
	Plaintext  []byte `json:"plaintext,omitempty"`
	Ciphertext string `json:"ciphertext,omitempty"`
	AAD        []byte `json:"associated_data"`
}

type response struct {
	Data struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	} `json:"data"`
}

// Wrap encrypts a data key bound to b.
func (s *server) Wrap(ctx context.Context, key []byte, b crypto.Binding) ([]byte, error) {
	r, err := s.call(ctx, "encrypt", request{Plaintext: key, AAD: b.AppendAAD(nil)})
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(r.Data.Ciphertext, "vault:v") {
		return nil, errors.New("the answer holds no ciphertext")
	}
	return []byte(r.Data.Ciphertext), nil
}

// Unwrap reverses Wrap.
func (s *server) Unwrap(ctx context.Context, wrapped []byte, b crypto.Binding) ([]byte, error) {
	if !bytes.HasPrefix(wrapped, []byte("vault:v")) {
		return nil, fmt.Errorf("vaultkms: %w", crypto.ErrTampered)
	}
	r, err := s.call(ctx, "decrypt", request{Ciphertext: string(wrapped), AAD: b.AppendAAD(nil)})
	if err != nil {
		return nil, err
	}
	return r.Data.Plaintext, nil
}

const maxAnswer = 64 << 10

func (s *server) call(ctx context.Context, op string, body request) (*response, error) {
	payload, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%w: the request can't be encoded", kms.ErrRefused)
	}
	defer clear(payload)
	token, err := s.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	target := s.base + path.Join(s.key.Mount, op, s.key.Name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("%w: the request can't be made", kms.ErrRefused)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Vault-Token", token)
	req.Header.Set("X-Vault-Request", "true")
	if s.key.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", s.key.Namespace)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	defer clear(answer)
	switch {
	case err != nil:
		return nil, err
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, status(resp.StatusCode)
	}
	var r response
	if err := json.Unmarshal(answer, &r); err != nil {
		return nil, errors.New("the answer is no JSON of Transit")
	}
	return &r, nil
}

// status tells what may be different next time from what may not. The text of
// the server's errors is left out: it quotes the request.
func status(code int) error {
	switch {
	case code == http.StatusTooManyRequests || code == http.StatusPreconditionFailed || code == 472 || code == 473 || code >= 500:
		return fmt.Errorf("status %d", code)
	}
	return fmt.Errorf("%w: status %d", kms.ErrRefused, code)
}
