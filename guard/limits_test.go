package guard_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

func TestLimits(t *testing.T) {
	g := guard.Limits(10, time.Minute)
	var read error
	var bounded bool
	h := guard.Alone(g, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, read = io.ReadAll(r.Body)
		_, bounded = r.Context().Deadline()
	}))
	post := func(body io.Reader) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", body))
		return w.Code
	}
	if code := post(strings.NewReader("0123456789")); code != 200 || read != nil || !bounded {
		t.Errorf("a body at the limit: %d, %v, deadline %t", code, read, bounded)
	}
	if code := post(strings.NewReader("0123456789x")); code != 413 {
		t.Errorf("a declared body over the limit: %d", code)
	}
	// Of unknown length: the reader is no *strings.Reader.
	post(io.MultiReader(strings.NewReader("0123456789"), strings.NewReader("x")))
	var tooLarge *http.MaxBytesError
	if !errors.As(read, &tooLarge) || tooLarge.Limit != 10 {
		t.Errorf("an undeclared body over the limit: %v", read)
	}
	if r := g.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("probe: %v %s", r.State, r.Observed)
	}
	for _, bad := range []guard.Guard{guard.Limits(0, 0), guard.Limits(2<<30, 0), guard.Limits(1, -1), guard.Limits(1, 2*time.Hour)} {
		if _, err := guard.New(bad); !errors.Is(err, guard.ErrConfig) {
			t.Errorf("%+v was accepted: %v", bad, err)
		}
	}
}
