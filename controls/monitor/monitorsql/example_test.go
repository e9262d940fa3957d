package monitorsql_test

import (
	"context"
	"database/sql"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/controls/monitor/monitorsql"
)

// A monitor whose history survives restarts, so that evidence of a period has
// no gap but the time the program was down.
func Example() {
	_ = func(ctx context.Context, owner, pool *sql.DB, cat *catalogue.Catalogue, log auditlog.Recorder, mounted ...controls.Component) (*monitor.Monitor, error) {
		if err := monitorsql.Migrate(ctx, owner); err != nil {
			return nil, err
		}
		store, err := monitorsql.New(ctx, pool)
		if err != nil {
			return nil, err
		}
		return monitor.New(cat, log, monitor.Options{Store: store}, mounted...)
	}
}
