// Package monitor tests the controls of live components on a schedule and
// keeps a history that shows where it did not.
//
//	m, err := monitor.New(cat, recorder, monitor.Options{Findings: tracker}, components...)
//	err = m.Start()
//	defer m.Close()
//	entries, err := m.Run(ctx)             // now, for tests and reports
//	history, err := m.History(ctx, from, to)  // entries and the gaps between them
//
// Each control is probed a little more often than its catalogue entry demands,
// at a moment that differs from instance to instance. Between runs a heartbeat
// says that the monitor is alive. Every run is an entry of the history and an
// audit event, so that deleting history does not go unseen; a run that can't
// be recorded makes the monitor's own control fail. A result other than pass
// or not-applicable opens a finding.
//
// # Gaps
//
// [Gaps] works on entries alone, so that an auditor recomputes it from an
// export: sequence numbers that are missing, heartbeats that stopped, controls
// probed too late, and controls that vanished. A control vanishes when no
// component states it any more; a program that only stops mounting a control
// can't thereby stop failing it.
//
// # Probes that hang
//
// A probe gets Options.Timeout. One that ignores its context is given up and
// counted as an error; it is not started again until it returns, and
// [Monitor.Close] reports it with [ErrStuck].
package monitor
