package change_test

import (
	"testing"

	"github.com/surety-go/surety/authz/authztest"
	"github.com/surety-go/surety/authz/change"
)

func TestMemoryConforms(t *testing.T) {
	authztest.RunStore(t, func(*testing.T) change.Store { return change.NewMemory() })
}
