package sqldb

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const maxTries = 20

// retry calls f until its error is not [Transient].
func retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if err == nil || !Transient(err) || try == maxTries {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(min(1<<try, 128)) * int64(time.Millisecond)))
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// Transient reports whether a database error says that another transaction
// was in the way and the same work may succeed when done again.
func Transient(err error) bool {
	var state interface{ SQLState() string } // pgx, lib/pq
	if errors.As(err, &state) {
		const serializationFailure, deadlockDetected = "40001", "40P01"
		s := state.SQLState()
		return s == serializationFailure || s == deadlockDetected
	}
	const busy, locked = 5, 6        // SQLITE_BUSY, SQLITE_LOCKED
	var code interface{ Code() int } // modernc.org/sqlite
	if errors.As(err, &code) {
		primary := code.Code() & 0xff
		return primary == busy || primary == locked
	}
	return false
}

// Duplicate reports whether a database error says that a row with this key
// exists.
func Duplicate(err error) bool {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		const uniqueViolation = "23505"
		return state.SQLState() == uniqueViolation
	}
	const primaryKey, unique = 1555, 2067 // SQLITE_CONSTRAINT_PRIMARYKEY, …_UNIQUE
	var code interface{ Code() int }
	if errors.As(err, &code) {
		return code.Code() == primaryKey || code.Code() == unique
	}
	return false
}
