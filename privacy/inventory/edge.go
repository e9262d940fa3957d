package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/internal/problem"
	"github.com/surety-go/surety/internal/strictjson"
)

// maxBody bounds the bodies that [Declared] reads.
const maxBody = 1 << 20

// Declared lets only requests through whose JSON body, form and query have no
// fields but those of T, so that nothing is collected that nobody declared
// (Trust Services P3.1; GDPR Art. 5(1)(c)). T's fields must each have a tag of
// package controls/classify; one that nobody decided about is an error here.
// A refusal is recorded with the route and no value, and answered 422. Bodies
// are at most 1 MiB.
func Declared[T any](rec auditlog.Recorder, next http.Handler) (http.Handler, error) {
	if rec == nil || next == nil {
		return nil, errors.New("inventory: Declared needs a recorder and a handler")
	}
	s, err := classify.Of[T]()
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	for _, f := range s.Fields {
		if !f.Tagged {
			return nil, fmt.Errorf("%w: field %s of a request has no tag", ErrInventory, f.Path)
		}
	}
	names := formNames(s.Type)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkRequest[T](w, r, names); err != nil {
			refuse(w, r, rec, err)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// formNames are the names of T's fields in forms and queries: the json names.
func formNames(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if f.IsExported() && name != "-" {
			names[name] = true
		}
	}
	return names
}

var errUndeclared = errors.New("a field that is not declared")

func checkRequest[T any](w http.ResponseWriter, r *http.Request, names map[string]bool) error {
	for name := range r.URL.Query() {
		if !names[name] {
			return errUndeclared
		}
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return fmt.Errorf("the body can't be read: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch {
	case len(body) == 0:
		return nil
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return strictjson.Unmarshal(body, new(T))
	case kind == "application/x-www-form-urlencoded":
		return checkForm(r, body, names)
	}
	return errors.New("a body that can't be looked into")
}

func checkForm(r *http.Request, body []byte, names map[string]bool) error {
	clone := &http.Request{Method: http.MethodPost, Header: r.Header, Body: io.NopCloser(bytes.NewReader(body))}
	if err := clone.ParseForm(); err != nil {
		return errors.New("a form that can't be read")
	}
	for name := range clone.PostForm {
		if !names[name] {
			return errUndeclared
		}
	}
	return nil
}

func refuse(w http.ResponseWriter, r *http.Request, rec auditlog.Recorder, cause error) {
	// The event names the route alone: what was sent is what must not be kept.
	err := rec.Record(r.Context(), auditlog.Event{
		Action: "privacy.purpose.check", Outcome: auditlog.Denied, Reason: "privacy.inventory",
		Attrs: []auditlog.Attr{auditlog.String("route", r.Pattern), auditlog.Bool("undeclared", errors.Is(cause, errUndeclared) || errors.Is(cause, strictjson.ErrSyntax))},
	})
	if err != nil {
		problem.Write(w, problem.Problem{Title: "Service Unavailable", Status: http.StatusServiceUnavailable})
		return
	}
	problem.Write(w, problem.Problem{
		Title: "Unprocessable Content", Status: http.StatusUnprocessableEntity,
		Detail: "The request has a field that this service does not ask for, or can't be read.",
	})
}
