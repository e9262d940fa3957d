package password

import (
	"context"
	"errors"

	"github.com/surety-go/surety/controls"
)

// Controls describes how passwords are kept. Its probe hashes a password with
// the parameters in force and tries a wrong one on it.
func (h *Hasher) Controls() []controls.Control {
	c := h.current()
	params := []controls.Parameter{controls.Text("algorithm", c.alg)}
	if c.alg == "argon2id" {
		params = append(params, controls.Bytes("memory", int64(c.memory)<<10), controls.Int("passes", c.time), controls.Int("lanes", c.lanes))
	} else {
		params = append(params, controls.Int("iterations", c.time))
	}
	return []controls.Control{{
		ID: "authn.password",
		Parameters: append(params, controls.Int("salt_bits", 8*saltLength), controls.Bool("pepper", c.keyID != ""),
			controls.Int("concurrency", h.o.Concurrency)),
		Probe: h.probe,
	}}
}

func (h *Hasher) probe(ctx context.Context) controls.Result {
	const right, wrong = "probe: right password", "probe: wrong password"
	encoded, err := h.Hash(ctx, right)
	if err != nil {
		return controls.Errored("hashing: %v", err)
	}
	if h.outdated(encoded) {
		return controls.Failed("a new hash does not have the parameters in force")
	}
	if _, err := h.Verify(ctx, encoded, right); err != nil {
		return controls.Errored("the right password: %v", err)
	}
	for what, attempt := range map[string]struct{ encoded, password string }{
		"a wrong password":            {encoded, wrong},
		"a password without account":  {"", right},
		"an empty password":           {encoded, ""},
		"the hash used as a password": {encoded, encoded},
	} {
		switch _, err := h.Verify(ctx, attempt.encoded, attempt.password); {
		case err == nil:
			return controls.Failed("%s was accepted", what)
		case !errors.Is(err, ErrMismatch):
			return controls.Errored("%s: %v", what, err)
		}
	}
	c := h.current()
	return controls.Passed("wrong, empty and homeless passwords were refused; new hashes are %s", c.alg)
}
