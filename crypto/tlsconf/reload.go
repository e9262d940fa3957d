package tlsconf

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Certificates presents the certificate of a pair of files and follows their
// replacement. A pair that does not parse or fit is not taken: the old one
// stays, and Err says so. Use Watch.
type Certificates struct {
	certFile, keyFile string

	mu   sync.Mutex
	cert *tls.Certificate
	sum  [sha256.Size]byte
	err  error

	stop chan struct{}
	done chan struct{}
	once sync.Once
}

// Watch reads a certificate and its key and looks at the files again every
// interval, at least a second. Close ends that.
func Watch(certFile, keyFile string, interval time.Duration) (*Certificates, error) {
	if interval < time.Second {
		return nil, fmt.Errorf("%w: interval %v: want at least 1s", ErrConfig, interval)
	}
	c := &Certificates{certFile: certFile, keyFile: keyFile, stop: make(chan struct{}), done: make(chan struct{})}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	go c.run(interval)
	return c, nil
}

func (c *Certificates) run(interval time.Duration) {
	defer close(c.done)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = c.Reload() // kept for Err
		case <-c.stop:
			return
		}
	}
}

// Close ends the watching. The certificate can still be presented.
func (c *Certificates) Close() error {
	c.once.Do(func() { close(c.stop) })
	<-c.done
	return nil
}

// Reload looks at the files now.
func (c *Certificates) Reload() error {
	cert, sum, err := readPair(c.certFile, c.keyFile)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	if err == nil && (c.cert == nil || !bytes.Equal(sum[:], c.sum[:])) {
		c.cert, c.sum = cert, sum
	}
	return err
}

func readPair(certFile, keyFile string) (*tls.Certificate, [sha256.Size]byte, error) {
	certPEM, err1 := os.ReadFile(certFile)
	keyPEM, err2 := os.ReadFile(keyFile)
	if err := errors.Join(err1, err2); err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	// X509KeyPair also checks that the key is the certificate's: a pair read
	// between the replacement of its two files doesn't pass.
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("%w: %s and %s: %w", ErrConfig, certFile, keyFile, err)
	}
	return &cert, sha256.Sum256(certPEM), nil
}

// GetCertificate is for tls.Config.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cert, nil
}

// Err returns why the files could not be taken when last looked at, or nil.
func (c *Certificates) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
