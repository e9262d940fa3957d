package privacytest

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/surety-go/surety/privacy"
)

// undeclared is a purpose that no gate declares.
const undeclared privacy.Purpose = "privacytest-undeclared"

// NeedsPurpose asserts that read returns a field, of the struct T, for each of
// the allowed purposes, and that it is refused or left empty for every other
// purpose that the gate declares, for one that it does not, and for none. The
// person whose data is read has to have consented to the allowed purposes that
// rest on consent.
func NeedsPurpose[T any](t testing.TB, g *privacy.Gate, field string, allowed []privacy.Purpose, read func(context.Context) (T, error)) {
	t.Helper()
	if len(allowed) == 0 {
		t.Fatalf("privacytest: %s: name the purposes that it may be read for", field)
	}
	purposes := []privacy.Purpose{"", undeclared}
	for _, d := range g.Purposes() {
		purposes = append(purposes, d.Purpose)
	}
	for _, p := range allowed {
		if !slices.Contains(purposes[2:], p) {
			t.Fatalf("privacytest: the gate does not declare the purpose %q", p)
		}
	}
	for _, p := range purposes {
		ctx := t.Context()
		if p != "" {
			ctx = privacy.WithPurpose(ctx, p)
		}
		row, err := read(ctx)
		empty := err != nil || fieldOf(t, row, field).IsZero()
		switch may := slices.Contains(allowed, p); {
		case may && empty:
			t.Errorf("%s can't be read for the purpose %q: %v", field, p, err)
		case !may && !empty:
			t.Errorf("%s is read for the purpose %q", field, p)
		}
	}
}

// fieldOf returns a field of a struct, or of one that is pointed to.
func fieldOf(t testing.TB, row any, name string) reflect.Value {
	t.Helper()
	v := reflect.ValueOf(row)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.Pointer {
		return v // nil, which is zero
	}
	if v.Kind() != reflect.Struct || !v.FieldByName(name).IsValid() {
		t.Fatalf("privacytest: %T has no field %s", row, name)
	}
	return v.FieldByName(name)
}
