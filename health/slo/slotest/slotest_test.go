package slotest_test

import (
	"testing"

	"github.com/surety-go/surety/health/slo"
	"github.com/surety-go/surety/health/slo/slotest"
)

func TestMemory(t *testing.T) {
	slotest.Run(t, func(*testing.T) slo.Store { return slo.NewMemory() })
}
