package witness

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxRequest bounds a request: 63 hashes and a checkpoint with signatures.
const maxRequest = 64 << 10

// A Server is a witness: an http.Handler for POST …/add-checkpoint. It keeps
// the last checkpoint of each log in a directory, synced before a cosignature
// leaves, so that it can't be talked into a second history by a restart. One
// server at a time may use the directory.
type Server struct {
	key  *Key
	dir  string
	logs map[string]note.Verifiers // by origin
	now  func() time.Time
	mu   sync.Mutex // one checkpoint at a time
}

// NewServer returns a witness for the logs with the given public keys.
func NewServer(key *Key, dir string, logs ...string) (*Server, error) {
	if key == nil || len(logs) == 0 {
		return nil, errors.New("witness: a server needs a key and the keys of logs")
	}
	s := &Server{key: key, dir: dir, logs: make(map[string]note.Verifiers), now: time.Now}
	for i, vkey := range logs {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("witness: log %d: %w", i, err)
		}
		if s.logs[v.Name()] != nil {
			return nil, fmt.Errorf("witness: log %d: a second key of the same origin", i)
		}
		s.logs[v.Name()] = note.VerifierList(v)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	return s, nil
}

// ServeHTTP answers one request. The caller is anyone: what counts is the
// log's signature.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/add-checkpoint") {
		http.Error(w, "want POST …/add-checkpoint", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the request is too large or cut short", http.StatusBadRequest)
		return
	}
	line, size, code := s.add(body)
	switch code {
	case http.StatusOK:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, line)
	case http.StatusConflict:
		w.Header().Set("Content-Type", sizeType)
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "%d\n", size)
	default:
		http.Error(w, http.StatusText(code), code)
	}
}

// add decides about a request and returns the cosignature, or the size seen.
func (s *Server) add(body []byte) (line string, seen uint64, code int) {
	old, proof, msg, err := parseRequest(body)
	if err != nil {
		return "", 0, http.StatusBadRequest
	}
	h, err := parseHead(msg)
	if err != nil || old > h.size {
		return "", 0, http.StatusBadRequest
	}
	known := s.logs[h.origin]
	if known == nil {
		return "", 0, http.StatusNotFound
	}
	if _, err := note.Open(msg, known); err != nil {
		return "", 0, http.StatusForbidden
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last, err := s.last(h.origin)
	if err != nil {
		return "", 0, http.StatusInternalServerError
	}
	if old != last.size || h.size == last.size && h.size > 0 && h.root != last.root {
		return "", last.size, http.StatusConflict
	}
	if !continues(last, h, proof) {
		return "", 0, http.StatusUnprocessableEntity
	}
	line, err = s.key.signer.Sign(h.text, s.now())
	if err != nil { // ML-DSA covers no extension lines
		return "", 0, http.StatusUnprocessableEntity
	}
	if err := s.keep(h.origin, msg); err != nil { // before the line leaves
		return "", 0, http.StatusInternalServerError
	}
	return line, 0, http.StatusOK
}

// continues checks the consistency proof (RFC 6962, section 2.1.2).
func continues(last, h head, proof tlog.TreeProof) bool {
	if last.size == 0 || last.size == h.size {
		return len(proof) == 0 && (last.size == 0 || last.root == h.root)
	}
	return tlog.CheckTree(proof, int64(h.size), tlog.Hash(h.root), int64(last.size), tlog.Hash(last.root)) == nil
}

func (s *Server) path(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:])+".checkpoint")
}

// last returns the last checkpoint that was cosigned for a log.
func (s *Server) last(origin string) (head, error) {
	b, err := os.ReadFile(s.path(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return head{}, nil
	}
	if err != nil {
		return head{}, err
	}
	return parseHead(b)
}

// keep makes a checkpoint the last one, on stable storage.
func (s *Server) keep(origin string, msg []byte) error {
	tmp := s.path(origin) + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(msg)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.path(origin)); err != nil {
		return err
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// parseRequest reads "old <size>", the proof and the checkpoint.
func parseRequest(b []byte) (old uint64, proof tlog.TreeProof, msg []byte, err error) {
	text, rest, ok := strings.Cut(string(b), "\n\n")
	lines := strings.Split(text, "\n")
	n, isOld := strings.CutPrefix(lines[0], "old ")
	if !ok || !isOld || len(lines) > 64 {
		return 0, nil, nil, errHead
	}
	if old, err = parseSize(n); err != nil {
		return 0, nil, nil, err
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != tlog.HashSize {
			return 0, nil, nil, errHead
		}
		proof = append(proof, tlog.Hash(h))
	}
	return old, proof, []byte(rest), nil
}
