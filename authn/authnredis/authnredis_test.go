package authnredis_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/surety-go/surety/authn/authnredis"
	"github.com/surety-go/surety/authn/session"
)

// The suites run against a real Redis in internal/integration/authn; here is
// what a client that errs or lies can do.
func TestOddRepliesAreErrors(t *testing.T) {
	replies := map[string]any{
		"nil": nil, "number": int64(7), "text": "x", "empty": []any{}, "five numbers": []any{int64(1), int64(2), int64(3), int64(4), int64(5)},
		"bad revision": []any{"a", "b", "x", "1", "d"}, "bad time": []any{"a", "b", "1", "x", "d"}, "nested": []any{[]any{"zz", "a", "b", "1", "1", "d"}},
		"seven": []any{"x", "x", "x", "x", "x", "x", "x"},
	}
	for name, reply := range replies {
		do := func(context.Context, ...any) (any, error) { return reply, nil }
		s, th := authnredis.Sessions(do, ""), authnredis.Throttle(do, "")
		if _, err := s.Get(t.Context(), "acme", session.Key{}); err == nil {
			t.Errorf("%s is a session", name)
		}
		if list, err := s.List(t.Context(), "acme", "u"); err == nil && len(list) > 0 {
			t.Errorf("%s is a list of sessions", name)
		}
		if st, err := th.Get(t.Context(), "acme", "k"); err == nil {
			t.Errorf("%s is a state: %+v", name, st)
		}
	}
	down := errors.New("down")
	do := func(context.Context, ...any) (any, error) { return nil, down }
	if _, err := authnredis.Sessions(do, "").Get(t.Context(), "acme", session.Key{}); !errors.Is(err, down) || errors.Is(err, session.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestTenantsCantNameEachOthersKeys(t *testing.T) {
	seen := map[string]string{}
	for _, tenant := range []string{"a", "a}:s", "{a}", "a:s", "a%7D"} {
		do := func(_ context.Context, args ...any) (any, error) {
			base, _ := args[3].(string)
			if other, taken := seen[base]; taken || strings.Count(base, "{") != 1 || strings.Count(base, "}") != 1 {
				t.Errorf("%q and %q have the base %q", tenant, other, base)
			}
			seen[base] = tenant
			return nil, errors.New("x")
		}
		_, _ = authnredis.Sessions(do, "p:").Get(t.Context(), tenant, session.Key{})
	}
}
