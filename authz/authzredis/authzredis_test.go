package authzredis_test

import (
	"context"
	"errors"
	"testing"

	"github.com/surety-go/surety/authz/authzredis"
	"github.com/surety-go/surety/authz/change"
)

func TestABellThatFailsLosesNoChange(t *testing.T) {
	down := errors.New("connection refused")
	bell := authzredis.New(func(context.Context, ...any) (any, error) { return nil, down })
	s := bell.Store(change.NewMemory())
	e := change.Entry{Sequence: 1, Op: change.Add}
	if done, err := s.Append(t.Context(), "acme", []change.Entry{e}, change.Head{Sequence: 1}); !done || err != nil {
		t.Errorf("%t, %v", done, err)
	}
	if n, err := s.Sequence(t.Context(), "acme"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := bell.Wait(t.Context(), "acme"); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	if err := bell.Ring(t.Context(), "acme", 1); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bell.Wait(ended, "acme"); err != nil {
		t.Errorf("a wait that was ended: %v", err)
	}
}
