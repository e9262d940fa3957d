// Package blindindex makes sealed columns searchable for equality: a second
// column holds a keyed, truncated hash of each value.
//
//	emails, err := blindindex.New(keeper, "people", "email", 1_000_000, blindindex.Options{Normalise: "lower"})
//	bidx, err := emails.Value(ctx, tenant, "Ada@Example.org")   // store beside the sealed value
//	any, err := emails.Search(ctx, tenant, "ada@example.org")   // WHERE email_bidx IN (?, ?)
//
// Search returns one value per key version, so that rows written before and
// after a rotation are found; open the rows found and compare, because a
// truncated hash may match others.
//
// # What it tells
//
// Whoever reads the database sees which rows of a tenant have equal values
// and how often each occurs, and with the help of other knowledge (the most
// frequent name) guesses them. Without the key nothing can be tried out. Tenants and
// columns have keys of their own, so that nothing can be joined across them.
// A column with few different values gives them away by frequency alone:
// fewer than [MinDistinct] are refused.
//
// # Erasure
//
// The keys are the tenant's, not the subject's, as a search must not know
// whom it looks for. Destroying a subject's key leaves its index values:
// crypto.Options.Clear empties those columns, and without it there is no
// receipt.
package blindindex

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/surety-go/surety/crypto"
)

// MinDistinct is the least number of different values a column may be
// expected to have.
const MinDistinct = 1000

// A Keeper has the keys: a *crypto.Keeper.
type Keeper interface {
	MAC(ctx context.Context, data []byte, b crypto.Binding) ([sha256.Size]byte, error)
	MACs(ctx context.Context, data []byte, b crypto.Binding) ([][sha256.Size]byte, error)
}

// Options are the options of an Index.
type Options struct {
	// Bits is the length of a value, 16 to 256 in steps of 8; default 64.
	// Fewer bits make more rows match by chance, which hides equality a
	// little and costs opening them.
	Bits int
	// Normalise names what is done to values before hashing, so that
	// spellings of one value match: "exact" (the default), "lower" (without
	// surrounding space, in lower case, composed as Unicode's NFC, since
	// keyboards differ in how they write é) or "digits" (the digits 0 to 9 only,
	// for telephone and account numbers).
	Normalise string
}

// An Index makes the values of one column. It is safe for concurrent use.
type Index struct {
	keeper        Keeper
	table, column string
	bytes         int
	normalise     func(string) string
}

// New returns the index of a column. distinct is how many different values
// the column is expected to have in one tenant; below MinDistinct it is an
// error, because frequency would tell the values.
func New(keeper Keeper, table, column string, distinct int, o Options) (*Index, error) {
	if keeper == nil || table == "" || column == "" {
		return nil, errors.New("blindindex: New needs a keeper, a table and a column")
	}
	if distinct < MinDistinct {
		return nil, fmt.Errorf("blindindex: %s.%s: %d different values are guessed by their frequency; want at least %d", table, column, distinct, MinDistinct)
	}
	if o.Bits == 0 {
		o.Bits = 64
	}
	if o.Bits < 16 || o.Bits > 256 || o.Bits%8 != 0 {
		return nil, fmt.Errorf("blindindex: %s.%s: Bits %d: want 16 to 256 in steps of 8", table, column, o.Bits)
	}
	norm, err := Normaliser(o.Normalise)
	if err != nil {
		return nil, fmt.Errorf("blindindex: %s.%s: %w", table, column, err)
	}
	return &Index{keeper, table, column, o.Bits / 8, norm}, nil
}

// Normaliser returns the normaliser with the name, "" being "exact".
func Normaliser(name string) (func(string) string, error) {
	switch name {
	case "", "exact":
		return func(s string) string { return s }, nil
	case "lower":
		return func(s string) string { return norm.NFC.String(strings.ToLower(strings.TrimSpace(s))) }, nil
	case "digits":
		return func(s string) string { return strings.Map(digit, s) }, nil
	}
	return nil, fmt.Errorf("unknown normaliser %q: want exact, lower or digits", name)
}

// digit keeps the digits 0 to 9.
func digit(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}

func (x *Index) binding(tenant string) crypto.Binding {
	return crypto.Binding{Tenant: tenant, Table: x.table, Column: x.column}
}

// Value returns what is stored beside a sealed value.
func (x *Index) Value(ctx context.Context, tenant, value string) ([]byte, error) {
	sum, err := x.keeper.MAC(ctx, []byte(x.normalise(value)), x.binding(tenant))
	if err != nil {
		return nil, fmt.Errorf("blindindex: %s.%s: %w", x.table, x.column, err)
	}
	return sum[:x.bytes:x.bytes], nil
}

// Search returns the values that rows with the value may have, latest key
// version first. There is at least one.
func (x *Index) Search(ctx context.Context, tenant, value string) ([][]byte, error) {
	sums, err := x.keeper.MACs(ctx, []byte(x.normalise(value)), x.binding(tenant))
	if err != nil {
		return nil, fmt.Errorf("blindindex: %s.%s: %w", x.table, x.column, err)
	}
	list := make([][]byte, len(sums))
	for i := range sums {
		list[i] = sums[i][:x.bytes:x.bytes]
	}
	return list, nil
}

// Scope returns the scope to pass to crypto.Keeper.Rotate for new index keys
// of a tenant. Rows keep their values until they are written again.
func (x *Index) Scope(tenant string) crypto.Scope {
	return crypto.IndexScope(tenant, x.table, x.column)
}
