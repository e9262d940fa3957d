// Package catalogue says, as data keyed by control ID, what the packages'
// controls mean to people: title, statement, owner, how often each is tested
// and on which population, within which bounds its parameters must lie, and
// which criteria it serves.
//
//	cat, err := catalogue.Default()
//	cat, err = cat.Overlay("controls.yaml", data) // the application's owners and stricter bounds
//	assessment := cat.Assess(components...)
//	if err := assessment.Err(); err != nil { … }  // unknown control, parameter out of bounds
//	for _, c := range assessment.Coverage { … }   // each criterion: enforced, evidence, organisational, none
//
// # The files
//
// The shipped catalogue is default.yaml, embedded. An application overlays its
// own file of the same form on it. For a control that is already known, an
// overlay may name the owner and the policy, test more often and tighten the
// bounds of parameters; loosening a bound is an error, so that nobody passes an
// audit by editing the yardstick. New controls are added by listing them.
//
//	controls:
//	  - id: authn.session            # known: owner and bounds
//	    owner: head of platform
//	    parameters:
//	      - {name: aal2_idle, unit: s, max: 900}
//	  - id: payroll.four-eyes        # new
//	    title: Payroll runs need two people
//	    …
//	omitted:
//	  - {id: ratelimit.firewall, reason: the load balancer filters addresses}
//	organisational:
//	  - {criterion: CC1.1, evidence: signed code of conduct, owner: head of people}
//
// # Criteria
//
// [Criteria] are the 61 Trust Services Criteria (TSP section 100, 2017, with
// the revised points of focus of 2022) by id with this project's own
// paraphrases. The mapping of controls to criteria, ISO/IEC 27001:2022 Annex A,
// NIST CSF 2.0 and GDPR articles is this project's own judgement, to be
// confirmed by an auditor: a library never meets a criterion, it enforces or
// evidences part of it.
//
// # Errors
//
// Loading errors name file, line, field and what is wanted. [Assessment.Err]
// wraps [ErrUnknown], [ErrParameter] and [ErrMissing].
package catalogue
