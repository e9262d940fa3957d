package redact

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Request describes a request for a log line, with its path, query and a few
// harmless headers redacted. The body is not read, credentials are not shown.
func (r *Redactor) Request(req *http.Request) slog.Value {
	attrs := []slog.Attr{
		slog.String("method", r.String(req.Method)),
		slog.String("path", r.String(req.URL.Path)),
	}
	if req.URL.RawQuery != "" {
		attrs = append(attrs, slog.String("query", r.query(req.URL.RawQuery)))
	}
	for _, name := range []string{"User-Agent", "Referer", "Content-Type"} {
		if v := req.Header.Get(name); v != "" {
			attrs = append(attrs, slog.String(strings.ToLower(strings.ReplaceAll(name, "-", "_")), r.String(v)))
		}
	}
	return slog.GroupValue(attrs...)
}

// query redacts decoded values, so that %40 hides no address.
func (r *Redactor) query(raw string) string {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return withheld
	}
	out := url.Values{}
	for k, list := range values {
		for _, v := range list {
			out.Add(r.String(k), r.Field(k, v))
		}
	}
	return out.Encode()
}

// Middleware redacts the text of responses: JSON, plain text, HTML, CSV and
// XML, line by line. It is for what must show no personal data, such as error
// pages, debug output and public listings. Compressed responses can't be
// looked into and are answered 500.
func (r *Redactor) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req = req.Clone(req.Context())
		req.Header.Del("Accept-Encoding")
		req.Header.Del("Range") // a part of a number is not recognised
		rw := &responseWriter{ResponseWriter: w, r: r}
		next.ServeHTTP(rw, req)
		rw.finish()
	})
}

type responseWriter struct {
	http.ResponseWriter
	r       *Redactor
	out     *Writer // nil: not text, passed through
	started bool
	refused bool
}

func (w *responseWriter) WriteHeader(status int) {
	if w.started || status < 200 {
		return
	}
	w.started = true
	h := w.Header()
	if e := h.Get("Content-Encoding"); e != "" && e != "identity" {
		w.refused = true
		h.Del("Content-Encoding")
		h.Del("Content-Length")
		http.Error(w.ResponseWriter, "The response can't be redacted.", http.StatusInternalServerError)
		return
	}
	if isText(h.Get("Content-Type")) {
		w.out = w.r.Writer(w.ResponseWriter)
		h.Del("Content-Length")
		h.Del("Etag") // it may be a hash of what is not shown
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if !w.started {
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", http.DetectContentType(b))
		}
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.refused:
		return len(b), nil
	case w.out != nil:
		return w.out.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

// Flush sends whole lines only: a line that is not over yet may be half a
// number.
func (w *responseWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok && !w.refused {
		f.Flush()
	}
}

// Hijack is refused: bytes past the writer would pass unseen.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}

func (w *responseWriter) finish() {
	if w.out != nil {
		w.out.Close()
	}
}

func isText(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		kind == "application/json" || kind == "application/xml" || kind == "application/x-ndjson" || kind == "application/problem+json"
}

// maxLine is how much of a line is held back before it is written in parts.
// Something that stands across two parts may be missed.
const maxLine = 64 << 10

// A Writer redacts what is written to it, line by line. It is for one
// goroutine at a time, as a log's output is.
type Writer struct {
	r        *Redactor
	w        io.Writer
	buf, out []byte
}

// Writer returns a writer to w. Close it to write the last, unfinished line;
// w stays open.
func (r *Redactor) Writer(w io.Writer) *Writer { return &Writer{r: r, w: w} }

// Write takes text in and writes the lines that are complete.
func (w *Writer) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	end := bytes.LastIndexByte(w.buf, '\n') + 1
	if end == 0 && len(w.buf) >= maxLine {
		end = len(w.buf)
	}
	if end == 0 {
		return len(p), nil
	}
	if err := w.write(end); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *Writer) write(end int) error {
	w.out = w.r.Append(w.out[:0], w.buf[:end])
	w.buf = w.buf[:copy(w.buf, w.buf[end:])]
	_, err := w.w.Write(w.out)
	return err
}

// Close writes what is left.
func (w *Writer) Close() error {
	if len(w.buf) == 0 {
		return nil
	}
	return w.write(len(w.buf))
}
