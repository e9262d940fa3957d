package password

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // the service's index is SHA-1; nothing is protected by it
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/surety-go/surety/internal/outbound"
)

// PwnedOptions are the options of [NewPwned].
type PwnedOptions struct {
	// URL is the range endpoint; empty is Have I Been Pwned's,
	// https://api.pwnedpasswords.com/range/.
	URL string
	// Least is how often a password must have been seen; 0 is 1.
	Least int
	// Do sends requests; nil is a client that reaches public addresses only.
	Do func(*http.Request) (*http.Response, error)
}

// Pwned asks the range API of Have I Been Pwned whether a password was
// published. What leaves this program are the first 20 bits of the SHA-1 of
// the password (k-anonymity), and responses are padded, so that their size
// tells nothing either.
type Pwned struct {
	o PwnedOptions
}

var _ Breaches = (*Pwned)(nil)

// NewPwned returns the client. It is off unless a Policy is given it.
func NewPwned(o PwnedOptions) (*Pwned, error) {
	if o.URL == "" {
		o.URL = "https://api.pwnedpasswords.com/range/"
	}
	if u, err := url.Parse(o.URL); err != nil || u.Host == "" || !strings.HasSuffix(u.Path, "/") || u.RawQuery != "" {
		return nil, errors.New("password: PwnedOptions: URL: want an absolute URL that ends in a slash")
	}
	if o.Least == 0 {
		o.Least = 1
	}
	if o.Do == nil {
		client, err := outbound.New(outbound.Options{MaxBody: 4 << 20})
		if err != nil {
			return nil, fmt.Errorf("password: pwned: %w", err)
		}
		o.Do = client.Do
	}
	return &Pwned{o}, nil
}

// Breached implements [Breaches].
func (p *Pwned) Breached(ctx context.Context, password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // the service's index
	digest := strings.ToUpper(hex.EncodeToString(sum[:]))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.o.URL+digest[:5], nil)
	if err != nil {
		return false, fmt.Errorf("password: pwned: %w", err)
	}
	r.Header.Set("Add-Padding", "true")
	resp, err := p.o.Do(r)
	if err != nil {
		return false, fmt.Errorf("password: pwned: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("password: pwned: the service answers with status %d", resp.StatusCode)
	}
	return p.find(bufio.NewScanner(resp.Body), digest[5:])
}

// find looks for a line "<suffix>:<count>". Padding has a count of 0.
func (p *Pwned) find(lines *bufio.Scanner, suffix string) (bool, error) {
	for lines.Scan() {
		s, count, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if !ok || len(s) != len(suffix) {
			return false, errors.New("password: pwned: the service's answer is not a list of suffixes and counts")
		}
		if !strings.EqualFold(s, suffix) {
			continue
		}
		n, err := strconv.Atoi(count)
		if err != nil {
			return false, errors.New("password: pwned: a count is not a number")
		}
		return n >= p.o.Least, nil
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("password: pwned: %w", err)
	}
	return false, nil
}
