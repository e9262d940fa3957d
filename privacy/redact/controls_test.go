package redact_test

import (
	"testing"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/privacy/redact"
)

func TestProbe(t *testing.T) {
	c := newRedactor(t, redact.Options{Keep: []redact.Type{redact.IP}}).Controls()[0]
	if r := c.Run(t.Context()); r.State != controls.Pass || c.Parameters[0].Value != "ip" {
		t.Errorf("%v %s, kept %q", r.State, r.Observed, c.Parameters[0].Value)
	}
	broken := newRedactor(t, redact.Options{Replace: func(dst []byte, _ redact.Type, v []byte) []byte { return append(dst, v...) }})
	if r := broken.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("a redactor that replaces nothing: %v", r.State)
	}
}
