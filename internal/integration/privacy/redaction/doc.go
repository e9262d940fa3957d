// Package redaction measures what privacy/redact finds and leaves alone, on
// numbers and addresses that other people's modules make.
package redaction
