package oidc

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

// A transaction is one way to a provider and back, in one browser.
type transaction struct {
	Provider string `json:"p"`
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`           // of PKCE
	Account  string `json:"a,omitempty"` // whom to link; empty to sign in
	Expires  int64  `json:"x"`
}

var errTransaction = errors.New("oidc: no such sign-in was begun in this browser")

const maxTransaction = 1024

var encoding = base64.RawURLEncoding.Strict()

// begin makes a transaction and puts it into the browser.
func (rp *RelyingParty) begin(w http.ResponseWriter, provider, account string) (*transaction, error) {
	t := &transaction{
		Provider: provider, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Account: account,
		Expires: rp.now().Add(rp.o.TransactionFor).Unix(),
	}
	data, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("oidc: transaction: %w", err)
	}
	name := rp.cookieName(t.State)
	sealed := rp.aead.Seal(nil, nil, data, []byte(name))
	http.SetCookie(w, rp.cookie(name, encoding.EncodeToString(sealed), int(rp.o.TransactionFor/time.Second)))
	return t, nil
}

// cookieName is different for each transaction, so that several tabs don't get
// into each other's way.
func (rp *RelyingParty) cookieName(state string) string {
	name := "oidc-" + state[:min(len(state), 12)]
	if rp.o.InsecureCookies {
		return name
	}
	return "__Host-" + name
}

func (rp *RelyingParty) cookie(name, value string, age int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure unless the operator chose InsecureCookies, for loopback only
		Name: name, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: !rp.o.InsecureCookies, SameSite: http.SameSiteLaxMode,
	}
}

// resume takes the transaction that an answer with this state belongs to out
// of the browser: it is good for one answer.
func (rp *RelyingParty) resume(w http.ResponseWriter, r *http.Request, provider, state string) (*transaction, error) {
	if len(state) != len(rand.Text()) {
		return nil, errTransaction
	}
	name := rp.cookieName(state)
	c, err := r.Cookie(name)
	if err != nil || len(c.Value) > maxTransaction {
		return nil, errTransaction
	}
	http.SetCookie(w, rp.cookie(name, "", -1))
	sealed, err := encoding.DecodeString(c.Value)
	if err != nil {
		return nil, errTransaction
	}
	data, err := rp.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, errTransaction
	}
	t := new(transaction)
	if err := json.Unmarshal(data, t); err != nil {
		return nil, errTransaction
	}
	if subtle.ConstantTimeCompare([]byte(t.State), []byte(state)) != 1 || t.Provider != provider || rp.now().Unix() >= t.Expires {
		return nil, errTransaction
	}
	return t, nil
}
