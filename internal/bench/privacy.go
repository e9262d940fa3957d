package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/surety-go/surety/privacy/redact"
)

// redaction asks what it costs to look for personal data in JSON log lines.
func redaction() Group {
	return Group{
		Name:  "redaction",
		Title: "Redacting JSON log lines",
		Note: "One line in ten has an address, a phone number and a card. The floor looks every byte up in a table; " +
			"the peer runs five regular expressions, one after the other (address, phone, card, IBAN, IPv4).",
		Cases: []Case{{Name: "1,000 lines", Rows: []Row{
			{Floor, "a look at every byte", func(b *testing.B) { byteScan(b, logLines()) }},
			{Peer, "five regexps", func(b *testing.B) { fiveRegexps(b, logLines()) }},
			{Ours, "Redactor.Append", func(b *testing.B) { redactAppend(b, logLines()) }},
		}}},
	}
}

func logLines() []byte {
	const clean = `{"time":"2026-11-24T03:51:25.123456789Z","level":"INFO","msg":"request handled","method":"GET","route":"/v1/orders/{id}","status":200,"bytes":15234,"duration_ms":12.345,"client":"192.0.2.17","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","request_id":"550e8400-e29b-41d4-a716-446655440000"}` + "\n"
	const personal = `{"time":"2026-11-24T03:51:25.123456789Z","level":"WARN","msg":"mail to ann@example.com failed","phone":"+49 30 123456","card":"4111 1111 1111 1111"}` + "\n"
	return []byte(strings.Repeat(strings.Repeat(clean, 9)+personal, 100))
}

func byteScan(b *testing.B, lines []byte) {
	var table [256]uint8
	table['@'], table['+'] = 1, 1
	n := 0
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		for _, c := range lines {
			n += int(table[c])
		}
	}
	if n == 0 {
		panic("nothing was counted")
	}
}

func fiveRegexps(b *testing.B, lines []byte) {
	list := []*regexp.Regexp{
		regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`),
		regexp.MustCompile(`\+[0-9][0-9 ()-]{6,18}[0-9]`),
		regexp.MustCompile(`\b(?:[0-9][ -]?){12,18}[0-9]\b`),
		regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}[A-Z0-9]{0,3}\b`),
		regexp.MustCompile(`\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b`),
	}
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		out := lines
		for _, re := range list {
			out = re.ReplaceAll(out, []byte("[x]"))
		}
	}
}

func redactAppend(b *testing.B, lines []byte) {
	r, err := redact.New(redact.Options{})
	check(err)
	dst := make([]byte, 0, len(lines))
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		dst = r.Append(dst[:0], lines)
	}
}
