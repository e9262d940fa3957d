package privacy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/guard"
)

// ExplicitConsents also tells whether a person consented by a statement of its
// own. *consent.Ledger and *consent.Cache of package privacy/consent do.
type ExplicitConsents interface {
	Consents
	ExplicitlyConsented(ctx context.Context, tenant, subject string, p Purpose) (bool, error)
}

// Readable returns the fields that may be read for the context's purpose:
// those that are not personal, and those whose tag names it. Ask before a
// sealed field is opened or a column selected.
func (g *Gate) Readable(ctx context.Context, s classify.Schema) []classify.Field {
	p := PurposeFrom(ctx)
	_, declared := g.purposes[p]
	return slices.DeleteFunc(slices.Clone(s.Fields), func(f classify.Field) bool {
		return (f.Personal || f.Special) && (!declared || !slices.Contains(f.Purposes, string(p)))
	})
}

// CheckWrite is like [Gate.Check] before data of a type is stored. Where the
// type has special-category data (GDPR Art. 9), the person must have consented
// explicitly, unless the purpose's declaration has a SpecialGround.
func (g *Gate) CheckWrite(ctx context.Context, tenant, subject string, s classify.Schema) error {
	if err := g.Check(ctx, tenant, subject); err != nil {
		return err
	}
	p := PurposeFrom(ctx)
	if !slices.ContainsFunc(s.Fields, func(f classify.Field) bool { return f.Special }) || g.purposes[p].SpecialGround != "" {
		return nil
	}
	c, ok := g.consents.(ExplicitConsents)
	if !ok {
		return g.refuse(ctx, tenant, subject, p, "This data needs explicit consent.", nil)
	}
	given, err := c.ExplicitlyConsented(ctx, tenant, subject, p)
	if err != nil {
		return g.refuse(ctx, tenant, subject, p, "Whether the person consents can't be found out now.", err)
	}
	if !given {
		return g.refuse(ctx, tenant, subject, p, "This data needs explicit consent.", nil)
	}
	return nil
}

// Filter returns the rows of people whose data may be used for the context's
// purpose, with the personal fields emptied that don't serve it. subject tells
// whom a row is about. Rows that are left out are one event with their number.
// The rows of the argument are not changed.
func Filter[T any](ctx context.Context, g *Gate, tenant string, rows []T, subject func(*T) string) ([]T, error) {
	hidden, err := hiddenFields[T](ctx, g)
	if err != nil {
		return nil, err
	}
	p := PurposeFrom(ctx)
	d, ok := g.purposes[p]
	if tenant == "" || !ok || d.Sale && OptedOut(ctx) {
		return nil, g.refuse(ctx, tenant, "", p, "Data can't be used for this purpose.", nil)
	}
	var out []T
	refused := 0
	for i := range rows {
		row := rows[i]
		if d.Basis == Consent {
			given, err := g.consents.Consented(ctx, tenant, subject(&row), p)
			if err != nil {
				return nil, g.refuse(ctx, tenant, subject(&row), p, "Whether the person consents can't be found out now.", err)
			}
			if !given {
				refused++
				continue
			}
		}
		v := reflect.ValueOf(&row).Elem()
		for _, index := range hidden {
			v.FieldByIndex(index).SetZero()
		}
		out = append(out, row)
	}
	if refused > 0 {
		err := g.rec.Record(ctx, auditlog.Event{
			Action: "privacy.purpose.check", Outcome: auditlog.Denied, Tenant: tenant, Reason: "privacy.purpose",
			Attrs: []auditlog.Attr{auditlog.String("purpose", string(p)), auditlog.Int("rows", refused)},
		})
		if err != nil {
			return nil, &guard.Denial{Control: "privacy.purpose", Code: guard.Unavailable, Err: errors.Join(ErrRefused, err)}
		}
	}
	return out, nil
}

// hiddenFields are the places of T's fields that the purpose may not see.
func hiddenFields[T any](ctx context.Context, g *Gate) ([][]int, error) {
	s, err := classify.Of[T]()
	if err != nil {
		return nil, fmt.Errorf("privacy: %w", err)
	}
	readable := g.Readable(ctx, s)
	var hidden [][]int
	for _, f := range s.Fields {
		if slices.ContainsFunc(readable, func(r classify.Field) bool { return r.Path == f.Path }) {
			continue
		}
		if f.Index == nil {
			return nil, fmt.Errorf("%w: field %s lies below a slice, map or pointer and can't be emptied", ErrRefused, f.Path)
		}
		hidden = append(hidden, f.Index)
	}
	return hidden, nil
}
