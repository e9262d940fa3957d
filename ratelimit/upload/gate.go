package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/metric"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/internal/textsafe"
)

// The errors of this package.
var (
	// ErrInfected says that the scanner found something.
	ErrInfected = errors.New("upload: the scanner found malicious content")
	// ErrTooLarge says that a file is larger than Options.MaxBytes.
	ErrTooLarge = errors.New("upload: too large")
	// ErrType says that a file's content is of no kind that is let in.
	ErrType = errors.New("upload: this kind of file is not let in")
	// ErrScanner says that the scanner gave no verdict.
	ErrScanner = errors.New("upload: the scanner gave no verdict")
)

// A Verdict is what a scanner says of a file.
type Verdict struct {
	Infected  bool
	Signature string // what was found, in the scanner's words
}

// A Scanner looks at files. [Clamd] and [ICAP] are two.
type Scanner interface {
	// Scan reads r to its end. Any error means that nothing is known.
	Scan(ctx context.Context, r io.Reader) (Verdict, error)
}

// Options are the options of a [Gate].
type Options struct {
	// MaxBytes bounds a file, and with the middleware a body: 1 B to 4 GiB; 0
	// is 10 MiB.
	MaxBytes int64
	// Types are the kinds of files that are let in, as http.DetectContentType
	// names them without parameters, such as "application/pdf"; none lets in
	// every kind.
	Types []string
	// Spool is where files lie while they are looked at; empty is
	// os.TempDir. They can be read by this account only.
	Spool string
	// Quarantine keeps what was refused as infected, under a random name that
	// the event tells; empty keeps nothing. It must be on the same file
	// system as Spool, and not be served.
	Quarantine string
	// Meter gets surety.ratelimit.upload.files by result (clean, infected,
	// too_large, type, unscanned); nil is otel's global provider.
	Meter metric.MeterProvider
}

// A Gate lets files in. It is safe for concurrent use.
type Gate struct {
	scanner Scanner
	rec     auditlog.Recorder
	o       Options
	metrics *metrics
}

// New makes a gate. The directories must be there.
func New(scanner Scanner, rec auditlog.Recorder, o Options) (*Gate, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = 10 << 20
	}
	if o.Spool == "" {
		o.Spool = os.TempDir()
	}
	switch {
	case scanner == nil || rec == nil:
		return nil, errors.New("upload: New needs a scanner and a recorder")
	case o.MaxBytes < 1 || o.MaxBytes > 4<<30:
		return nil, fmt.Errorf("upload: Options.MaxBytes is %d, want 1 to 4294967296", o.MaxBytes)
	}
	for _, t := range o.Types {
		if name, params, err := mime.ParseMediaType(t); err != nil || len(params) > 0 || name != t || !strings.Contains(t, "/") {
			return nil, fmt.Errorf("upload: Options.Types: %q is no type in lower case without parameters", t)
		}
	}
	for name, dir := range map[string]string{"Spool": o.Spool, "Quarantine": o.Quarantine} {
		if info, err := os.Stat(dir); dir != "" && (err != nil || !info.IsDir()) {
			return nil, fmt.Errorf("upload: Options.%s: %q is no directory", name, dir)
		}
	}
	m, err := newMetrics(o.Meter)
	if err != nil {
		return nil, err
	}
	o.Types = slices.Clone(o.Types)
	return &Gate{scanner: scanner, rec: rec, o: o, metrics: m}, nil
}

// A File is a file that was let in. Close removes it.
type File struct {
	*os.File
	Size   int64
	SHA256 [sha256.Size]byte
	Type   string // as http.DetectContentType names it, without parameters
}

// Close closes and removes the file.
func (f *File) Close() error {
	return errors.Join(f.File.Close(), os.Remove(f.Name())) //nolint:gosec // a name of os.CreateTemp's
}

// Check reads r to its end and returns its content, at the beginning, if it is
// let in. Whoever sent it controls every byte.
func (g *Gate) Check(ctx context.Context, r io.Reader) (*File, error) {
	f, err := g.spool(ctx, r)
	if f == nil {
		return nil, err
	}
	if err == nil && !g.allows(f.Type) {
		err = fmt.Errorf("%w: %s", ErrType, f.Type)
	}
	var found infection
	switch {
	case errors.As(err, &found):
		err = g.quarantine(ctx, f, found)
	case err != nil:
		err = errors.Join(err, f.Close())
	default:
		if _, err = f.Seek(0, io.SeekStart); err != nil {
			err = errors.Join(fmt.Errorf("upload: %w", err), f.Close())
		}
	}
	g.metrics.count(ctx, result(err))
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (g *Gate) allows(kind string) bool {
	return len(g.o.Types) == 0 || slices.Contains(g.o.Types, kind)
}

// An infection is what the scanner found.
type infection struct{ signature string }

func (i infection) Error() string { return ErrInfected.Error() + ": " + i.signature }

func (infection) Is(target error) bool { return target == ErrInfected }

// spool writes r to a file while the scanner reads it. A file comes back with
// an error only if it is infected.
func (g *Gate) spool(ctx context.Context, r io.Reader) (*File, error) {
	out, err := os.CreateTemp(g.o.Spool, "upload-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("upload: spool: %w", err)
	}
	f := &File{File: out}
	hash := sha256.New()
	head := &prefix{}
	limited := &bounded{r: r, left: g.o.MaxBytes}
	verdict, err := g.scanner.Scan(ctx, io.TeeReader(limited, io.MultiWriter(out, hash, head)))
	f.Size = g.o.MaxBytes - limited.left
	f.Type, _, _ = strings.Cut(http.DetectContentType(head.b), ";")
	copy(f.SHA256[:], hash.Sum(nil))
	switch {
	case limited.err != nil: // the sender's fault, and what the scanner says of a part says nothing
		err = limited.err
	case err == nil && !verdict.Infected && !limited.ended:
		err = fmt.Errorf("%w: it did not read the whole file", ErrScanner)
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrScanner, err)
		err = errors.Join(err, g.note(ctx, auditlog.Failed, "ratelimit.upload"))
	case verdict.Infected:
		return f, infection{clip(verdict.Signature)}
	}
	if err != nil {
		g.metrics.count(ctx, result(err))
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// quarantine puts the file where nobody serves it from, or removes it.
func (g *Gate) quarantine(ctx context.Context, f *File, found infection) error {
	name := ""
	var err error
	if g.o.Quarantine != "" {
		name = rand.Text()
		err = errors.Join(f.File.Close(), os.Rename(f.Name(), filepath.Join(g.o.Quarantine, name))) //nolint:gosec // names of ours
		if err != nil {
			err = fmt.Errorf("upload: quarantine: %w", errors.Join(err, os.Remove(f.Name()))) //nolint:gosec // as above
		}
	} else {
		err = f.Close()
	}
	return errors.Join(found, err, g.note(ctx, auditlog.Denied, "ratelimit.upload",
		auditlog.String("signature", found.signature), auditlog.String("sha256", hex.EncodeToString(f.SHA256[:])),
		auditlog.String("size", fmt.Sprint(f.Size)), auditlog.String("type", f.Type), auditlog.String("quarantined_as", name)))
}

// note records what happened to a file. An event that can't be stored is an
// error, and refuses the upload as well.
func (g *Gate) note(ctx context.Context, outcome auditlog.Outcome, reason string, attrs ...auditlog.Attr) error {
	action := "ratelimit.upload.quarantine"
	if outcome == auditlog.Failed {
		action = "ratelimit.upload.scan"
	}
	if err := g.rec.Record(context.WithoutCancel(ctx), auditlog.Event{Action: action, Outcome: outcome, Reason: reason, Attrs: attrs}); err != nil {
		return fmt.Errorf("upload: record: %w", err)
	}
	return nil
}

// clip bounds what a scanner says, which quotes a stranger's file at times.
func clip(s string) string {
	s = textsafe.Terminal(s)
	return s[:min(len(s), 100)]
}

// prefix keeps the beginning, which tells the kind.
type prefix struct{ b []byte }

func (p *prefix) Write(b []byte) (int, error) {
	p.b = append(p.b, b[:min(len(b), 512-len(p.b))]...)
	return len(b), nil
}

// bounded reads up to a limit and notes whether more came.
type bounded struct {
	r     io.Reader
	left  int64
	ended bool
	err   error
}

func (l *bounded) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		n, l.err = int(l.left), ErrTooLarge
		l.left = 0
		return n, l.err
	}
	l.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF):
		l.ended = true
	case err != nil:
		l.err = fmt.Errorf("upload: read: %w", err)
		err = l.err
	}
	return n, err
}
