package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// ErrClaims says that a token's claims are no good, or that a time limit of
// them has passed. It wraps [ErrToken].
var ErrClaims = fmt.Errorf("%w: claims", ErrToken)

// Claims are the claims of a JSON Web Token (RFC 7519, section 4.1; RFC 9068;
// OpenID Connect Core). Members that are absent are zero. They are shared:
// don't change them.
type Claims struct {
	Issuer   string    // iss
	Subject  string    // sub
	Audience []string  // aud
	ID       string    // jti
	Expires  time.Time // exp
	Since    time.Time // nbf
	Issued   time.Time // iat

	Authorised string    // azp
	Client     string    // client_id
	Scope      string    // scope
	Nonce      string    // nonce
	Session    string    // sid
	ACR        string    // acr
	AMR        []string  // amr
	AuthTime   time.Time // auth_time

	other map[string]string
}

// ParseClaims reads a token's payload. Members that are named above and are
// of the wrong type, repeated members and anything that is no JSON object are
// errors that wrap [ErrClaims].
func ParseClaims(payload []byte) (*Claims, error) {
	c := &Claims{}
	if err := members(payload, c.set); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	return c, nil
}

func (c *Claims) set(name, value string) (err error) {
	switch name {
	case "iss":
		c.Issuer, err = text(value)
	case "sub":
		c.Subject, err = text(value)
	case "jti":
		c.ID, err = text(value)
	case "azp":
		c.Authorised, err = text(value)
	case "client_id":
		c.Client, err = text(value)
	case "scope":
		c.Scope, err = text(value)
	case "nonce":
		c.Nonce, err = text(value)
	case "sid":
		c.Session, err = text(value)
	case "acr":
		c.ACR, err = text(value)
	case "aud":
		c.Audience, err = texts(value)
	case "amr":
		c.AMR, err = texts(value)
	case "exp":
		c.Expires, err = date(value)
	case "nbf":
		c.Since, err = date(value)
	case "iat":
		c.Issued, err = date(value)
	case "auth_time":
		c.AuthTime, err = date(value)
	default:
		if c.other == nil {
			c.other = make(map[string]string, 8)
		}
		c.other[name] = value
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// texts reads a string or an array of strings.
func texts(value string) ([]string, error) {
	if len(value) > 0 && value[0] == '"' {
		s, err := text(value)
		return []string{s}, err
	}
	var list []*string
	if err := json.Unmarshal([]byte(value), &list); err != nil || list == nil || slices.Contains(list, nil) {
		return nil, errors.New("want a string or an array of strings")
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = *s
	}
	return out, nil
}

// date reads a NumericDate: seconds since 1970, to the second. What lies
// before then, or more than 300 years ahead, is no date of a token.
func date(value string) (time.Time, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(f) || f < 1 || f > 1e10 {
		return time.Time{}, errors.New("want seconds since 1970")
	}
	return time.Unix(int64(f), 0).UTC(), nil
}

// Has reports whether there is a claim beside those with a field.
func (c *Claims) Has(name string) bool { _, ok := c.other[name]; return ok }

// Text returns a claim beside those with a field if it is a string.
func (c *Claims) Text(name string) (string, bool) {
	s, err := text(c.other[name])
	return s, err == nil
}

// Texts returns a claim beside those with a field if it is a string or an
// array of strings.
func (c *Claims) Texts(name string) ([]string, bool) {
	list, err := texts(c.other[name])
	return list, err == nil
}

// Decode reads a claim beside those with a field, as encoding/json does.
func (c *Claims) Decode(name string, dst any) error {
	value, ok := c.other[name]
	if !ok {
		return fmt.Errorf("%w: %.40q is missing", ErrClaims, name)
	}
	if err := json.Unmarshal([]byte(value), dst); err != nil {
		return fmt.Errorf("%w: %.40q has another type", ErrClaims, name)
	}
	return nil
}

// Members calls f for each member of a claim that is an object, and refuses
// one that repeats a member.
func (c *Claims) Members(name string, f func(name, value string) error) error {
	if err := members([]byte(c.other[name]), f); err != nil {
		return fmt.Errorf("%w: %.40q: %w", ErrClaims, name, err)
	}
	return nil
}

// Timely checks the time limits: exp is required and lies in the future, by
// no more than most; nbf and iat don't lie in the future. The leeway is for
// clocks that differ.
func (c *Claims) Timely(now time.Time, leeway, most time.Duration) error {
	switch {
	case c.Expires.IsZero():
		return fmt.Errorf("%w: exp is missing", ErrClaims)
	case !now.Before(c.Expires.Add(leeway)):
		return fmt.Errorf("%w: exp has passed", ErrClaims)
	case c.Expires.After(now.Add(most + leeway)):
		return fmt.Errorf("%w: exp is more than %v ahead", ErrClaims, most)
	case c.Since.After(now.Add(leeway)):
		return fmt.Errorf("%w: nbf lies ahead", ErrClaims)
	case c.Issued.After(now.Add(leeway)):
		return fmt.Errorf("%w: iat lies ahead", ErrClaims)
	}
	return nil
}
