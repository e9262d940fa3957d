package kmstest

import (
	"testing"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/crypto"
)

func newKeeper(t *testing.T, kek crypto.KEK) *crypto.Keeper {
	t.Helper()
	k, err := crypto.NewKeeper(kek, crypto.NewMemoryStore(), &auditlogtest.Recorder{}, crypto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}
