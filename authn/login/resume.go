package login

import "net/http"

// Continue answers a person's browser whose sign-in has come to p by another
// way in: with the session's cookie and the way home, or with the page of the
// next step.
func (f *Flow) Continue(w http.ResponseWriter, r *http.Request, p Progress) {
	f.progress(w, r, input{form: true}, p)
}

// ClientOf is where a request comes from, as the guards of its chain found it.
func ClientOf(r *http.Request) Client { return clientOf(r) }
