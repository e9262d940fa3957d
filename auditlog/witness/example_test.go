package witness_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/witness"
)

// A second party runs the server; the service asks it through a client.
func Example() {
	dir, err := os.MkdirTemp("", "witness")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	signer, logKey, err := auditlog.NewKeyFile(filepath.Join(dir, "log.key"), "records.example/log")
	if err != nil {
		panic(err)
	}

	// At the second party, who was given the log's public key:
	key, err := witness.NewKey(filepath.Join(dir, "witness.key"), "witness.example/w1", witness.Ed25519)
	if err != nil {
		panic(err)
	}
	server, err := witness.NewServer(key, filepath.Join(dir, "seen"), logKey)
	if err != nil {
		panic(err)
	}
	there := httptest.NewServer(server) // with TLS, and not on this machine
	defer there.Close()

	// At the service, which was given the witness's address and public key:
	client, err := witness.NewClient(there.URL, key.Public(), witness.Options{
		AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, // this example only
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	if err := os.Mkdir(filepath.Join(dir, "log"), 0o700); err != nil {
		panic(err)
	}
	log, err := auditlog.Open(filepath.Join(dir, "log"), signer, auditlog.Options{
		Witnesses: []auditlog.Witness{client}, Reserve: 1 << 20, SegmentSize: 1 << 20,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(client.Name(), log.Close())
	// Output: witness.example/w1 <nil>
}
