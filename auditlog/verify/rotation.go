package verify

// A handover is what the log says about a change of its key.
type handover struct {
	index    uint64
	from, to string // name and hash of the old key; the new public key
}

// rotations checks that the keys of the policy followed one another as the log
// says. Of a log that was pruned, the oldest handovers may be gone. One that
// was begun again after a crash stands there twice.
func (c *checker) rotations() {
	keys := c.trust.keys
	at := 0 // of the key in use
	if c.report.Pruned > 0 {
		at = max(0, len(keys)-1-distinct(c.audit.handed))
	}
	for _, h := range c.audit.handed {
		switch {
		case at+1 < len(keys) && h.from == keyID(keys[at]) && h.to == keys[at+1]:
			at++
		case at > 0 && h.from == keyID(keys[at-1]) && h.to == keys[at]: // again
		default:
			c.report.add(Tampered, h.index, "", "the log handed over to a key that the policy does not name in its place")
			return
		}
	}
	if at != len(keys)-1 {
		c.report.add(Tampered, NoIndex, "", "the log does not say that its key changed to the policy's")
	}
}

// distinct counts handovers to different keys in a row.
func distinct(list []handover) (n int) {
	last := ""
	for _, h := range list {
		if h.to != last {
			n++
		}
		last = h.to
	}
	return n
}

// signedInTurn reports whether a checkpoint that was logged at an index is
// signed by the key that was in use then, or by the one that had handed over
// to it last: that one still signs until the log is closed.
func (c *checker) signedInTurn(h *head, index uint64) bool {
	keys := c.trust.keys
	if len(keys) == 1 {
		return true
	}
	var after []handover // handovers still to come
	for i, r := range c.audit.handed {
		if r.index > index {
			after = c.audit.handed[i:]
			break
		}
	}
	at := len(keys) - 1 - distinct(after)
	return at >= 0 && h.by(keys[at]) || at >= 1 && h.by(keys[at-1])
}
