package monitor_test

import (
	"testing"

	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/controls/monitor/monitortest"
)

func TestMemory(t *testing.T) {
	monitortest.Run(t, func(*testing.T) monitor.Store { return monitor.NewMemory() })
}
