package ratelimit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/ratelimit/hostcheck"
)

const chain = `table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		tcp dport { 22, 443 } counter accept
	}
}
`

// inNamespace runs a shell script as root of a network of its own, which has
// no packets, no interfaces but loopback, and rules of its own.
func inNamespace(t *testing.T, script string) func(context.Context) ([]byte, error) {
	t.Helper()
	unshare := servers.Program(t, "unshare", "apt-get install -y util-linux")
	return hostcheck.Command(unshare, "--map-root-user", "--net", "sh", "-ec", script)
}

func read(t *testing.T, f func(context.Context) ([]byte, error)) []byte {
	t.Helper()
	out, err := f(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPacketFilter signs what the real nft and iptables list, and compares it
// with the same rules loaded again, with other counters, and with one rule
// more.
func TestPacketFilter(t *testing.T) {
	nft := servers.Program(t, "nft", "apt-get install -y nftables")
	iptables := servers.Program(t, "iptables-nft", "apt-get install -y iptables")
	file := filepath.Join(t.TempDir(), "rules.nft")
	if err := os.WriteFile(file, []byte(chain), 0o600); err != nil {
		t.Fatal(err)
	}
	secret, public, err := note.GenerateKey(nil, "network.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	load := nft + " -f " + file
	ping := "; ip link set lo up 2>/dev/null || true; (echo x >/dev/tcp/127.0.0.1/443) 2>/dev/null || true" // counts
	accept := iptables + " -A INPUT -p tcp --dport 22 -j ACCEPT; " + iptables + " -P INPUT DROP"
	for name, tc := range map[string]struct {
		approved, same, more string
		says                 string
	}{
		"nft": {
			load + "; " + nft + " list ruleset", load + ping + "; " + nft + " -a list ruleset",
			load + "; " + nft + " insert rule inet filter input tcp dport 5432 accept; " + nft + " list ruleset", "tcp dport 5432",
		},
		"iptables": {
			accept + "; " + iptables + "-save", accept + "; " + iptables + "-save -c",
			accept + "; " + iptables + " -A INPUT -p tcp --dport 5432 -j ACCEPT; " + iptables + "-save", "--dport 5432",
		},
	} {
		t.Run(name, func(t *testing.T) {
			expected, err := hostcheck.Sign(read(t, inNamespace(t, tc.approved)), signer)
			if err != nil {
				t.Fatal(err)
			}
			for script, want := range map[string]controls.State{tc.same: controls.Pass, tc.more: controls.Fail} {
				rules, err := hostcheck.NewRules(expected, verifier, inNamespace(t, script))
				if err != nil {
					t.Fatal(err)
				}
				r := rules.Controls()[0].Run(t.Context())
				if r.State != want || want == controls.Fail && !strings.Contains(r.Observed, tc.says) {
					t.Errorf("%v: %s", r.State, r.Observed)
				}
			}
		})
	}
}
