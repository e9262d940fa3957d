package servers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/surety-go/surety/internal/integration/servers"
)

func TestProxiesForward(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s", r.URL.Path, r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(backend.Close)

	start := map[string]func(t testing.TB) *servers.Process{
		"haproxy": func(t testing.TB) *servers.Process {
			return servers.StartHAProxy(t, func(addr string) string {
				return "listen test\n\tbind " + addr + "\n\toption forwardfor\n\tserver one " + backend.Listener.Addr().String() + "\n"
			})
		},
		"nginx": func(t testing.TB) *servers.Process {
			return servers.StartNginx(t, func(addr string) string {
				return "server { listen " + addr + "; location / {" +
					"proxy_pass " + backend.URL + "; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }"
			})
		},
	}
	for name, f := range start {
		t.Run(name, func(t *testing.T) {
			server := f(t)
			const want = "/path for 127.0.0.1"
			if got := get(t, "http://"+server.Addr+"/path"); got != want {
				t.Fatalf("through the proxy: %q, want %q", got, want)
			}
			server.Kill()
			server.Restart()
			if got := get(t, "http://"+server.Addr+"/path"); got != want {
				t.Errorf("after kill and restart: %q, want %q", got, want)
			}
		})
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
