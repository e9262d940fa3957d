// Package register reads the risk, vendor and policy registers that an
// organisation keeps beside its code, as strict YAML files under review, and
// makes them controls: overdue reviews, orphans and risks above appetite fail a
// probe, and data leaves for declared vendors only.
//
//	set, err := register.Load(os.DirFS("registers"), cat, mounted) // risks.yaml, vendors.yaml, policies.yaml
//	gate, err := set.Vendors.Gate(recorder)
//	client := &http.Client{Transport: gate.Transport(next, "user.contact.email")}
//	issues := set.Issues(time.Now())
//
// Owners are roles, never names of people. Registers hold no personal data:
// acknowledgements of policies name roles or account ids.
//
// # risks.yaml
//
//	appetite: 8                    # highest residual score that needs no acceptance
//	objectives:
//	  - {id: O-1, text: Records are shown to those entitled only}
//	risks:
//	  - id: R-1
//	    title: An administrator reads salaries
//	    category: fraud            # one of RiskCategories; fraud must occur
//	    objective: O-1
//	    owner: head of finance
//	    likelihood: 3              # 1 to 5, before treatment
//	    impact: 4
//	    residual: {likelihood: 1, impact: 4}
//	    reviewed: 2026-01-10
//	    review: 2026-07-10         # next one, within 366 days
//	    treatments:
//	      - {control: authz.sod}
//	      - {plan: Two-person payroll runs, owner: head of finance, due: 2026-06-30}
//
// # vendors.yaml
//
//	vendors:
//	  - id: V-1
//	    name: Example Mail GmbH
//	    tier: high                 # critical, high, medium, low
//	    owner: head of procurement
//	    services: [transactional mail]
//	    hosts: [api.mail.example]  # or *.mail.example for one level below
//	    categories: [user.contact] # data categories it may get, and all below
//	    report: {type: SOC 2 Type II, expires: 2026-12-31}
//	    agreements: [{type: dpa, signed: 2025-01-01, expires: 2027-01-01}]
//	    breach_clause: true        # must tell us of suspected disclosures
//	    subprocessors: [{name: Example Hosting, categories: [user.contact]}]
//	    reviewed: 2026-01-10
//	    review: 2026-07-10
//
// # policies.yaml
//
//	policies:
//	  - id: P-1
//	    title: Access control
//	    version: "3"
//	    owner: head of security
//	    approved_by: chief executive   # never the owner
//	    effective: 2026-01-01
//	    review: 2026-12-31
//	    text: policies/access.md       # beside the register
//	    sha256: 9f86d081884c7d65…      # of the approved text
//	    controls: [authn.*, authz.policy]
//	    audience: [head of platform]
//	    acknowledgements: [{by: head of platform, version: "3", on: 2026-01-05}]
//
// # Errors
//
// A file that breaks these rules does not load; the error names file, line,
// field and what is wanted, one line per mistake. What goes stale with time is
// an [Issue]. [ErrEgress] wraps every refusal of the gate.
package register
