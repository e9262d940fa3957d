// Package redact finds personal data and secrets in text and replaces them,
// in one pass over the bytes, so that logs, audit events and responses don't
// carry what they need not.
//
//	r, err := redact.New(redact.Options{})
//	logger := slog.New(r.Handler(slog.NewJSONHandler(os.Stderr, nil)))
//	logger.Info("reset for ann@example.com")      // reset for [email]
//	log := r.Recorder(auditLog)                   // plain attributes of events
//	clean := r.Append(nil, line)
//
// # What is found
//
//	email     local part, "@" and a domain with a top-level name
//	phone     "+" and a country's calling code; North American grouping; anything of 6 to 15 digits after a word such as "phone"
//	card      13 to 19 digits in a card's grouping, with an issuer's prefix and a Luhn check digit
//	iban      country, length and the remainder of ISO 7064 (mod 97)
//	national  identity numbers of AU BE BR CA CN DE DK ES FI FR GB IN IT NL PL SE US, by checksum where they have one
//	ip        IPv4 and IPv6 addresses
//	jwt       three base64url segments that begin with a JSON object
//	secret    keys with a known prefix, PEM private keys, and values of names such as "password"
//
// Numbers whose checksum lets one in ten pass, or that have none, count only
// when a word before them says what they are ("ssn", "tel", "bsn" …). A
// detector is a net, not a proof: names of people, street addresses and numbers
// without a word beside them pass. What is known to be personal should be
// tagged; [Redactor.Value] goes by tags, and the slog handler uses it.
//
// The text is under the control of whoever is logged. Work per byte is
// bounded, no backtracking expression is used, and there are no errors at run
// time: what can't be understood is kept as it is, except for a value whose
// tags can't be read, which is withheld.
package redact
