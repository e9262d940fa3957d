package monitor_test

import (
	"context"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/monitor"
)

type door struct{ open bool }

func (d door) Controls() []controls.Control {
	return []controls.Control{{ID: "authz.policy", Probe: func(context.Context) controls.Result {
		if d.open {
			return controls.Failed("a stranger was let in")
		}
		return controls.Passed("a stranger was refused")
	}}}
}

// A monitor probes live components and keeps what it saw.
func Example() {
	cat, err := catalogue.Default()
	if err != nil {
		panic(err)
	}
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	m, err := monitor.New(cat, log, monitor.Options{}, door{open: true})
	if err != nil {
		panic(err)
	}
	began := time.Now()
	if err := m.Start(); err != nil {
		panic(err)
	}
	defer m.Close()
	entries, err := m.Run(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(entries[0].Control, entries[0].State, "-", entries[0].Observed)
	history, err := m.History(context.Background(), began, time.Now())
	fmt.Println(len(history.Gaps), err)
	// Output:
	// authz.policy fail - a stranger was let in
	// 0 <nil>
}
