package service

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/surety-go/surety/health/healthsql"
	"github.com/surety-go/surety/health/slo"
)

// operator is the tenant of what belongs to no customer.
const operator = "operator"

// openObjectives measures what customers were promised.
func (s *Service) openObjectives(ctx context.Context) (*slo.Tracker, error) {
	store, err := openCounts(ctx, s.db)
	if err != nil {
		return nil, err
	}
	t, err := slo.New(operator, store, s.keys.subkey("slo"), s.recorder, []slo.Objective{
		{Name: "files", Actions: []string{"files.list", "files.read", "files.update"}, Target: 0.999},
		{Name: "files-fast", Actions: []string{"files.list", "files.read"}, Target: 0.99, Latency: 500 * time.Millisecond},
	}, slo.Options{})
	if err != nil {
		return nil, err
	}
	s.onClose(t.Close)
	return t, nil
}

func openCounts(ctx context.Context, db *sql.DB) (*healthsql.SLO, error) {
	if err := healthsql.Migrate(ctx, db); err != nil {
		return nil, err
	}
	return healthsql.NewSLO(ctx, db)
}

// Watch asks a service from outside, until the context ends, whether it serves.
// It runs as a process of its own, so that it sees the service's die, and
// needs the service's data and keys to write down what it saw.
func Watch(ctx context.Context, o Options, base string) error {
	probe, err := slo.Get(&http.Client{}, base+"/readyz")
	if err != nil {
		return err
	}
	s := &Service{o: o}
	if _, err := os.Stat(s.path(secretFile)); err != nil {
		return fmt.Errorf("data directory %s holds no service: start it first", o.Dir)
	}
	if err := s.openSecret(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	store, err := openCounts(ctx, s.db)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	for _, name := range []string{"files", "files-fast"} {
		w, err := slo.Watch(operator, store, s.keys.subkey("slo"), name, probe, slo.WatchOptions{})
		if err != nil {
			return errors.Join(err, s.Close())
		}
		s.onClose(w.Close)
	}
	<-ctx.Done()
	return s.Close()
}
