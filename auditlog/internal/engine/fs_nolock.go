//go:build !unix

package engine

import (
	"errors"
	"io"
)

// Lock fails: without a lock that ends with its process, two writers could
// fork the log.
func (OS) Lock(string) (io.Closer, error) {
	return nil, errors.New("this system has no file locks the log can rely on")
}
