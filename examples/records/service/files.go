package service

import (
	"context"
	"errors"
	"slices"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/integrity"
	"github.com/surety-go/surety/privacy"
)

// The purposes that files are used for, and on what basis.
const (
	directory privacy.Purpose = "directory"
	payroll   privacy.Purpose = "payroll"
	benefits  privacy.Purpose = "benefits"
)

var purposes = []privacy.Declaration{
	{Purpose: directory, Title: "Directory", Basis: privacy.Contract},
	{Purpose: payroll, Title: "Payroll", Basis: privacy.LegalObligation},
	{Purpose: benefits, Title: "Benefits", Basis: privacy.Consent},
}

// openFile is how every transport reads one file: the gate is asked before
// anything is opened, and only the fields that serve the purpose come out.
func (s *Service) openFile(ctx context.Context, id string) (Person, error) {
	p, _ := authn.FromContext(ctx)
	if !validID(id) {
		return Person{}, refusal(errNoPerson)
	}
	target(ctx, id)
	if err := s.gate.Check(ctx, p.Tenant, id); err != nil {
		return Person{}, err
	}
	person, err := s.people.read(ctx, p.Tenant, id)
	if err != nil {
		return Person{}, refusal(err)
	}
	return s.limit(person, privacy.PurposeFrom(ctx)), nil
}

// limit blanks the fields whose tags don't name the purpose.
func (s *Service) limit(person Person, purpose privacy.Purpose) Person {
	for _, f := range []struct {
		path  string
		value *string
	}{{"Name", &person.Name}, {"Email", &person.Email}, {"NationalID", &person.NationalID}} {
		field, ok := s.schema.Field(f.path)
		if !ok || !slices.Contains(field.Purposes, string(purpose)) {
			*f.value = ""
		}
	}
	return person
}

// edit is what a caller may change of a file. An empty field stays as it is.
type edit struct {
	Title      string `json:"title"`
	Email      string `json:"email"`
	NationalID string `json:"national_id"`
}

// updateFile is how every transport changes one file.
func (s *Service) updateFile(ctx context.Context, id string, c edit) (Person, error) {
	p, _ := authn.FromContext(ctx)
	if !validID(id) {
		return Person{}, refusal(errNoPerson)
	}
	target(ctx, id)
	if err := c.check(); err != nil {
		return Person{}, err
	}
	if err := s.gate.Check(ctx, p.Tenant, id); err != nil {
		return Person{}, err
	}
	person, err := s.people.update(ctx, p.Tenant, id, c.apply)
	if err != nil {
		return Person{}, refusal(err)
	}
	s.changes.publish(p.Tenant, id, person.Version)
	return s.limit(person, privacy.PurposeFrom(ctx)), nil
}

// apply puts what is stated into a file.
func (c edit) apply(p *Person) {
	for _, f := range []struct {
		value string
		dst   *string
	}{{c.Title, &p.Title}, {c.Email, &p.Email}, {c.NationalID, &p.NationalID}} {
		if f.value != "" {
			*f.dst = f.value
		}
	}
}

func (c edit) check() error {
	for _, f := range []struct {
		name, value string
		limit       int
	}{{"title", c.Title, 200}, {"email", c.Email, 254}, {"national_id", c.NationalID, 64}} {
		if len(f.value) > f.limit {
			return &guard.Denial{
				Control: "records.input", Code: guard.InvalidArgument, Public: "A field is too long.",
				Details: map[string]any{"field": f.name, "limit": f.limit},
			}
		}
	}
	return nil
}

// target puts the file into the call's audit event.
func target(ctx context.Context, id string) {
	if call := guard.CallFrom(ctx); call != nil {
		call.Target("file", id)
	}
}

// refusal turns the store's errors into answers. Everything else stays an
// error nobody outside sees.
func refusal(err error) error {
	switch {
	case errors.Is(err, errNoPerson), errors.Is(err, crypto.ErrShredded):
		return &guard.Denial{Control: "records.file", Code: guard.NotFound, Public: "There is no such file.", Err: err}
	case errors.Is(err, errStale):
		return &guard.Denial{Control: "records.file", Code: guard.Aborted, Public: "The file has changed meanwhile. Read it again.", Err: err}
	case errors.Is(err, integrity.ErrMismatch):
		return &guard.Denial{Control: "integrity.rows", Code: guard.Internal, Public: "The file can't be read.", Err: err}
	case errors.Is(err, crypto.ErrTampered):
		return &guard.Denial{Control: "crypto.envelope", Code: guard.Internal, Public: "The file can't be read.", Err: err}
	}
	return err
}
