package tour

import "slices"

// subjects lists what the tour shows, in the order of the trust categories.
// Recovery comes last, because it ends the service.
func subjects() []row {
	return slices.Concat(
		security(), availability(), processingIntegrity(), confidentiality(), privacy(), general(), recovered(),
	)
}

func security() []row {
	return []row{
		{
			subject: "Security: sign-in with two factors", criterion: "CC6.1", control: "authn.login",
			promise:  "No session before both factors; the first password works once; a code works once.",
			try:      twoFactors,
			evidence: "events authn.* in the audit log",
			thin:     "passkeys and federation are not wired in yet",
		},
		{
			subject: "Security: emergencies", criterion: "CC6.3", control: "authz.breakglass",
			promise:  "Who takes a role in an emergency says why, has it for a quarter of an hour, and somebody else looks at it.",
			try:      emergency,
			evidence: "events authz.breakglass.*, finding on authz.breakglass",
		},
		{
			subject: "Security: sessions end when they are told to", criterion: "CC6.2", control: "authn.session",
			promise:  "Ending a session closes its open gRPC stream within two seconds, and nothing brings it back.",
			try:      revocation,
			evidence: "events authn.session.*",
		},
		{
			subject: "Security: roles are given by others", criterion: "CC6.3", control: "authz.sod",
			promise:  "Nobody gives himself a role, conflicting ones exclude each other, an owner needs a second person, and a row in the database gives nothing.",
			try:      rolesKept,
			evidence: "events authz.policy.update",
		},
		{
			subject: "Security: intrusion detection", criterion: "CC7.2", control: "controls.detect",
			promise:  "Wrong passwords on one account become a finding with an owner, and lock the account for a while.",
			try:      intrusion,
			evidence: "finding on authn.throttle, event of the detector",
		},
		{
			subject: "Security: firewall and limits", criterion: "CC6.6", control: "ratelimit.firewall",
			promise:  "A denied range is refused, also behind the proxy; a flood from one client is cut off for that client only.",
			try:      firewalled,
			evidence: "aggregated denials in the audit log",
		},
		{
			subject: "Security: the host's packet filter", criterion: "CC6.6", control: "ratelimit.hostcheck.rules",
			promise:  "Rules that differ from those that somebody signed are a failed control, and a finding.",
			try:      hostRules,
			evidence: "GET /api/controls?id=ratelimit.hostcheck.rules",
			thin:     "the rules are the tour's own text; -host-rules compares nft's, which only root may read",
		},
		{
			subject: "Security: uploads", criterion: "CC6.8", control: "ratelimit.upload",
			promise:  "A file is let in after a scanner called it clean, and by what it is, not by what it says it is.",
			try:      uploads,
			evidence: "events ratelimit.upload.*",
			thin:     "the scanner is the tour's own and knows one virus; -clamd takes ClamAV's daemon",
		},
		{
			subject: "Security: web application firewall", criterion: "CC6.8", control: "ratelimit.waf",
			promise:  "An injection is refused before the application sees it; a network that keeps trying is refused for everything.",
			try:      attacked,
			evidence: "events ratelimit.waf.match with the rules' numbers, ratelimit.firewall.ban",
		},
		{
			subject: "Security: encryption", criterion: "CC6.1", control: "crypto.envelope",
			promise:  "Names and national ids stand in no file of the data directory, and the keys lie elsewhere.",
			try:      encrypted,
			evidence: "the data directory itself; probe of crypto.envelope",
			thin:     "the key-encryption key is a local file; a KMS would be a server",
		},
	}
}

func availability() []row {
	return []row{
		{
			subject: "Availability: load balancing", criterion: "A1.1", control: "health.balance",
			promise:  "Of two endpoints the slow one gets few requests, and still some.",
			try:      balanced,
			evidence: "requests counted at each endpoint",
			thin:     "both endpoints are proxies of the tour's own before one process",
		},
		{
			subject: "Availability: failover", criterion: "A1.2", control: "health.balance",
			promise:  "When an endpoint dies, every repeatable request is answered by the other.",
			try:      failover,
			evidence: "event health.balance.eject",
			thin:     "as above; databases fail over with health/sqlfailover later",
		},
		{
			subject: "Availability: measured against the promise", criterion: "A1.1", control: "health.slo",
			promise:  "What share of requests is good is counted inside and asked from outside; without somebody outside the control fails.",
			try:      objectives,
			evidence: "GET /api/controls; hourly events health.slo.measure",
			thin:     "the one who asks from outside is the tour's own process; -watch makes it one of its own",
		},
	}
}

func processingIntegrity() []row {
	return []row{
		{
			subject: "Processing integrity: audit log", criterion: "PI1.5", control: "auditlog.log",
			promise:  "The log and its witness's cosignatures verify offline with keys handed over beforehand; with one changed byte they don't.",
			try:      auditLog,
			evidence: "the log directory, checked by auditlog/verify",
			thin:     "the witness is the tour's own, of the same operator: it shows the protocol and proves nothing",
		},
		{
			subject: "Processing integrity: unauthorised change", criterion: "PI1.5", control: "integrity.rows",
			promise:  "An UPDATE past the application is found on the next read and by a scan.",
			try:      unauthorised,
			evidence: "event integrity.row.mismatch",
		},
	}
}

func confidentiality() []row {
	return []row{
		{
			subject: "Confidentiality: classification", criterion: "C1.1", control: "privacy.purpose",
			promise:  "A field comes out only for a purpose that its tag names.",
			try:      classification,
			evidence: "struct tags of service.Person; events files.read with their purpose",
		},
		{
			subject: "Confidentiality: access control", criterion: "CC6.3", control: "authz.policy",
			promise:  "The same denial, with the same event, over HTTP and gRPC; no role counts in another tenant.",
			try:      accessControl,
			evidence: "events authz.decide and files.* with reason authz.policy",
		},
	}
}

func privacy() []row {
	return []row{
		{
			subject: "Privacy: notice", criterion: "P1.1", control: "privacy.notice",
			promise:  "People are told in their language, with proof; every choice names the notice they saw and gives a receipt.",
			try:      notice,
			evidence: "events privacy.notice.*, privacy.consent.*",
		},
		{
			subject: "Privacy: consent", criterion: "P2.1", control: "privacy.consent",
			promise:  "Without consent no read for that purpose; withdrawing is one call and counts at once.",
			try:      consented,
			evidence: "events privacy.consent.* with the ledger's head",
		},
		{
			subject: "Privacy: access and erasure requests (GDPR, CCPA)", criterion: "P4.3", control: "privacy.erasure",
			promise:  "A person gets a sealed copy, then is erased once no legal hold stands: the key is gone, the account too, and the log still verifies.",
			try:      erased,
			evidence: "events privacy.request.*, privacy.hold.*, crypto.key.destroy, privacy.erasure.complete",
		},
		{
			subject: "Privacy: retention and disposal", criterion: "P4.2", control: "privacy.retention",
			promise:  "What is over is disposed of without being asked for, and what isn't stays.",
			try:      retained,
			evidence: "event privacy.retention.purge",
		},
		{
			subject: "Privacy: breach notification", criterion: "P6.6", control: "privacy.breach",
			promise:  "A breach starts a clock of 72 hours; who was told is on record with proof.",
			try:      breached,
			evidence: "events privacy.breach.*",
		},
	}
}

func general() []row {
	return []row{
		{
			subject: "Governance: access is reviewed", criterion: "CC6.2", control: "authz.review",
			promise:  "Somebody else looks at every role that anybody has, with a reason; without it the control fails.",
			try:      reviewed,
			evidence: "events authz.review.*",
		},
		{
			subject: "Risk assessment", criterion: "CC3.2", control: "controls.register.risk",
			promise:  "Every risk has an owner, a review date and treatments that are live controls.",
			try:      register("controls.register.risk"),
			evidence: "data/registers/risks.yaml",
		},
		{
			subject: "Governance", criterion: "CC5.3", control: "controls.register.policy",
			promise:  "Every live control is demanded by a policy that is approved, in force and acknowledged.",
			try:      register("controls.register.policy"),
			evidence: "data/registers/policies.yaml",
		},
		{
			subject: "Vendors", criterion: "CC9.2", control: "controls.register.vendor",
			promise:  "Data leaves for declared vendors and declared categories only, and people see to whom theirs went.",
			try:      vendors,
			evidence: "data/registers/vendors.yaml; events controls.vendor.* and privacy.egress.disclose",
		},
		{
			subject: "Monitoring: live probes", criterion: "CC4.1", control: "controls.monitor",
			promise:  "Every control is tried on the running service and passes; when the log's witness stays away, its control fails within seconds.",
			try:      probes,
			evidence: "events controls.probe.run; GET /controls",
		},
		{
			subject: "Monitoring: findings", criterion: "CC4.2", control: "controls.findings",
			promise:  "What failed is a finding with an owner and a due date, and passes again once it is put right.",
			try:      findingsListed,
			evidence: "GET /api/findings",
		},
		{
			subject: "Information and communication: evidence", criterion: "CC2.1", control: "controls.monitor",
			promise:  "One signed bundle, checked offline with keys handed over beforehand; a changed byte is refused.",
			try:      evidenceBundle,
			evidence: "GET /evidence, marked as a demo's",
		},
	}
}

func recovered() []row {
	return []row{
		{
			subject: "Availability: recovery", criterion: "A1.3", control: "health.drill",
			promise:  "From a copy of the data and the keys kept apart, the service is back and its log verifies.",
			try:      recovery,
			evidence: "time to recover, measured here",
			thin:     "scheduled, encrypted backups and recorded drills come with health/drill",
		},
	}
}
