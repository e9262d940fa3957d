package auditlog

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// LogValue lets an event be logged. Personal attributes are left out.
func (e Event) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 6+len(e.Attrs))
	attrs = append(attrs, slog.String("action", e.Action), slog.String("outcome", e.Outcome.String()))
	attrs = append(attrs, actorAttrs(e.Actor)...)
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", e.Reason))
	}
	for _, t := range e.Targets {
		attrs = append(attrs, slog.String("target."+t.Type, t.ID))
	}
	for _, a := range e.Attrs {
		if a.kind != kindPersonal && a.kind != kindSealed {
			attrs = append(attrs, slog.String(a.Key, a.Text()))
		}
	}
	return slog.GroupValue(attrs...)
}

func actorAttrs(a Actor) []slog.Attr {
	attrs := []slog.Attr{slog.String("actor", a.ID), slog.String("actor_kind", a.Kind.String())}
	if a.Tenant != "" {
		attrs = append(attrs, slog.String("tenant", a.Tenant))
	}
	if a.For != "" {
		attrs = append(attrs, slog.String("for", a.For))
	}
	return attrs
}

// Mirror returns a Recorder that hands events to next and then also writes
// them to an ordinary log, for people who watch a console. The mirror is a
// convenience and never the audit path: it comes second, and slog swallows
// its failures.
func Mirror(next Recorder, logger *slog.Logger) (Recorder, error) {
	if next == nil || logger == nil {
		return nil, errors.New("auditlog: Mirror needs a recorder and a logger")
	}
	return RecorderFunc(func(ctx context.Context, ev Event) error {
		if err := next.Record(ctx, ev); err != nil {
			return err
		}
		level := slog.LevelInfo
		if ev.Outcome != Success {
			level = slog.LevelWarn
		}
		logger.LogAttrs(ctx, level, "audit", slog.Any("event", ev))
		return nil
	}), nil
}

// NewHandler returns a slog.Handler that adds the context's actor and trace
// to every line, so that ordinary logs can be joined with the audit log.
func NewHandler(next slog.Handler) slog.Handler { return &handler{next} }

type handler struct{ next slog.Handler }

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	a, sc := ActorFrom(ctx), trace.SpanContextFromContext(ctx)
	if a.IsZero() && !sc.IsValid() {
		return h.next.Handle(ctx, r)
	}
	r = r.Clone()
	if !a.IsZero() {
		r.AddAttrs(actorAttrs(a)...)
	}
	if sc.IsValid() {
		r.AddAttrs(slog.String("trace", sc.TraceID().String()), slog.String("span", sc.SpanID().String()))
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.next.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler { return &handler{h.next.WithGroup(name)} }
