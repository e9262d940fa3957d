package tour

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/surety-go/surety/auditlog/witness"
)

// A neighbour is a witness of the tour's own: it shows how witnessing works
// and proves nothing, because the same operator runs it.
type neighbour struct {
	key    string // public
	client *witness.Client
	server *httptest.Server
	absent atomic.Bool
}

// newNeighbour starts a witness for the log with the given public key.
func newNeighbour(dir, log string) (*neighbour, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	key, err := witness.NewKey(filepath.Join(dir, "key"), "tour.example/same-operator", witness.Ed25519)
	if err != nil {
		return nil, err
	}
	handler, err := witness.NewServer(key, filepath.Join(dir, "seen"), log)
	if err != nil {
		return nil, err
	}
	n := &neighbour{key: key.Public()}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.absent.Load() {
			http.Error(w, "not today", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	n.client, err = witness.NewClient(n.server.URL, n.key, witness.Options{
		AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	})
	if err != nil {
		n.server.Close()
		return nil, errors.Join(errors.New("witness"), err)
	}
	return n, nil
}

func (n *neighbour) close() {
	n.client.Close()
	n.server.Close()
}
