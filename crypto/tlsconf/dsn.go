package tlsconf

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// ErrPlaintext says that a database would be spoken to in the clear, or to
// whoever answers in its place. Its text never contains the address's user or
// password.
var ErrPlaintext = errors.New("tlsconf: connection without verified TLS")

// CheckPostgres refuses the address of a PostgreSQL server, as a URL or as
// key=value words, that is neither on this machine (a loopback address or a
// Unix socket) nor connected to with sslmode=verify-full. All hosts of a list
// count. The weaker modes, "require" among them, don't verify who answers.
func CheckPostgres(dsn string) error {
	hosts, mode, err := parsePostgres(dsn)
	if err != nil {
		return err
	}
	if mode == "verify-full" {
		return nil
	}
	if len(hosts) == 0 {
		// Drivers then take PGHOST, or a default that differs among them.
		return fmt.Errorf("%w: the PostgreSQL address names no host, and sslmode is not verify-full", ErrPlaintext)
	}
	for _, h := range hosts {
		if !local(h) {
			return fmt.Errorf("%w: PostgreSQL with sslmode %q on another machine: want sslmode=verify-full", ErrPlaintext, mode)
		}
	}
	return nil
}

func parsePostgres(dsn string) (hosts []string, mode string, err error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		return parsePostgresURL(dsn)
	}
	words, err := keyValues(dsn)
	if err != nil {
		return nil, "", err
	}
	if words["service"] != "" || words["servicefile"] != "" {
		return nil, "", fmt.Errorf("%w: a PostgreSQL service file may name any host", ErrPlaintext)
	}
	return hostList(words["host"], words["hostaddr"]), words["sslmode"], nil
}

func parsePostgresURL(dsn string) (hosts []string, mode string, err error) {
	// url.Parse knows no list of hosts: the authority is cut out by hand.
	_, rest, _ := strings.Cut(dsn, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		authority = authority[i+1:]
	}
	for h := range strings.SplitSeq(authority, ",") {
		u := url.URL{Host: h}
		name, err := url.PathUnescape(u.Hostname())
		if err != nil {
			return nil, "", fmt.Errorf("%w: the PostgreSQL address does not parse", ErrPlaintext)
		}
		if name != "" {
			hosts = append(hosts, name)
		}
	}
	_, query, _ := strings.Cut(rest, "?")
	q, err := url.ParseQuery(query)
	if err != nil || len(q["sslmode"]) > 1 {
		return nil, "", fmt.Errorf("%w: the PostgreSQL address's options don't parse", ErrPlaintext)
	}
	if q.Has("service") || q.Has("servicefile") {
		return nil, "", fmt.Errorf("%w: a PostgreSQL service file may name any host", ErrPlaintext)
	}
	// Options override the authority in some drivers: both count.
	for _, key := range []string{"host", "hostaddr"} {
		for _, v := range q[key] {
			hosts = append(hosts, hostList(v)...)
		}
	}
	return hosts, q.Get("sslmode"), nil
}

func hostList(lists ...string) (hosts []string) {
	for _, list := range lists {
		for h := range strings.SplitSeq(list, ",") {
			if h != "" {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// keyValues reads libpq's words: key=value, values in single quotes if they
// contain spaces, with backslash before ' and \.
func keyValues(s string) (map[string]string, error) {
	bad := fmt.Errorf("%w: the PostgreSQL address does not parse", ErrPlaintext)
	words := map[string]string{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		key, rest, ok := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" || strings.ContainsAny(key, " '\t\n") {
			return nil, bad
		}
		value, rest, ok := wordValue(strings.TrimLeft(rest, " \t\n"))
		if _, twice := words[key]; !ok || twice {
			return nil, bad
		}
		words[key], s = value, rest
	}
	return words, nil
}

func wordValue(s string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:], true
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			return b.String(), s[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}

// CheckRedis refuses the URL of a Redis server that is neither on this machine
// (redis:// to a loopback address, unix://) nor rediss://, nor one that turns
// verification off.
func CheckRedis(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Opaque != "" {
		return fmt.Errorf("%w: the Redis address does not parse", ErrPlaintext)
	}
	if v := strings.ToLower(u.Query().Get("skip_verify")); v != "" && v != "false" && v != "0" {
		return fmt.Errorf("%w: the Redis address says skip_verify", ErrPlaintext)
	}
	switch {
	case u.Scheme == "rediss" && u.Hostname() != "":
		return nil
	case u.Scheme == "unix" && u.Host == "":
		return nil
	case u.Scheme == "redis" && local(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%w: Redis with scheme %q on another machine: want rediss://", ErrPlaintext, u.Scheme)
}

// local reports whether a host is this machine: a loopback address, the name
// localhost, or a Unix socket. Other names may resolve to anything.
func local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
