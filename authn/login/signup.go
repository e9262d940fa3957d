package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
)

// A Registrar takes requests for accounts. *lifecycle.Manager is one.
type Registrar interface {
	// SignUp notes that somebody asks for an account. That there is one
	// already is no error.
	SignUp(ctx context.Context, tenant, name string) error
}

const signUpTitle = "Ask for an account"

func (f *Flow) pageSignUp(w http.ResponseWriter, r *http.Request) {
	f.pages.show(w, http.StatusOK, signUpTitle, "", "signup", f.askName(r, input{}))
}

// signUp lets a request through the throttle, as a failure of an account that
// doesn't exist: a client that asks for many has to wait.
func (f *Flow) signUp(r *http.Request, tenant, name string) error {
	if !session.ValidTenant(tenant) || !strings.Contains(name, "@") {
		return errInput
	}
	sum := sha256.Sum256([]byte("sign-up\x00" + tenant + "\x00" + name))
	if err := f.parts.Guesses.Begin(r.Context(), tenant, throttle.Unknown+hex.EncodeToString(sum[:12]), clientOf(r).Addr); err != nil {
		return err //nolint:wrapcheck // LockedError is part of the answer
	}
	return f.o.SignUp.SignUp(r.Context(), tenant, name) //nolint:wrapcheck // says where it comes from
}

// postSignUp answers alike whether the name is taken or not.
func (f *Flow) postSignUp(w http.ResponseWriter, r *http.Request) {
	in, err := f.read(w, r)
	if err == nil {
		err = f.signUp(r, in.Tenant, Name(in.Name))
	}
	switch {
	case err != nil:
		f.fail(w, r, in.form, err, signUpTitle, "signup", f.askName(r, in))
	case in.form:
		f.pages.show(w, http.StatusOK, signUpTitle, "", "asked", nil)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}
