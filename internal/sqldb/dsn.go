package sqldb

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// ErrDSN says that a connection string is refused. Messages never show any of
// it.
var ErrDSN = errors.New("sqldb: connection string refused")

var (
	errTwice = errors.New("a setting is given twice")
	errWant  = errors.New("want postgres://, redis://, rediss://, unix:///, or host=… sslmode=…")
)

// CheckDSN refuses connection strings of PostgreSQL and Redis that would send
// passwords and rows in plaintext, or to a server nobody has verified: every
// host that isn't this machine (a loopback address, localhost, or a Unix
// socket) must be reached by TLS with the server's certificate checked.
//
// For PostgreSQL, as a URL or in the form "host=… sslmode=…", that is
// sslmode=verify-full, or verify-ca with an sslrootcert of one's own; a service
// file is refused, because it is not seen here. For Redis it is rediss://
// without an option that skips the check. The host must be named: without one,
// the environment would choose it.
func CheckDSN(dsn string) error {
	scheme, rest, isURL := strings.Cut(dsn, "://")
	var err error
	switch {
	case strings.ContainsFunc(dsn, func(r rune) bool { return r < ' ' || r == 0x7f }):
		err = errors.New("it contains a control character")
	case strings.Contains(scheme, "="):
		err = checkKeywords(dsn)
	case !isURL:
		err = errWant
	case scheme == "postgres", scheme == "postgresql":
		err = checkPostgresURL(rest)
	case scheme == "redis", scheme == "rediss":
		err = checkRedis(scheme == "rediss", rest)
	case scheme == "unix" && strings.HasPrefix(rest, "/"):
	default:
		err = errWant
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDSN, err)
	}
	return nil
}

// split takes a URL behind its scheme apart. net/url does not read several
// hosts, and readers disagree about where a password with "/" or "?" ends.
func split(rest string) (hosts []string, query url.Values, err error) {
	end := strings.IndexAny(rest+"/", "/?#")
	authority, tail := rest[:end], rest[end:]
	_, list, _ := cutLast(authority, "@")
	if strings.Count(authority, "@") > 1 || strings.ContainsAny(tail, "@#\\") {
		return nil, nil, errors.New("percent-encode the user, the password and the path")
	}
	_, raw, _ := strings.Cut(tail, "?")
	if query, err = url.ParseQuery(raw); err != nil {
		return nil, nil, errors.New("the query can't be read")
	}
	for _, host := range strings.Split(list, ",") {
		name, err := hostName(host)
		if err != nil {
			return nil, nil, err
		}
		hosts = append(hosts, name)
	}
	return hosts, query, nil
}

// cutLast is strings.Cut at the last sep; without one, after is all of s.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// hostAndPort accepts what all readers take apart in the same way.
var hostAndPort = regexp.MustCompile(`^(?:\[([0-9a-fA-F:.]*)\]|([^\[\]:]*))(?::[0-9]*)?$`)

// hostName returns the host without its port.
func hostName(host string) (string, error) {
	part := hostAndPort.FindStringSubmatch(host)
	if part == nil {
		return "", errors.New("a host can't be read")
	}
	name, err := url.PathUnescape(part[1] + part[2])
	if err != nil {
		return "", errors.New("a host can't be read")
	}
	return name, nil
}

func checkRedis(tls bool, rest string) error {
	hosts, query, err := split(rest)
	if err != nil {
		return err
	}
	for name := range query {
		for _, word := range []string{"verify", "insecure", "cert_reqs"} {
			if strings.Contains(strings.ToLower(name), word) {
				return errors.New("it has an option about checking the server's certificate")
			}
		}
	}
	if local, err := allLocal(hosts); err != nil || local || tls {
		return err
	}
	return errors.New("plaintext beyond this machine: use rediss://")
}

func checkPostgresURL(rest string) error {
	hosts, query, err := split(rest)
	if err != nil {
		return err
	}
	settings := map[string]string{}
	for name, values := range query {
		if len(values) != 1 {
			return errTwice
		}
		settings[name] = values[0]
	}
	if slices.Equal(hosts, []string{""}) && settings["host"]+settings["hostaddr"] != "" {
		hosts = nil // postgres:///db?host=/run/postgresql
	}
	return checkPostgres(hosts, settings)
}

// checkPostgres takes hosts and further settings. A host in the settings may
// stand beside the others or replace them: all must be fit.
func checkPostgres(hosts []string, settings map[string]string) error {
	for _, name := range []string{"host", "hostaddr"} {
		if list := settings[name]; list != "" {
			hosts = append(hosts, strings.Split(list, ",")...)
		}
	}
	if _, ok := settings["service"]; ok {
		return errors.New("it names a service file: write its settings out")
	}
	local, err := allLocal(hosts)
	if err != nil || local {
		return err
	}
	switch mode, root := settings["sslmode"], settings["sslrootcert"]; {
	case mode == "verify-full", mode == "verify-ca" && root != "" && root != "system":
		return nil
	default:
		return errors.New("a host that is not this machine needs sslmode=verify-full, or verify-ca with sslrootcert")
	}
}

// allLocal reports whether no host is another machine.
func allLocal(hosts []string) (bool, error) {
	local := true
	for _, h := range hosts {
		if h == "" {
			return false, errors.New("the host is not named")
		}
		a, err := netip.ParseAddr(h)
		loopback := err == nil && a.Unmap().IsLoopback()
		socket := strings.HasPrefix(h, "/") || strings.HasPrefix(h, "@")
		local = local && (loopback || socket || h == "localhost")
	}
	if len(hosts) == 0 {
		return false, errors.New("the host is not named")
	}
	return local, nil
}

// checkKeywords reads libpq's form: keyword = value, quoted or not.
func checkKeywords(dsn string) error {
	settings := map[string]string{}
	for rest := strings.TrimLeft(dsn, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		name, after, ok := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		if !ok || !identifier.MatchString(name) {
			return errors.New("want keyword=value, separated by spaces")
		}
		value, after, err := keywordValue(strings.TrimLeft(after, " "))
		if err != nil {
			return err
		}
		if _, twice := settings[name]; twice {
			return errTwice
		}
		settings[name], rest = value, after
	}
	return checkPostgres(nil, settings)
}

// keywordValue reads a value: to the next space, or between single quotes;
// a backslash stands before a character that means itself.
func keywordValue(s string) (value, rest string, err error) {
	quoted := strings.HasPrefix(s, "'")
	s = strings.TrimPrefix(s, "'")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:], nil
		case !quoted && c == ' ':
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("a quote is not closed")
	}
	return b.String(), "", nil
}
