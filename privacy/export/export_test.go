package export_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/privacy/export"
)

type source struct{ err error }

func (source) Name() string { return "main" }

func (s source) Export(_ context.Context, _, subject string, yield func(string, []string, []any) error) error {
	for i := range 2 {
		err := yield("people", []string{"id", "name", "born", "photo", "note"},
			[]any{subject, []byte(`=HYPERLINK("x")`), time.Date(1990, 1, 2, 0, 0, 0, 0, time.UTC), []byte{0xff, byte(i)}, "<script>alert(1)</script>"})
		if err != nil {
			return err
		}
	}
	if err := yield("odd/../name", []string{"x"}, []any{nil}); err != nil {
		return err
	}
	return s.err
}

// xor stands for encryption: nothing must be readable that did not pass it.
type xor struct {
	io.Writer
	closed *bool
}

func (x xor) Write(p []byte) (int, error) {
	out := make([]byte, len(p))
	for i, c := range p {
		out[i] = c ^ 0x5a
	}
	return x.Writer.Write(out)
}

func (x xor) Close() error { *x.closed = true; return nil }

func TestWrite(t *testing.T) {
	var out bytes.Buffer
	var rec auditlogtest.Recorder
	closed := false
	seal := func(w io.Writer) (io.WriteCloser, error) { return xor{w, &closed}, nil }
	m, err := export.Write(t.Context(), &out, "acme", "u-1", "r-1", seal, &rec, source{})
	if err != nil || !closed || m.Rows["main/people"] != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if bytes.Contains(out.Bytes(), []byte("data.json")) {
		t.Error("the archive is in the clear")
	}
	clear := out.Bytes()
	for i := range clear {
		clear[i] ^= 0x5a
	}
	z, err := zip.NewReader(bytes.NewReader(clear), int64(len(clear)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(data)
		sum := sha256.Sum256(data)
		if m.Files[f.Name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s is not in the manifest as it is", f.Name)
		}
		if strings.Contains(f.Name, "/") {
			t.Errorf("a file name that leads elsewhere: %s", f.Name)
		}
	}
	if csv := files["01-main-people.csv"]; !strings.Contains(csv, "1990-01-02T00:00:00Z") || strings.Contains(csv, ",\"=HYPERLINK") || strings.Contains(csv, ",=") {
		t.Errorf("CSV: %s", csv)
	}
	if page := files["index.html"]; strings.Contains(page, "<script>") || !strings.Contains(page, "u-1") {
		t.Errorf("HTML: %s", page)
	}
	if !strings.Contains(files["data.json"], `"id": "u-1"`) {
		t.Errorf("JSON: %s", files["data.json"])
	}
	rec.Want(t, "privacy.export.create", auditlog.Success)
}

func TestHalfAnAnswerIsNone(t *testing.T) {
	var out bytes.Buffer
	var rec auditlogtest.Recorder
	seal := func(w io.Writer) (io.WriteCloser, error) { return nil, errors.New("no key") }
	down := errors.New("down")
	if _, err := export.Write(t.Context(), &out, "acme", "u-1", "r-1", seal, &rec, source{}, source{down}); !errors.Is(err, down) || out.Len() != 0 {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
	rec.Want(t, "privacy.export.create", auditlog.Failed)
	if _, err := export.Write(t.Context(), &out, "acme", "u-1", "r-1", seal, &rec, source{}); err == nil || out.Len() != 0 {
		t.Errorf("no key: %v, %d bytes", err, out.Len())
	}
	rec.FailWith(down)
	if _, err := export.Write(t.Context(), &out, "acme", "u-1", "r-1", seal, &rec, source{}); !errors.Is(err, down) || out.Len() != 0 {
		t.Errorf("unrecorded: %v", err)
	}
	if _, err := export.Write(t.Context(), &out, "acme", "u-1", "r-1", nil, &rec, source{}); err == nil {
		t.Error("written in the clear")
	}
}

func Example() {
	_ = func(ctx context.Context, w io.Writer, seal export.Sealer, log auditlog.Recorder, db export.Source) {
		m, err := export.Write(ctx, w, "acme", "u-1", "request 17", seal, log, db)
		fmt.Println(m.Rows, err)
	}
}
