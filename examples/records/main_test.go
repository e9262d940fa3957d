package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surety-go/surety/examples/records/service"
	"github.com/surety-go/surety/examples/records/tour"
)

// TestMain lets a test run the command itself, as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("RECORDS_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// home gives the test a configuration directory of its own, where keys go.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("HOME", dir)
	return dir
}

// A page is standard output that a test can read while it is written.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

var servesAt = regexp.MustCompile(`Records serves (http://\S+)`)

// start serves a data directory on a free port until stop.
func start(t *testing.T, args ...string) (base string, out *page, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out = &page{}
	done := make(chan error, 1)
	go func() { done <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), out) }()
	for servesAt.FindStringSubmatch(out.String()) == nil {
		select {
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("it did not end cleanly: %v", err)
		}
	})
	t.Cleanup(stop)
	return servesAt.FindStringSubmatch(out.String())[1], out, stop
}

// refused runs the command, which must end with one sentence that holds all
// of want.
func refused(t *testing.T, want []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range want {
		if !strings.Contains(sentence(err), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// contents maps the files below a directory to their digests. What SQLite
// keeps beside a database while it is open is no content.
func contents(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	all := make(map[string][32]byte)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-shm") {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// edit changes a file and returns what it held.
func edit(t *testing.T, path string, change func([]byte) []byte) (was []byte) {
	t.Helper()
	was, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(slices.Clone(was)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return was
}

func cut(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

// What is wrong is named in one sentence, and nothing is overwritten.
func TestDamagedData(t *testing.T) {
	dir := filepath.Join(home(t), "data")
	_, _, stop := start(t, "-data", dir)
	stop()
	for name, c := range map[string]struct {
		file   string // below the data directory
		change func([]byte) []byte
		want   []string
	}{
		"database":          {"records.db", func(b []byte) []byte { return append(bytes.Repeat([]byte("x"), 5000), b[5000:]...) }, []string{"records.db", "damaged", "backup"}},
		"log cut short":     {"log/segments/0000000000000001.seg", cut(1000), []string{"audit log", "0000000000000001.seg", "restore"}},
		"log empty":         {"log/segments/0000000000000001.seg", cut(0), []string{"audit log", "0000000000000001.seg", "restore"}},
		"checkpoint":        {"log/checkpoint", cut(20), []string{"audit log", "checkpoint", "restore"}},
		"secret cut short":  {"secret.sealed", cut(5), []string{"secret.sealed"}},
		"register, syntax":  {"registers/risks.yaml", func(b []byte) []byte { return append(b, "bogus: [\n"...) }, []string{"registers", "risks.yaml:", "not YAML"}},
		"register, unknown": {"registers/vendors.yaml", replace("owner:", "ownr:"), []string{"registers", "vendors.yaml:", "ownr", "; "}},
		"register, empty":   {"registers/policies.yaml", cut(0), []string{"registers", "policies.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, filepath.FromSlash(c.file))
			whole := edit(t, file, c.change)
			before := contents(t, dir)
			refused(t, c.want, "-data", dir)
			after := contents(t, dir)
			for path, sum := range before {
				// The log may go on, unless it is what is damaged.
				if inLog := strings.HasPrefix(path, filepath.Join(dir, "log")); after[path] != sum && (!inLog || path == file) {
					t.Errorf("%s was overwritten", path)
				}
			}
			edit(t, file, func([]byte) []byte { return whole })
		})
	}
	start(t, "-data", dir)
}

func TestMissingSecretIsNotMadeAnew(t *testing.T) {
	dir := filepath.Join(home(t), "data")
	_, _, stop := start(t, "-data", dir)
	stop()
	secret := filepath.Join(dir, "secret.sealed")
	if err := os.Rename(secret, secret+".away"); err != nil {
		t.Fatal(err)
	}
	refused(t, []string{"secret.sealed", "missing", "backup"}, "-data", dir)
	if _, err := os.Stat(secret); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another secret was made: %v", err)
	}
	if err := os.Rename(secret+".away", secret); err != nil {
		t.Fatal(err)
	}
	start(t, "-data", dir)
}

func TestPassphrase(t *testing.T) {
	dir := filepath.Join(home(t), "data")
	t.Setenv("SURETY_PASSPHRASE", "a battery and a horse")
	_, _, stop := start(t, "-data", dir)
	stop()
	before := contents(t, filepath.Dir(dir))
	t.Setenv("SURETY_PASSPHRASE", "a battery and a mule")
	refused(t, []string{"kek.json", "passphrase", "nothing was changed"}, "-data", dir)
	t.Setenv("SURETY_PASSPHRASE", "")
	refused(t, []string{"kek.json", "SURETY_PASSPHRASE"}, "-data", dir)
	for path, sum := range contents(t, filepath.Dir(dir)) {
		if strings.HasSuffix(path, "kek.json") && before[path] != sum {
			t.Error("the key file was overwritten")
		}
	}
	t.Setenv("SURETY_PASSPHRASE", "a battery and a horse")
	start(t, "-data", dir)
}

func TestPlacesThatCantBe(t *testing.T) {
	dir := home(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, []string{file, "is a file", "choose another directory"}, "-data", filepath.Join(file, "below"))
	refused(t, []string{file, "is a file"}, "-data", file)
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file in the way holds %q, %v", b, err)
	}

	base, _, _ := start(t, "-data", filepath.Join(dir, "data"))
	addr := strings.TrimPrefix(base, "http://")
	refused(t, []string{addr, "-addr"}, "-data", filepath.Join(dir, "other"), "-addr", addr)
	if _, err := os.Stat(filepath.Join(dir, "other")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made for a service that can't serve: %v", err)
	}
	refused(t, []string{"audit log", "another process"}, "-data", filepath.Join(dir, "data"))
}

func TestArguments(t *testing.T) {
	dir := home(t)
	bad, none := filepath.Join(dir, "bad.csv"), filepath.Join(dir, "none.csv")
	for file, text := range map[string]string{bad: "p, owner, *, file, list\np, owner\n", none: " \n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"others could reach it": {[]string{"-addr", "0.0.0.0:0"}, []string{`"0.0.0.0:0"`, "loopback only"}},
		"no port":               {[]string{"-addr", "localhost"}, []string{`"localhost"`, "host:port"}},
		"a name":                {[]string{"-addr", "example.org:80"}, []string{"loopback only"}},
		"extra":                 {[]string{"now"}, []string{`"now"`}},
		"flag":                  {[]string{"-nope"}, []string{"-nope", "-h"}},
		"no policy":             {[]string{"-policy", filepath.Join(dir, "gone.csv")}, []string{"gone.csv"}},
		"empty policy":          {[]string{"-policy", none}, []string{none, "empty"}},
		"watched URL":           {[]string{"-watch", "here"}, []string{"absolute URL"}},
		"nothing to watch for":  {[]string{"-watch", "http://127.0.0.1:1"}, []string{"nothing-to-watch-for", "start it first"}},
		"malformed policy":      {[]string{"-policy", bad}, []string{bad, "line 2"}},
		"no key of the host's":  {[]string{"-host-rules", none, "-host-key", "x"}, []string{"-host-key"}},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")) // one leaves files behind, which another must not find
			refused(t, c.want, append([]string{"-data", data}, c.args...)...)
		})
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, &help); err != nil || !strings.Contains(help.String(), "-tour") {
		t.Errorf("-h: %v, %q", err, help.String())
	}
}

// The process itself ends with 1 and one line.
func TestExitCode(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-addr", "0.0.0.0:0")
	cmd.Env = append(os.Environ(), "RECORDS_TEST_MAIN=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	if s := stderr.String(); strings.Count(s, "\n") != 1 || !strings.HasPrefix(s, "records: ") {
		t.Errorf("it said %q", s)
	}
}

// A person who follows what is printed gets in.
func TestWelcome(t *testing.T) {
	dir := filepath.Join(home(t), "data")
	base, out, stop := start(t, "-data", dir)
	lines := regexp.MustCompile(`(?m)^  (acme|globex) +(owner|manager|employee|auditor) +(\S+@\S+) +([a-z0-9-]{24})$`).FindAllStringSubmatch(out.String(), -1)
	if len(lines) != 8 || strings.Count(out.String(), "\n  curl ") != 3 {
		t.Fatalf("%d accounts in\n%s", len(lines), out)
	}
	body := `{"tenant":"` + lines[0][1] + `","name":"` + lines[0][3] + `","password":"` + lines[0][4] + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/login", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), "enrol") {
		t.Errorf("the printed password was answered %d %s, %v", resp.StatusCode, answer, err)
	}
	stop()
	_, out, _ = start(t, "-data", dir)
	if regexp.MustCompile(`[a-z0-9]{4}-[a-z0-9]{4}-`).MatchString(out.String()) {
		t.Errorf("passwords are printed again:\n%s", out)
	}
}

// Whatever the command's flags allow, the service itself refuses.
func TestDemoStaysOnThisMachine(t *testing.T) {
	dir := home(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	svc, err := service.Open(t.Context(), service.Options{
		Dir: filepath.Join(dir, "data"), KeyDir: filepath.Join(dir, "keys"), Demo: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("a demo serves everyone: %v", err)
	}
}

func TestTour(t *testing.T) {
	var out bytes.Buffer
	if err := tour.Run(t.Context(), &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if n := strings.Count(out.String(), "✓ result"); n != 30 {
		t.Errorf("%d subjects in\n%s", n, out.String())
	}
}
