package redact

import (
	"context"
	"log/slog"
)

// Handler returns a slog handler that redacts messages and attributes before
// next sees them. Text is scanned, with the attribute's key as context; values
// of other kinds go through [Redactor.Value]; numbers, times and durations
// stay.
func (r *Redactor) Handler(next slog.Handler) slog.Handler { return &handler{r, next} }

type handler struct {
	r    *Redactor
	next slog.Handler
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, rec slog.Record) error {
	out := slog.NewRecord(rec.Time, rec.Level, h.r.String(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.r.Attr(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.r, h.next.WithAttrs(h.r.attrs(attrs))}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.r, h.next.WithGroup(name)}
}

func (r *Redactor) attrs(list []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(list))
	for i, a := range list {
		out[i] = r.Attr(a)
	}
	return out
}

// Attr returns the attribute with its value redacted. Keys are the program's
// and stay.
func (r *Redactor) Attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, r.Field(a.Key, v.String()))
	case slog.KindInt64, slog.KindUint64:
		// A card or a phone number kept as a number is one all the same.
		if text := v.String(); len(text) > 5 && r.Field(a.Key, text) != text {
			return slog.String(a.Key, r.Field(a.Key, text))
		}
		return slog.Attr{Key: a.Key, Value: v}
	case slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(r.attrs(v.Group())...)}
	case slog.KindAny:
		return slog.Any(a.Key, r.value(a.Key, v.Any(), 0))
	}
	return slog.Attr{Key: a.Key, Value: v}
}
