// Package hostcheck leaves evidence of what lies beyond the process: whether
// the host's packet filter is the one that was agreed on, and which ports can
// be reached from outside.
//
// Whoever is responsible for the network signs the rules once, after every
// change that was approved, with a key that is not on the host:
//
//	expected, err := hostcheck.Sign(ruleset, signer) // the output of nft list ruleset
//
// The service compares them with what is in force, as a control that the
// monitor probes:
//
//	rules, err := hostcheck.NewRules(expected, verifier, hostcheck.Command("nft", "list", "ruleset"))
//
// and a program elsewhere, on another network, looks which ports answer:
//
//	ports, err := hostcheck.NewPorts("service.example", []uint16{443}, hostcheck.PortOptions{})
//
// Both only look. A difference is a failed control, hence a finding; who can
// change the host's rules can also change this program, which is why the look
// from outside is the stronger one.
package hostcheck
