package privacytest_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/privacytest"
)

// tb stands for a test that may fail.
type tb struct {
	testing.TB
	said []string
}

type stopped struct{}

func (t *tb) Helper()                  {}
func (t *tb) Context() context.Context { return context.Background() }
func (t *tb) Errorf(format string, args ...any) {
	t.said = append(t.said, fmt.Sprintf(format, args...))
}

func (t *tb) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic(stopped{})
}

// says runs an assertion and returns what it failed with.
func says(f func(testing.TB)) string {
	t := &tb{}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(stopped{}) {
				panic(p)
			}
		}()
		f(t)
	}()
	return strings.Join(t.said, "\n")
}

type person struct{ Name, NationalID string }

func newGate(t *testing.T) *privacy.Gate {
	t.Helper()
	g, err := privacy.NewGate([]privacy.Declaration{
		{Purpose: "payroll", Title: "Paying salaries", Basis: privacy.Contract},
		{Purpose: "directory", Title: "A telephone book", Basis: privacy.LegitimateInterest},
	}, nil, &auditlogtest.Recorder{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestNeedsPurpose(t *testing.T) {
	g := newGate(t)
	good := func(ctx context.Context) (person, error) {
		switch privacy.PurposeFrom(ctx) {
		case "payroll":
			return person{"Ada", "ID-1"}, nil
		case "directory":
			return person{Name: "Ada"}, nil
		}
		return person{}, errors.New("refused")
	}
	payroll := []privacy.Purpose{"payroll"}
	for name, tc := range map[string]struct {
		field   string
		allowed []privacy.Purpose
		read    func(context.Context) (person, error)
		want    string // in what it says; empty: it passes
	}{
		"good":            {"NationalID", payroll, good, ""},
		"good, two":       {"Name", []privacy.Purpose{"payroll", "directory"}, good, ""},
		"read by others":  {"Name", payroll, good, `"directory"`},
		"read by anybody": {"Name", payroll, func(context.Context) (person, error) { return person{Name: "Ada"}, nil }, `""`},
		"read by nobody":  {"Name", payroll, func(context.Context) (person, error) { return person{}, errors.New("refused") }, `can't be read for the purpose "payroll"`},
		"undeclared":      {"Name", []privacy.Purpose{"marketing"}, good, "does not declare"},
		"no purpose":      {"Name", nil, good, "name the purposes"},
		"no such field":   {"Email", payroll, good, "no field Email"},
	} {
		if got := says(func(t testing.TB) { privacytest.NeedsPurpose(t, g, tc.field, tc.allowed, tc.read) }); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	pointer := func(ctx context.Context) (*person, error) {
		p, err := good(ctx)
		if err != nil {
			return nil, nil //nolint:nilnil // as some stores do
		}
		return &p, nil
	}
	privacytest.NeedsPurpose(t, g, "NationalID", payroll, pointer)
}

// Whatever form a marker has in a file, it is found; and it is in no message.
func TestLeavesNothing(t *testing.T) {
	const marker = `Ada "Lovelace" ü@example.org`
	for name, left := range map[string]string{
		"as it is": marker, "in capitals": strings.ToUpper(marker), "hexadecimal": hex.EncodeToString([]byte(marker)),
		"JSON": `{"name":"Ada \"Lovelace\" ü@example.org"}`, "query": "q=Ada+%22Lovelace%22+%C3%BC%40example.org",
		"base64": base64.StdEncoding.EncodeToString([]byte("x" + marker + "yz")), "base64 2": base64.StdEncoding.EncodeToString([]byte("xx" + marker)),
		"base64 0": base64.URLEncoding.EncodeToString([]byte(marker + "?")),
	} {
		dir := t.TempDir()
		write := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("people", marker)
		write("backup", left)
		places := []privacytest.Place{privacytest.Dir(dir)}
		got := says(func(t testing.TB) {
			privacytest.LeavesNothing(t, []string{marker}, places, func(context.Context) error { return os.Remove(filepath.Join(dir, "people")) })
		})
		if !strings.Contains(got, "marker 0 is left in file backup") || strings.Contains(got, "Lovelace") {
			t.Errorf("%s: %q", name, got)
		}
		write("people", marker)
		privacytest.LeavesNothing(t, []string{marker}, places, func(context.Context) error {
			return errors.Join(os.Remove(filepath.Join(dir, "people")), os.Remove(filepath.Join(dir, "backup")))
		})
	}
}

func TestLeavesNothingCanFail(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lovelace.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	places := []privacytest.Place{privacytest.Dir(dir)}
	nothing := func(context.Context) error { return nil }
	for name, tc := range map[string]struct {
		markers []string
		places  []privacytest.Place
		erase   func(context.Context) error
		want    string
	}{
		"a name is left":   {[]string{"lovelace"}, places, nothing, "(its name holds a marker)"},
		"never there":      {[]string{"somebody"}, places, nothing, "none of the places before"},
		"no markers":       {nil, places, nothing, "nothing is looked for"},
		"no places":        {[]string{"lovelace"}, nil, nothing, "nothing is looked for"},
		"a short marker":   {[]string{"Ada"}, places, nothing, "at least 5"},
		"erasure fails":    {[]string{"lovelace"}, places, func(context.Context) error { return errors.New("down") }, "down"},
		"no such place":    {[]string{"lovelace"}, []privacytest.Place{privacytest.Dir(filepath.Join(dir, "none"))}, nothing, "none"},
		"no tables":        {[]string{"lovelace"}, []privacytest.Place{privacytest.SQL(nil)}, nothing, "no tables"},
		"not a table name": {[]string{"lovelace"}, []privacytest.Place{privacytest.SQL(nil, "people; DROP TABLE people")}, nothing, "no name of a table"},
	} {
		if got := says(func(t testing.TB) { privacytest.LeavesNothing(t, tc.markers, tc.places, tc.erase) }); !strings.Contains(got, tc.want) || got == "" {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestAsEasy(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	requests := func(n int) func(*http.Client) error {
		return func(c *http.Client) error {
			for range n {
				res, err := c.Get(srv.URL)
				if err != nil {
					return err
				}
				if err := res.Body.Close(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	privacytest.AsEasy(t, srv.Client(), requests(1), requests(1))
	privacytest.AsEasy(t, srv.Client(), requests(2), requests(1))
	for want, acts := range map[string][2]func(*http.Client) error{
		"withdrawing takes 2 requests and giving 1": {requests(1), requests(2)},
		"giving makes no request":                   {requests(0), requests(1)},
		"withdrawing makes no request":              {requests(1), requests(0)},
		"giving: down":                              {func(*http.Client) error { return errors.New("down") }, requests(1)},
	} {
		if got := says(func(t testing.TB) { privacytest.AsEasy(t, srv.Client(), acts[0], acts[1]) }); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func Example() {
	test := func(t *testing.T, g *privacy.Gate, read func(context.Context) (person, error)) {
		privacytest.NeedsPurpose(t, g, "NationalID", []privacy.Purpose{"payroll"}, read)
	}
	_ = test
}
