package sqldb

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

var soundDSNs = []string{
	"postgres://u:secret@db.example.org/app?sslmode=verify-full",
	"postgresql://u:secret@db.example.org:5432/app?sslmode=verify-full&connect_timeout=5",
	"postgres://u:secret@a.example.org,b.example.org:5433/app?sslmode=verify-full",
	"postgres://db.example.org/app?sslmode=verify-ca&sslrootcert=/etc/ca.pem",
	"postgres://u:secret@127.0.0.1:5432/app",
	"postgres://u:secret@127.8.9.1/app?sslmode=disable",
	"postgres://u:secret@[::1]:5432/app?sslmode=disable",
	"postgres://u:secret@localhost/app?sslmode=disable",
	"postgres://u@%2Frun%2Fpostgresql/app",
	"postgres:///app?host=/run/postgresql",
	"postgres://u:p%40ss%2Fword@localhost/app",
	"host=localhost user=u password=secret sslmode=disable",
	"host = localhost password = 'with space and \\' quote' dbname=app",
	"host=/run/postgresql dbname=app",
	"host=@abstract dbname=app",
	"host=db.example.org sslmode=verify-full password=a://b",
	"host='db.example.org' sslmode='verify-full'",
	"redis://127.0.0.1:6379/0",
	"redis://:secret@localhost:6379",
	"redis://[::1]:6379",
	"rediss://u:secret@cache.example.org:6380/1?dial_timeout=5s",
	"unix:///run/redis.sock",
}

var refusedDSNs = []string{
	"",
	"db.example.org",
	"unix",
	"postgres",
	"unix://db.example.org",
	"mysql://db.example.org/app",
	"http://db.example.org/",
	// Plaintext, by choice or by default; or TLS that would take any server.
	"postgres://u:secret@db.example.org/app",
	"postgres://u:secret@db.example.org/app?sslmode=disable",
	"postgres://u:secret@db.example.org/app?sslmode=allow",
	"postgres://u:secret@db.example.org/app?sslmode=prefer",
	"postgres://u:secret@db.example.org/app?sslmode=require",
	"postgres://u:secret@db.example.org/app?sslmode=VERIFY-FULL",
	"postgres://u:secret@db.example.org/app?SSLMODE=verify-full",
	"postgres://u:secret@db.example.org/app?sslmode=verify-ca",
	"postgres://u:secret@db.example.org/app?sslmode=verify-ca&sslrootcert=system",
	"postgres://u:secret@10.0.0.1/app",
	"postgres://u:secret@localhost.example.org/app",
	"postgres://u:secret@127.0.0.1.example.org/app",
	"postgres://u:secret@2130706433/app",
	"host=db.example.org user=u password=secret",
	"host=db.example.org password='sslmode=verify-full'",
	"redis://u:secret@cache.example.org:6379",
	"rediss://u:secret@cache.example.org:6379?skip_verify=true",
	"rediss://u:secret@cache.example.org:6379?ssl_cert_reqs=none",
	// One of several hosts, or a second place that names one.
	"postgres://localhost,db.example.org/app",
	"postgres://localhost/app?host=db.example.org",
	"postgres://localhost/app?hostaddr=192.0.2.1",
	"host=localhost hostaddr=192.0.2.1",
	"host=localhost,db.example.org",
	"postgres://db.example.org/app?sslmode=verify-full&sslmode=disable",
	"host=localhost host=db.example.org",
	"postgres://localhost/app?service=prod",
	"service=prod",
	// Nobody said where to.
	"postgres:///app",
	"postgres://u:secret@/app",
	"postgres://localhost,/app",
	"user=u password=secret",
	"redis://",
	// Readers disagree about where the host is.
	"postgres://localhost?@db.example.org/app",
	"postgres://localhost/@db.example.org/app",
	"postgres://localhost#@db.example.org/app",
	"postgres://u:sec@ret@localhost/app",
	"postgres://localhost/app\\@db.example.org",
	"postgres://loc%zzalhost/app",
	"postgres://127.0.0.1::/app",
	"postgres://[::1]db.example.org/app",
	"postgres://[::1%25eth0]/app",
	"postgres://localhost/app?a=%zz",
	"postgres://localhost/app?sslmode=a;host=db.example.org",
	"postgres://localhost/app\n?host=db.example.org",
	"host=localhost\tsslmode=disable",
	"host=localhost password='secret",
	"host=localhost secret",
	"=secret",
}

func TestCheckDSN(t *testing.T) {
	for _, dsn := range soundDSNs {
		if err := CheckDSN(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	for _, dsn := range refusedDSNs {
		err := CheckDSN(dsn)
		if !errors.Is(err, ErrDSN) {
			t.Errorf("%s: %v, want ErrDSN", dsn, err)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "example.org") {
			t.Errorf("%s: the message shows it: %v", dsn, err)
		}
	}
}

func FuzzCheckDSN(f *testing.F) {
	for _, dsn := range append(append([]string{}, soundDSNs...), refusedDSNs...) {
		f.Add(dsn)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		u, err := url.Parse(dsn) // which is what drivers in Go read it with
		if CheckDSN(dsn) != nil || err != nil || u.Host == "" {
			return
		}
		a, err := netip.ParseAddr(u.Hostname())
		local := u.Hostname() == "localhost" || err == nil && a.Unmap().IsLoopback() || strings.HasPrefix(u.Hostname(), "/") || strings.HasPrefix(u.Hostname(), "@")
		several := strings.Contains(u.Host, ",")
		if mode := u.Query().Get("sslmode"); !local && !several && u.Scheme != "rediss" && mode != "verify-full" && mode != "verify-ca" {
			t.Fatalf("%q was accepted, and goes to %s", dsn, u.Host)
		}
	})
}
