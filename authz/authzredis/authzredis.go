// Package authzredis tells keepers of a policy through Redis that it changed.
// Redis carries a number and nothing else: what changed is read from the
// store and verified, so that whoever can write to Redis can cause reads and
// no more.
//
//	bell := authzredis.New(client)            // any client: a function that runs a command
//	keeper, err := change.Open(ctx, engine, bell.Store(db), "platform", key, log, change.Options{})
//	go keeper.Watch(ctx, bell)
package authzredis

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/authz/change"
)

// Redis runs one command. A nil reply is (nil, nil).
type Redis func(ctx context.Context, args ...any) (any, error)

// A Bell is a change.Watcher over streams of Redis, one for each tenant.
type Bell struct{ redis Redis }

var _ change.Watcher = (*Bell)(nil)

// New returns a bell.
func New(r Redis) *Bell { return &Bell{r} }

func key(tenant string) string { return "surety:authz:" + tenant }

// block is how long a command waits, in milliseconds.
const block = 900

// Wait implements change.Watcher. It waits less than a second; a change that
// comes between two waits is found by the round that follows.
func (b *Bell) Wait(ctx context.Context, tenant string) error {
	if _, err := b.redis(ctx, "XREAD", "COUNT", 1, "BLOCK", block, "STREAMS", key(tenant), "$"); err != nil && ctx.Err() == nil {
		return fmt.Errorf("authzredis: %w", err)
	}
	return nil
}

// Ring tells a tenant's keepers that the policy changed.
func (b *Bell) Ring(ctx context.Context, tenant string, sequence int64) error {
	_, err := b.redis(ctx, "XADD", key(tenant), "MAXLEN", "~", 16, "*", "sequence", sequence)
	if err != nil {
		return fmt.Errorf("authzredis: %w", err)
	}
	return nil
}

// Store returns a store that rings after each change. When Redis can't be
// reached the change stands: keepers look by themselves every second.
func (b *Bell) Store(s change.Store) change.Store { return ringing{s, b} }

type ringing struct {
	change.Store
	bell *Bell
}

func (r ringing) Append(ctx context.Context, tenant string, list []change.Entry, head change.Head) (bool, error) {
	done, err := r.Store.Append(ctx, tenant, list, head)
	if done && err == nil {
		_ = r.bell.Ring(ctx, tenant, head.Sequence) // only makes it faster
	}
	return done, err //nolint:wrapcheck // the store's own
}
