package upload_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/ratelimit/upload"
)

// nobody stands for a scanner that finds nothing; yours is [upload.Clamd].
type nobody struct{}

func (nobody) Scan(_ context.Context, r io.Reader) (upload.Verdict, error) {
	_, err := io.Copy(io.Discard, r)
	return upload.Verdict{}, err
}

func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil }) // yours is an auditlog.Log
	gate, err := upload.New(nobody{}, log, upload.Options{Types: []string{"application/pdf"}})
	if err != nil {
		panic(err)
	}
	h := gate.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "stored") }))
	for _, body := range []string{"%PDF-1.7", "<script>"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/documents", strings.NewReader(body)))
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 415
}
