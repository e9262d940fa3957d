package processor_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/privacy/erasure"
	"github.com/surety-go/surety/privacy/erasure/processor"
)

// company is the vendor's side, without a network.
type company struct {
	key      ed25519.PrivateKey
	requests map[string]int
	status   string
	down     int // how many answers fail
	answer   func(w http.ResponseWriter, id string) bool
}

func (c *company) Do(r *http.Request) (*http.Response, error) {
	if c.down > 0 {
		c.down--
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	id, _ := strings.CutPrefix(r.URL.Path, "/v3/requests/")
	code := http.StatusOK
	if r.Method == http.MethodPost {
		var body struct {
			ID         string `json:"subject_request_id"`
			Identities []processor.Identity
		}
		data, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(data, &body)
		}
		if err != nil {
			return nil, err
		}
		id, code = body.ID, http.StatusCreated
		if c.requests[id]++; c.requests[id] > 1 {
			code = http.StatusConflict
		}
	}
	if c.answer == nil || !c.answer(w, id) {
		c.sign(w, code, fmt.Sprintf(`{"subject_request_id":%q,"request_status":%q}`, id, c.status))
	}
	return w.Result(), nil
}

func (c *company) sign(w http.ResponseWriter, code int, body string) {
	w.Header().Set(processor.SignatureHeader, base64.StdEncoding.EncodeToString(ed25519.Sign(c.key, []byte(body))))
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

func newVendor(t *testing.T, o processor.Options) (*company, *processor.Processor) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &company{key: private, requests: map[string]int{}, status: "pending"}
	v, err := processor.New("crm", "https://crm.example/v3", c, processor.Ed25519(public), o)
	if err != nil {
		t.Fatal(err)
	}
	return c, v
}

func TestOpenUntilTheVendorSaysCompleted(t *testing.T) {
	var kept []processor.Receipt
	c, v := newVendor(t, processor.Options{Keep: func(_ context.Context, r processor.Receipt) error { kept = append(kept, r); return nil }})
	for range 2 { // asking again is one request
		if err := v.Erase(t.Context(), "acme", "u-1"); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.requests) != 1 {
		t.Errorf("%d requests", len(c.requests))
	}
	if n, err := v.Remains(t.Context(), "acme", "u-1"); n != 1 || err != nil {
		t.Errorf("pending: %d, %v", n, err)
	}
	c.status = "completed"
	if n, err := v.Remains(t.Context(), "acme", "u-1"); n != 0 || err != nil {
		t.Errorf("completed: %d, %v", n, err)
	}
	if len(kept) != 4 || !ed25519.Verify(c.key.Public().(ed25519.PublicKey), kept[0].Body, kept[0].Signature) {
		t.Errorf("%d receipts", len(kept))
	}
	if v.RequestID("acme", "u-1") == v.RequestID("acmeu", "-1") || len(v.RequestID("a", "b")) != 36 {
		t.Error("request ids")
	}
}

func TestReceiptsThatProveNothing(t *testing.T) {
	c, v := newVendor(t, processor.Options{})
	for name, f := range map[string]func(w http.ResponseWriter, id string) bool{
		"unsigned": func(w http.ResponseWriter, id string) bool {
			fmt.Fprintf(w, `{"subject_request_id":%q,"request_status":"completed"}`, id)
			return true
		},
		"signed by someone else": func(w http.ResponseWriter, id string) bool {
			_, other, _ := ed25519.GenerateKey(nil)
			(&company{key: other}).sign(w, 200, fmt.Sprintf(`{"subject_request_id":%q,"request_status":"completed"}`, id))
			return true
		},
		"about another request": func(w http.ResponseWriter, _ string) bool {
			c.sign(w, 200, `{"subject_request_id":"x","request_status":"completed"}`)
			return true
		},
		"changed": func(w http.ResponseWriter, id string) bool {
			c.sign(w, 200, fmt.Sprintf(`{"subject_request_id":%q,"request_status":"pending"}`, id))
			_, _ = io.WriteString(w, " ")
			return true
		},
		"endless": func(w http.ResponseWriter, _ string) bool { c.sign(w, 200, strings.Repeat(" ", 70<<10)); return true },
	} {
		c.answer = f
		if n, err := v.Remains(t.Context(), "acme", "u-1"); n != 1 || !errors.Is(err, processor.ErrReceipt) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	c.answer = func(w http.ResponseWriter, _ string) bool { w.WriteHeader(http.StatusForbidden); return true }
	if err := v.Erase(t.Context(), "acme", "u-1"); !errors.Is(err, processor.ErrRefused) {
		t.Errorf("403: %v", err)
	}
}

type keys struct{}

func (keys) DestroySubject(context.Context, string, string, string) error { return nil }

func TestOneDeadVendorStaysOpenAndFailsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, v := newVendor(t, processor.Options{})
		alive, w := newVendor(t, processor.Options{})
		_ = w
		public := alive.key.Public().(ed25519.PublicKey)
		other, err := processor.New("mail", "https://mail.example/v3", alive, processor.Ed25519(public), processor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		alive.status, dead.down = "completed", 1000
		rec := &auditlogtest.Recorder{}
		e, err := erasure.New(keys{}, rec, erasure.Options{}, v, other)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		report, err := e.Erase(t.Context(), "acme", "u-1", "r")
		if !errors.Is(err, erasure.ErrIncomplete) || fmt.Sprint(report.Open()) != "[crm]" || time.Since(start) != 3*time.Second {
			t.Errorf("%+v, %v after %v", report, err, time.Since(start))
		}
		rec.Want(t, "privacy.erasure.complete", auditlog.Failed)
		dead.down, dead.status = 2, "completed" // back after two failures
		if report, err := e.Erase(t.Context(), "acme", "u-1", "r"); err != nil || len(report.Open()) != 0 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	c, _ := newVendor(t, processor.Options{})
	ok := processor.Ed25519(c.key.Public().(ed25519.PublicKey))
	for _, endpoint := range []string{"", "http://crm.example", "https://user:pw@crm.example", "https://crm.example?x=1", "://"} {
		if _, err := processor.New("crm", endpoint, c, ok, processor.Options{}); err == nil {
			t.Errorf("%q was accepted", endpoint)
		}
	}
	if _, err := processor.New("crm", "https://crm.example", c, nil, processor.Options{}); err == nil {
		t.Error("a vendor without a verifier was made")
	}
}
