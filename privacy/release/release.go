// Package release makes data about people fit to leave, and measures whether
// it is: keyed pseudonyms, coarser values, k-anonymity and l-diversity.
//
//	p, err := release.NewPseudonymiser(key)
//	name := p.Name("statistics", "acme", subject)    // another name for another purpose
//	m, err := release.Measure(rows, []string{"zip", "age"}, []string{"illness"})
//	err = release.Check(ctx, log, "acme", "yearly report", m, release.Limits{K: 5, L: 2})
//
// A pseudonym is still personal data for whoever has the key (GDPR, Article
// 4(5)). k-anonymity says that at least k people share each combination of the
// quasi-identifiers; l-diversity that they don't all share the sensitive value
// too. Both hold against what is in the data set, not against what someone
// knows besides.
package release

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// Errors of the package.
var (
	ErrRelease = errors.New("release: bad data set")
	ErrRefused = errors.New("release: the data set would tell on people")
)

// KeySize is the size of a pseudonymiser's key, in bytes.
const KeySize = 32

// A Pseudonymiser names people by a keyed hash.
type Pseudonymiser struct{ key []byte }

// NewPseudonymiser makes one. Whoever has the key can find a person's
// pseudonym; without it nobody can, however few the people are.
func NewPseudonymiser(key []byte) (*Pseudonymiser, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("release: the key has %d bytes, want %d", len(key), KeySize)
	}
	return &Pseudonymiser{slices.Clone(key)}, nil
}

// Name is a person's pseudonym for a purpose: 26 letters and digits. Those for
// two purposes can't be joined without the key.
func (p *Pseudonymiser) Name(purpose, tenant, subject string) string {
	h := hmac.New(sha256.New, p.key)
	h.Write([]byte("surety pseudonym v1"))
	for _, s := range []string{purpose, tenant, subject} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16]))
}

// Range makes a number coarser: 37 in tens is "30-39".
func Range(n, width int) string {
	if width < 1 {
		return "*"
	}
	from := n - ((n%width)+width)%width
	return strconv.Itoa(from) + "-" + strconv.Itoa(from+width-1)
}

// Prefix keeps the first n letters of a code: "89073" is "89***".
func Prefix(s string, n int) string {
	r := []rune(s)
	for i := max(n, 0); i < len(r); i++ {
		r[i] = '*'
	}
	return string(r)
}

// Year makes a date coarser.
func Year(t time.Time) string { return t.Format("2006") }

// Month makes a date coarser.
func Month(t time.Time) string { return t.Format("2006-01") }

// Network makes an address coarser: 24 bits of IPv4, 48 of IPv6.
func Network(a netip.Addr) string {
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 48
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil || !p.IsValid() {
		return "*"
	}
	return p.String()
}

// A Row is a row of a data set, by column.
type Row map[string]string

// A Measurement is what a data set tells.
type Measurement struct {
	Rows    int
	Classes int            // different combinations of the quasi-identifiers
	K       int            // rows of the smallest class; 0 for no rows
	L       map[string]int // different values of the sensitive column in the poorest class
	Small   []int          // rows in classes of one: those who stand alone
}

// Measure measures k-anonymity over the quasi-identifiers and distinct
// l-diversity of the sensitive columns. Every row must have all of them.
func Measure(rows []Row, quasi, sensitive []string) (Measurement, error) {
	if len(quasi) == 0 {
		return Measurement{}, fmt.Errorf("%w: which columns tell people apart must be given", ErrRelease)
	}
	classes := map[string][]int{}
	for i, r := range rows {
		var b []byte
		for _, c := range slices.Concat(quasi, sensitive) {
			if _, ok := r[c]; !ok {
				return Measurement{}, fmt.Errorf("%w: row %d has no column %q", ErrRelease, i, c)
			}
		}
		for _, c := range quasi {
			b = append(binary.BigEndian.AppendUint64(b, uint64(len(r[c]))), r[c]...)
		}
		classes[string(b)] = append(classes[string(b)], i)
	}
	m := Measurement{Rows: len(rows), Classes: len(classes), L: map[string]int{}}
	for _, members := range classes {
		if m.K == 0 || len(members) < m.K {
			m.K = len(members)
		}
		if len(members) == 1 {
			m.Small = append(m.Small, members[0])
		}
		for _, c := range sensitive {
			values := map[string]bool{}
			for _, i := range members {
				values[rows[i][c]] = true
			}
			if l, ok := m.L[c]; !ok || len(values) < l {
				m.L[c] = len(values)
			}
		}
	}
	slices.Sort(m.Small)
	return m, nil
}

// Limits are what a data set must reach to leave.
type Limits struct {
	K int // at least 2
	L int // at least 1; 0 is 1
}

// Check refuses a data set below the limits, and records the decision either
// way.
func Check(ctx context.Context, rec auditlog.Recorder, tenant, name string, m Measurement, limits Limits) error {
	if rec == nil || tenant == "" || name == "" || limits.K < 2 || limits.L < 0 {
		return fmt.Errorf("%w: a recorder, a tenant, a name and a K of at least 2 must be given", ErrRelease)
	}
	l := m.Rows
	for _, v := range m.L {
		l = min(l, v)
	}
	outcome, reason := auditlog.Success, ""
	var err error
	if m.K < limits.K || len(m.L) > 0 && l < limits.L {
		outcome, reason = auditlog.Denied, "privacy.release"
		err = fmt.Errorf("%w: k is %d and must be %d, l is %d and must be %d", ErrRefused, m.K, limits.K, l, limits.L)
	}
	return errors.Join(err, rec.Record(ctx, auditlog.Event{
		Action: "privacy.release.check", Outcome: outcome, Reason: reason, Tenant: tenant, Targets: []auditlog.Target{{Type: "data-set", ID: name}},
		Attrs: []auditlog.Attr{auditlog.Int("rows", m.Rows), auditlog.Int("k", m.K), auditlog.Int("l", l), auditlog.Int("k_limit", limits.K), auditlog.Int("l_limit", limits.L)},
	}))
}
