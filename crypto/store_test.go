package crypto_test

import (
	"testing"

	"github.com/surety-go/surety/crypto"
	"github.com/surety-go/surety/crypto/cryptotest"
)

func TestMemoryStoreConforms(t *testing.T) {
	cryptotest.TestKeyStore(t, func(*testing.T) crypto.KeyStore { return crypto.NewMemoryStore() })
}

func TestFakeKEKConforms(t *testing.T) { cryptotest.TestKEK(t, cryptotest.NewKEK("fake")) }
