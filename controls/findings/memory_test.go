package findings_test

import (
	"testing"

	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/findings/findingstest"
)

func TestMemory(t *testing.T) {
	findingstest.Run(t, func(*testing.T) findings.Store { return findings.NewMemory() })
}
