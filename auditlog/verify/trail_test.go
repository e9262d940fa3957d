package verify

import "testing"

// An export of the log names its period with the attribute that a pruning
// names an index with.
func TestOwnEntriesAreReadByTheirAction(t *testing.T) {
	for name, tc := range map[string]struct {
		entry    string
		findings int
	}{
		"export":           {`{"action":"auditlog.export","outcome":"success","attrs":{"from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z"}}`, 0},
		"pruning":          {`{"action":"auditlog.log.prune","outcome":"success","attrs":{"to":256,"root":"x"}}`, 0},
		"pruning of what?": {`{"action":"auditlog.log.prune","outcome":"success","attrs":{"to":"all","root":"x"}}`, 1},
		"no JSON":          {`{"action":`, 1},
		"pruning, from":    {`{"action":"auditlog.log.prune","outcome":"success","attrs":{"from":0,"to":256,"root":"x"}}`, 0},
		"handover":         {`{"action":"auditlog.key.rotate","outcome":"success","attrs":{"from":"o+1","to":"o+2+k"}}`, 0},
		"handover of what": {`{"action":"auditlog.key.rotate","outcome":"success","attrs":{"from":1,"to":"o+2+k"}}`, 1},
	} {
		var r Report
		new(trail).own(&r, 7, []byte(tc.entry))
		if len(r.Findings) != tc.findings {
			t.Errorf("%s: %v, want %d findings", name, r.Findings, tc.findings)
		}
	}
}
