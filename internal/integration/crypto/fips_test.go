package crypto

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"
)

// The family's tests, key services among them, pass in a program that may use
// nothing but what FIPS 140-3 approves: sealing, streams, bundles, blind
// indexes and TLS work, and what is outside the boundary (deterministic
// sealing, passphrases) refuses with crypto.ErrFIPS instead of panicking.
func TestUnderFIPSOnly(t *testing.T) {
	if fips140.Enforced() {
		return // this is such a run itself
	}
	// Not with the race detector, under which the pool of the approved random
	// generator forgets on purpose and sealing allocates.
	cmd := exec.CommandContext(t.Context(), "go", "test", "-race=false", "github.com/surety-go/surety/crypto/...")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
