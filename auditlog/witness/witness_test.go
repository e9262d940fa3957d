package witness_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/auditlog/witness"
	"github.com/surety-go/surety/controls"
)

const origin = "example.org/audit"

var loopback = witness.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true}

// A scene is a log's key, a witness and the way to it.
type scene struct {
	signer note.Signer
	vkey   string
	key    *witness.Key
	state  string
	url    string
}

func newScene(t testing.TB) *scene {
	t.Helper()
	return newSceneOf(t, witness.Ed25519)
}

func newSceneOf(t testing.TB, alg witness.Algorithm) *scene {
	t.Helper()
	dir := t.TempDir()
	s := &scene{state: filepath.Join(dir, "state")}
	var err error
	if s.signer, s.vkey, err = auditlog.NewKeyFile(filepath.Join(dir, "log-key"), origin); err != nil {
		t.Fatal(err)
	}
	if s.key, err = witness.NewKey(filepath.Join(dir, "key"), "witness.example/w1", alg); err != nil {
		t.Fatal(err)
	}
	if s.key, err = witness.LoadKey(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	s.restart(t)
	return s
}

// restart starts the witness anew on what it kept.
func (s *scene) restart(t testing.TB) {
	t.Helper()
	srv, err := witness.NewServer(s.key, s.state, s.vkey)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(srv)
	t.Cleanup(ts.Close)
	s.url = ts.URL
}

func (s *scene) client(t testing.TB) *witness.Client {
	t.Helper()
	c, err := witness.NewClient(s.url, s.key.Public(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (s *scene) open(t testing.TB, dir string) *auditlog.Log {
	t.Helper()
	l, err := auditlog.Open(dir, s.signer, auditlog.Options{
		SegmentSize: 256 << 10, Reserve: 1 << 20, Witnesses: []auditlog.Witness{s.client(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func write(l *auditlog.Log, ack auditlog.Ack, t testing.TB) {
	t.Helper()
	if _, err := l.Append(t.Context(), auditlog.Event{Action: "a.b", Outcome: auditlog.Success}, ack); err != nil {
		t.Fatal(err)
	}
}

// A log with a witness passes its control, survives restarts of both, and
// verifies for an auditor who knows the two keys.
func TestWitnessedLog(t *testing.T) {
	for name, alg := range map[string]witness.Algorithm{"Ed25519": witness.Ed25519, "ML-DSA-44": witness.MLDSA44} {
		t.Run(name, func(t *testing.T) { testWitnessedLog(t, newSceneOf(t, alg)) })
	}
}

func testWitnessedLog(t *testing.T, s *scene) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	for range 3 {
		l := s.open(t, dir)
		for range 30 {
			write(l, auditlog.Durable, t)
		}
		write(l, auditlog.Witnessed, t)
		for _, c := range l.Controls() {
			if r := c.Run(t.Context()); r.State != controls.Pass {
				t.Errorf("%s: %v, %s", c.ID, r.State, r.Observed)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		s.restart(t)
	}
	r, err := verify.Dir(t.Context(), dir, verify.Policy{Key: s.vkey, Witnesses: []string{s.key.Public()}}, nil)
	if err != nil || !r.OK() || r.Anchors < 3 {
		t.Errorf("%s: %v, %v", r.Verdict(), r.Findings, err)
	}
}

// The operator puts an old copy in place, or writes another history with the
// same key: the witness has seen more.
func TestRewrittenHistoryIsNotCosigned(t *testing.T) {
	s := newScene(t)
	root := t.TempDir()
	l := s.open(t, filepath.Join(root, "log"))
	for range 30 {
		write(l, auditlog.Durable, t)
	}
	write(l, auditlog.Witnessed, t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	forged := s.open(t, filepath.Join(root, "forged"))
	_, err := forged.Append(t.Context(), auditlog.Event{Action: "a.b", Outcome: auditlog.Success}, auditlog.Witnessed)
	if !errors.Is(err, witness.ErrConflict) {
		t.Errorf("a shorter history: %v", err)
	}
	for range 60 {
		write(forged, auditlog.Durable, t)
	}
	_, err = forged.Append(t.Context(), auditlog.Event{Action: "a.b", Outcome: auditlog.Success}, auditlog.Witnessed)
	if !errors.Is(err, witness.ErrRefused) {
		t.Errorf("a longer history: %v", err)
	}
	if r := forged.Controls()[0].Run(t.Context()); r.State != controls.Fail {
		t.Errorf("its control: %v, %s", r.State, r.Observed)
	}
	failed := false
	for e, err := range forged.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		failed = failed || e.Action == "auditlog.checkpoint.cosign" && e.Outcome == auditlog.Failed
	}
	if !failed {
		t.Error("the refusal left no event")
	}
}

// post sends a raw request.
func (s *scene) post(t *testing.T, body string) (int, string, string) {
	t.Helper()
	res, err := http.Post(s.url+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(b)
}

func checkpoint(t *testing.T, signer note.Signer, name string, size int, root byte) string {
	t.Helper()
	text := fmt.Sprintf("%s\n%d\n%c%s=\n", name, size, root, strings.Repeat("A", 42))
	msg, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(msg)
}

// The protocol's answers (C2SP tlog-witness).
func TestAnswers(t *testing.T) {
	s := newScene(t)
	good := checkpoint(t, s.signer, origin, 10, 'A')
	if code, _, body := s.post(t, "old 0\n\n"+good); code != http.StatusOK || !strings.HasPrefix(body, "— witness.example/w1 ") {
		t.Fatalf("first checkpoint: %d %s", code, body)
	}
	if code, _, _ := s.post(t, "old 10\n\n"+good); code != http.StatusOK {
		t.Errorf("the same again: %d", code)
	}
	_, otherVkey, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "k"), origin)
	if err != nil || otherVkey == s.vkey {
		t.Fatal(err)
	}
	other, _, err := auditlog.KeyFile(writeKey(t), origin)
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("A", 43) + "=\n"
	for name, tc := range map[string]struct {
		body string
		code int
		says string
	}{
		"not old":       {"new 0\n\n" + good, 400, ""},
		"no blank line": {"old 0\n", 400, ""},
		"leading zero":  {"old 010\n\n" + good, 400, ""},
		"bad hash":      {"old 10\nxyz\n\n" + good, 400, ""},
		"64 hashes":     {"old 10\n" + strings.Repeat(hash, 64) + "\n" + good, 400, ""},
		"old too large": {"old 11\n\n" + good, 400, ""},
		"no checkpoint": {"old 10\n\nx\n", 400, ""},
		"huge":          {"old 10\n" + strings.Repeat("x", 100<<10), 400, ""},
		"unknown log":   {"old 0\n\n" + strings.Replace(good, origin, "example.org/other", 1), 404, ""},
		"wrong key":     {"old 10\n\n" + checkpoint(t, other, origin, 20, 'A'), 403, ""},
		"forgotten":     {"old 0\n\n" + checkpoint(t, s.signer, origin, 20, 'A'), 409, "10\n"},
		"another root":  {"old 10\n\n" + checkpoint(t, s.signer, origin, 10, 'B'), 409, "10\n"},
		"no proof":      {"old 10\n\n" + checkpoint(t, s.signer, origin, 20, 'A'), 422, ""},
		"wrong proof":   {"old 10\n" + hash + "\n" + checkpoint(t, s.signer, origin, 20, 'A'), 422, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, typ, body := s.post(t, tc.body)
			if code != tc.code || tc.says != "" && (body != tc.says || typ != "text/x.tlog.size") {
				t.Errorf("%d %s %q, want %d %q", code, typ, body, tc.code, tc.says)
			}
		})
	}
	res, err := http.Get(s.url + "/add-checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("GET: %d", res.StatusCode)
	}
}

func writeKey(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "k")
	if _, _, err := auditlog.NewKeyFile(path, origin); err != nil {
		t.Fatal(err)
	}
	return path
}

// A witness that answers something else gives no cosignature.
func TestDishonestWitnesses(t *testing.T) {
	s := newScene(t)
	l, err := auditlog.Open(filepath.Join(t.TempDir(), "log"), s.signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	msg, err := l.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prove := func(old uint64) ([][32]byte, error) { _, p, err := l.Consistency(old); return p, err }
	conflict := func(size string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/x.tlog.size")
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, size)
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"nonsense": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "— witness.example/w1 AAAA\n")
		},
		"error":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"larger size": conflict("99\n"),
		"same size":   conflict("0\n"),
		"no size":     conflict("x"),
		"endless":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1/", http.StatusFound)
		},
		"another witness": func(w http.ResponseWriter, r *http.Request) { newOther(t, s).ServeHTTP(w, r) },
	} {
		t.Run(name, func(t *testing.T) {
			ts := httptest.NewServer(h)
			defer ts.Close()
			s := *s
			s.url = ts.URL
			if co, err := s.client(t).Cosign(t.Context(), msg, prove); err == nil {
				t.Errorf("cosignature %+v", co)
			}
		})
	}
	if _, err := s.client(t).Cosign(t.Context(), []byte("x"), prove); err == nil {
		t.Error("what is no checkpoint was cosigned")
	}
	co, err := s.client(t).Cosign(t.Context(), msg, prove)
	if err != nil || time.Since(co.Time) > time.Minute {
		t.Errorf("the honest one: %+v, %v", co, err)
	}
}

// newOther is a witness with the same name and another key.
func newOther(t *testing.T, s *scene) http.Handler {
	dir := t.TempDir()
	key, err := witness.NewKey(filepath.Join(dir, "key"), "witness.example/w1", witness.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := witness.NewServer(key, dir, s.vkey)
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

func TestBadSettings(t *testing.T) {
	s := newScene(t)
	for name, url := range map[string]string{"empty": "", "query": "https://w.example/?x=1", "port": "https://w.example:99999"} {
		if _, err := witness.NewClient(url, s.key.Public(), witness.Options{}); err == nil {
			t.Errorf("URL %s was taken", name)
		}
	}
	if _, err := witness.NewClient(s.url, s.vkey, loopback); err == nil {
		t.Error("a log's key was taken for a witness's")
	}
	for name, logs := range map[string][]string{"none": nil, "no key": {"x"}, "twice": {s.vkey, s.vkey}} {
		if _, err := witness.NewServer(s.key, s.state, logs...); err == nil {
			t.Errorf("logs: %s were taken", name)
		}
	}
	path := filepath.Join(t.TempDir(), "key")
	if _, err := witness.LoadKey(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing key: %v", err)
	}
	if err := os.WriteFile(path, []byte("x y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.LoadKey(path); err == nil {
		t.Error("nonsense was taken for a key")
	}
	if _, err := witness.NewKey(path, "w", witness.Ed25519); err == nil {
		t.Error("a key was overwritten")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := witness.LoadKey(path); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("open key: %v", err)
	}
}

// Without leave, a witness on an internal address is not reached.
func TestInternalAddressesAreRefused(t *testing.T) {
	s := newScene(t)
	c, err := witness.NewClient(strings.Replace(s.url, "http:", "https:", 1), s.key.Public(), witness.Options{})
	if err != nil {
		t.Fatal(err)
	}
	msg := checkpoint(t, s.signer, origin, 1, 'A')
	if _, err := c.Cosign(t.Context(), []byte(msg), func(uint64) ([][32]byte, error) { return nil, nil }); err == nil {
		t.Error("it was reached")
	}
}

func FuzzServer(f *testing.F) {
	s := newScene(f)
	srv, err := witness.NewServer(s.key, s.state, s.vkey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("old 0\n\n" + origin + "\n1\n" + strings.Repeat("A", 43) + "=\n\n— " + origin + " AAAA\n"))
	f.Add([]byte("old 1\nAAAA\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
		if w.Code == http.StatusOK {
			t.Fatalf("an unsigned checkpoint was cosigned: %q", body)
		}
	})
}
