package auditlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/surety-go/surety/auditlog"
)

func TestHandlerKeepsSlogsRules(t *testing.T) {
	var buf bytes.Buffer
	h := auditlog.NewHandler(slog.NewJSONHandler(&buf, nil))
	err := slogtest.TestHandler(h, func() []map[string]any {
		var lines []map[string]any
		for line := range bytes.Lines(buf.Bytes()) {
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, m)
		}
		return lines
	})
	if err != nil {
		t.Error(err)
	}
}

func TestHandlerNamesTheActor(t *testing.T) {
	var buf bytes.Buffer
	log := slog.New(auditlog.NewHandler(slog.NewTextHandler(&buf, nil)))
	ctx := auditlog.WithActor(context.Background(), auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User, For: "u-2"})
	log.InfoContext(ctx, "hello")
	for _, want := range []string{"actor=u-1", "tenant=acme", "actor_kind=user", "for=u-2"} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("%q is not in %s", want, buf.String())
		}
	}
}

func TestMirrorComesSecond(t *testing.T) {
	var buf bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&buf, nil))
	down := errors.New("disk full")
	var fail error
	rec, err := auditlog.Mirror(auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return fail }), logger)
	if err != nil {
		t.Fatal(err)
	}
	fail = down
	if err := rec.Record(context.Background(), full()); !errors.Is(err, down) || buf.Len() != 0 {
		t.Errorf("a failed event: %v, and the console shows %q", err, buf.String())
	}
	fail = nil
	if err := rec.Record(context.Background(), full()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=WARN", "event.action=records.update", "event.reason=authz.policy", "event.target.record=r-1"} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("%q is not in %s", want, buf.String())
		}
	}
	if _, err := auditlog.Mirror(nil, logger); err == nil {
		t.Error("a mirror without a log was made")
	}
}
