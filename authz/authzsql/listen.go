package authzsql

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/surety-go/surety/authz/change"
)

// channel is where Append notifies.
const channel = "surety_authz"

// A Connection is one of PostgreSQL's that waits for notifications. With
// pgx, Exec is (*pgx.Conn).Exec and Wait is WaitForNotification.
type Connection interface {
	Exec(ctx context.Context, query string) error
	// Wait returns the payload of the next notification. A context that ends
	// leaves the connection usable.
	Wait(ctx context.Context) (payload string, err error)
	Close(ctx context.Context) error
}

// A Listener is a change.Watcher that hears of changes by LISTEN. It connects
// when it first waits, and again after the connection was lost. One keeper
// uses it.
type Listener struct {
	connect func(context.Context) (Connection, error)
	mu      sync.Mutex
	conn    Connection
}

var _ change.Watcher = (*Listener)(nil)

// Listen returns a listener that connects by a function of the application.
func Listen(connect func(context.Context) (Connection, error)) *Listener {
	return &Listener{connect: connect}
}

// Wait implements change.Watcher. After it connected it returns at once: what
// happened before is not told to those who came later.
func (l *Listener) Wait(ctx context.Context, tenant string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return l.open(ctx)
	}
	for {
		payload, err := l.conn.Wait(ctx)
		switch {
		case err == nil && payload == tenant:
			return nil
		case err == nil:
			continue // another tenant's
		case ctx.Err() != nil:
			return nil // the round is over, the connection is not
		}
		return errors.Join(fmt.Errorf("authzsql: listen: %w", err), l.close(ctx))
	}
}

func (l *Listener) open(ctx context.Context) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return fmt.Errorf("authzsql: listen: %w", err)
	}
	l.conn = conn
	if err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return errors.Join(fmt.Errorf("authzsql: listen: %w", err), l.close(ctx))
	}
	return nil
}

func (l *Listener) close(ctx context.Context) error {
	if l.conn == nil {
		return nil
	}
	conn := l.conn
	l.conn = nil
	return conn.Close(context.WithoutCancel(ctx)) //nolint:wrapcheck // joined with its cause
}

// Close ends the connection.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close(context.Background())
}
