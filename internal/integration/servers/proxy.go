package servers

import (
	"context"
	"testing"
)

// StartHAProxy starts an HAProxy for one test. config returns the frontends
// and backends, one of which binds the address it is given; timeouts have
// short defaults there.
func StartHAProxy(t testing.TB, config func(addr string) string) *Process {
	t.Helper()
	return Start(t, Spec{
		Program: "haproxy",
		Install: "apt-get install -y haproxy",
		Prepare: func(_ context.Context, site Site) error {
			return site.WriteFile("haproxy.cfg", haproxyDefaults+config(site.Addr))
		},
		Args: func(site Site) []string { return []string{"-W", "-db", "-f", site.Path("haproxy.cfg")} },
	})
}

const haproxyDefaults = `defaults
	mode http
	timeout connect 2s
	timeout client 10s
	timeout server 10s

`

// StartNginx starts an nginx for one test. config returns what stands in the
// http block; one of its servers listens on the address it is given.
func StartNginx(t testing.TB, config func(addr string) string) *Process {
	t.Helper()
	return Start(t, Spec{
		Program: "nginx",
		Install: "apt-get install -y nginx-light",
		Prepare: func(_ context.Context, site Site) error {
			return site.WriteFile("nginx.conf", nginxDefaults+config(site.Addr)+"\n}\n")
		},
		Args: func(site Site) []string {
			return []string{"-p", site.Dir, "-e", "stderr", "-c", site.Path("nginx.conf")}
		},
	})
}

const nginxDefaults = `daemon off;
pid nginx.pid;
worker_processes 1;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;

`
