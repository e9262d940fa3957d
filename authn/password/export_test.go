package password

// Occupy takes a slot and returns what gives it back.
func Occupy(h *Hasher) func() {
	h.slots <- struct{}{}
	return h.leave
}

// TryOccupy takes a slot if one is free.
func TryOccupy(h *Hasher) {
	select {
	case h.slots <- struct{}{}:
	default:
	}
}

// SetFIPS makes the Hasher do what it does in FIPS mode.
func SetFIPS(h *Hasher) { h.fips = true }

// Reencode parses a hash and writes it again.
func Reencode(s string) (string, error) {
	p, err := parsePHC(s)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}
