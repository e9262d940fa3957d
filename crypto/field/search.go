package field

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/surety-go/surety/controls/classify"
)

// ErrNotSearchable says that a field has neither a blind index nor
// deterministic encryption.
var ErrNotSearchable = errors.New("field: the field is not searchable")

// Search returns what rows with the value may hold, latest key first, for
// WHERE column IN (…): values of the blind index's column, or of the field's
// own where it is encrypted deterministically. path is the field's Go path.
// Open the rows found and compare.
func (c *Codec[T]) Search(ctx context.Context, tenant, path, value string) ([][]byte, error) {
	for i := range c.fields {
		f := &c.fields[i]
		switch {
		case f.Path != path:
		case f.index != nil:
			return f.index.Search(ctx, tenant, value)
		case f.Encryption == classify.Deterministic:
			plain, err := normalised(f, []byte(value))
			if err != nil {
				return nil, err
			}
			return c.keeper.SearchDeterministic(ctx, plain, c.binding(&ID{Tenant: tenant}, f))
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNotSearchable, path)
}

// ResealStruct seals anew what a row has under keys that were rotated, blind
// indexes among it, and reports whether anything changed; then the row is due
// to be stored. Nothing is shown to the caller, and fields stay sealed. On an
// error the row is unchanged.
func (c *Codec[T]) ResealStruct(ctx context.Context, id ID, row *T) (changed bool, err error) {
	if err := c.checkID(&id); err != nil {
		return false, err
	}
	fresh := *row
	v := reflect.ValueOf(&fresh).Elem()
	for i := range c.fields {
		f := &c.fields[i]
		s := at(v, f)
		if s.stored() == nil {
			continue
		}
		sealed, anew, err := c.keeper.Reseal(ctx, nil, s.stored(), c.binding(&id, f))
		if err == nil && f.index != nil {
			var moved bool
			moved, err = c.reindex(ctx, &id, f, sealed, v)
			changed = changed || moved
		}
		if err != nil {
			return false, fmt.Errorf("field: %s: %w", f.Path, err)
		}
		if anew {
			s.setSealed(sealed)
			changed = true
		}
	}
	if changed {
		*row = fresh
	}
	return changed, nil
}

// reindex makes a field's blind index anew if its key was rotated.
func (c *Codec[T]) reindex(ctx context.Context, id *ID, f *sealedField, sealed []byte, v reflect.Value) (bool, error) {
	plain, err := c.keeper.Open(ctx, nil, sealed, c.binding(id, f))
	if err != nil {
		return false, err
	}
	bidx, err := f.index.Value(ctx, id.Tenant, string(plain))
	clear(plain)
	if err != nil {
		return false, err
	}
	to := v.FieldByIndex(f.indexTo)
	if bytes.Equal(to.Bytes(), bidx) {
		return false, nil
	}
	to.SetBytes(bidx)
	return true, nil
}
