package auditlog

import "context"

// ActorKey is the context key of the actor; the value is an *Actor. It is
// exported for packages with a context type of their own, which answer it
// beside their own key; everyone else uses [WithActor].
type ActorKey struct{}

// WithActor returns a context whose events are by actor unless they say
// otherwise. Work that a program does on its own account runs under an actor
// of kind [System].
func WithActor(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, ActorKey{}, &actor)
}

// ActorFrom returns the context's actor, or the zero Actor.
func ActorFrom(ctx context.Context) Actor {
	if a, ok := ctx.Value(ActorKey{}).(*Actor); ok {
		return *a
	}
	return Actor{}
}
