package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
)

// maxParts bounds the parts of a form.
const maxParts = 1000

// Middleware returns a handler that lets requests through to next when their
// bodies are let in: a form's files each by itself, any other body as a file.
// Types are for files; of a form, the fields that are no files are scanned and
// not limited in kind.
func (g *Gate) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		body, err := g.admit(r)
		if err != nil {
			guard.Refuse(w, r, denial(err, g.o.MaxBytes))
			return
		}
		defer func() { _ = body.Close() }() // a file that can't be removed is the spool's owner's to see
		if call := guard.CallFrom(r.Context()); call != nil {
			call.Attr(auditlog.String("upload_sha256", fmt.Sprintf("%x", body.SHA256)))
		}
		r.Body, r.ContentLength = io.NopCloser(body.File), body.Size
		next.ServeHTTP(w, r)
	})
}

// admit checks a request's body. What comes back is at its beginning.
func (g *Gate) admit(r *http.Request) (*File, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return g.Check(r.Context(), r.Body)
	}
	if params["boundary"] == "" {
		return nil, fmt.Errorf("%w: the form has no boundary", errForm)
	}
	whole := *g
	whole.o.Types = nil // the form itself is no file
	body, err := whole.Check(r.Context(), r.Body)
	if err != nil {
		return nil, err
	}
	if err := g.parts(r.Context(), multipart.NewReader(body, params["boundary"])); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("upload: %w", err), body.Close())
	}
	return body, nil
}

var errForm = errors.New("upload: the form can't be read")

// parts checks each file of a form.
func (g *Gate) parts(ctx context.Context, form *multipart.Reader) error {
	fields := *g
	fields.o.Types = nil
	for range maxParts {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
		check := g.Check
		if part.FileName() == "" {
			check = fields.Check
		}
		f, err := check(ctx, part)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: more than %d parts", errForm, maxParts)
}

// denial answers an upload that is not let in. What the scanner called it is
// for the log, and not for who sent it.
func denial(err error, limit int64) error {
	d := &guard.Denial{Control: "ratelimit.upload", Code: guard.InvalidArgument, Err: err}
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, ErrInfected):
		d.Code, d.Status, d.Public = guard.PermissionDenied, http.StatusUnprocessableEntity, "The upload was refused by the virus scanner."
	case errors.Is(err, ErrTooLarge), errors.As(err, &large):
		if large != nil {
			limit = large.Limit
		}
		d.Code, d.Status, d.Public = guard.ResourceExhausted, http.StatusRequestEntityTooLarge, "The upload is too large."
		d.Details = map[string]any{"limit": limit}
	case errors.Is(err, ErrType):
		d.Status, d.Public = http.StatusUnsupportedMediaType, "This kind of file is not accepted."
	case errors.Is(err, errForm):
		d.Public = "The form could not be read."
	default:
		return fmt.Errorf("upload: %w", err) // 503
	}
	return d
}
