package crypto

import (
	"os/exec"
	"testing"
)

// Keys that end with the process lose the data: outside of a test the fake KEK
// refuses every call.
func TestFakeKEKRefusesInProduction(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "go", "run", "./production").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
