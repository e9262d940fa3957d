// Package service is a personal-records service with the controls of Surety
// wired in; the command examples/records serves it. Read [Open] first: it is
// the list of what is mounted. routes.go is the list of what is served.
package service

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	_ "modernc.org/sqlite" // the embedded database

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/ocsf"
	"github.com/surety-go/surety/authz/review"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/controls/detect"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/findings/findingssql"
	"github.com/surety-go/surety/controls/monitor"
	"github.com/surety-go/surety/controls/monitor/monitorsql"
	"github.com/surety-go/surety/controls/register"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/consent"
	"github.com/surety-go/surety/privacy/erasure"
	"github.com/surety-go/surety/ratelimit/hostcheck"
	"github.com/surety-go/surety/ratelimit/upload"
)

// Options are what a service is opened with.
type Options struct {
	// Dir holds the database, the audit log and the registers. It is created.
	Dir string
	// KeyDir holds the keys, apart from the data. It is created.
	KeyDir string
	// Passphrase, when set, wraps the keys of the data instead of a key file.
	Passphrase string
	// Demo seeds tenants and accounts and marks evidence as a demo's. Cookies
	// are not confined to TLS, which is why the command serves loopback only.
	Demo bool
	// PolicyName, when set, names a casbin policy that stands in place of the
	// one that comes with the service, and Policy is its text.
	PolicyName, Policy string
	// Witnesses cosign the audit log; they belong to other parties and need
	// the log's key: see [Options.LogKey]. Without one the log's control
	// fails, because a log that only its operator signs proves nothing against
	// the operator. WitnessEvery and WitnessGap are as in [auditlog.Options].
	Witnesses    []auditlog.Witness
	WitnessEvery time.Duration
	WitnessGap   time.Duration
	// Scanner looks at uploads; without one none is let in.
	Scanner upload.Scanner
	// Host are the packet filter's rules that somebody signed, compared with
	// those in force; nil leaves that to others.
	Host *hostcheck.Rules
	// Logger gets what operators watch; nil is slog's default.
	Logger *slog.Logger
}

// A Service is the running application.
type Service struct {
	o      Options
	db     *sql.DB
	schema classify.Schema

	log       *auditlog.Log
	recorder  auditlog.Recorder // the log behind sealing and detection
	keys      *keys
	people    *people
	documents *documents
	identity  *identity
	access    *access
	network   *network

	gate    *privacy.Gate
	ledger  *consent.Ledger
	eraser  *erasure.Eraser
	rights  *rights
	reviews *review.Desk

	catalogue *catalogue.Catalogue
	registers *register.Set
	vendors   *register.Gate
	findings  *findings.Tracker
	detector  *detect.Detector
	monitor   *monitor.Monitor
	changes   *changes
	handler   http.Handler
	verifier  string // the log's public key
	siem      *ocsf.Mapper

	mu         sync.Mutex
	components []controls.Component
	closers    []func() error
}

// Open opens or creates a service in a directory. What it opened before a
// failure it closes again.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Service{o: o, changes: newChanges()}
	for _, step := range []func(context.Context) error{
		s.openDirs, s.openDatabase, s.openLog, s.openKeys, s.openFindings, s.openAccess, s.openIdentity,
		s.openDocuments, s.openPrivacy, s.openReviews, s.openNetwork, s.openRoutes, s.openRegisters, s.openMonitor, s.seed, s.daily,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Close closes everything in the reverse order of opening.
func (s *Service) Close() error {
	s.mu.Lock()
	closers := s.closers
	s.closers = nil
	s.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	return errors.Join(errs...)
}

func (s *Service) onClose(f func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

// mount notes components whose controls the monitor probes.
func (s *Service) mount(c ...controls.Component) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.components = append(s.components, c...)
}

// mounted lists the controls of everything that is mounted.
func (s *Service) mounted() []controls.Control {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []controls.Control
	for _, c := range s.components {
		list = append(list, c.Controls()...)
	}
	return list
}

func (s *Service) path(name string) string { return filepath.Join(s.o.Dir, name) }

// makeDirs makes the directories. Root could write anywhere, so what is in
// the way is looked for and named.
func (o Options) makeDirs() error {
	if inside(o.Dir, o.KeyDir) {
		return fmt.Errorf("key directory %s lies inside the data directory: keys beside the data protect nothing", o.KeyDir)
	}
	for _, d := range []struct{ name, path string }{{"data", o.Dir}, {"key", o.KeyDir}} {
		if !filepath.IsAbs(d.path) {
			return fmt.Errorf("%s directory %q: want an absolute path", d.name, d.path)
		}
		if err := makeDir(d.path); err != nil {
			return fmt.Errorf("%s directory: %w", d.name, err)
		}
	}
	return nil
}

func (s *Service) openDirs(context.Context) error { return s.o.makeDirs() }

func makeDir(dir string) error {
	for p := dir; ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s is a file: choose another directory", p)
		}
		if err == nil || p == filepath.Dir(p) {
			break
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: choose a directory that can be written", err)
	}
	return nil
}

// inside reports whether dir is outer or below it.
func inside(outer, dir string) bool {
	rel, err := filepath.Rel(outer, dir)
	return err == nil && filepath.IsLocal(rel)
}

func (s *Service) openDatabase(ctx context.Context) error {
	file := s.path("records.db")
	dsn := "file:" + file + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return fmt.Errorf("database %s: %w", file, err)
	}
	s.onClose(db.Close)
	s.db = db
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check").Scan(&verdict); err != nil || verdict != "ok" {
		return fmt.Errorf("database %s is damaged (%s%v): restore it from a backup; nothing was changed", file, verdict, errText(err))
	}
	if _, err := db.ExecContext(ctx, peopleTable); err != nil {
		return fmt.Errorf("database %s: %w", file, err)
	}
	return os.Chmod(file, 0o600)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// origin names the log to witnesses and auditors.
const origin = "records.example/log"

// logKey reads the log's signing key, which lies with the other keys, or
// makes it for a new log.
func (o Options) logKey() (signer note.Signer, verifier string, err error) {
	file, log := filepath.Join(o.KeyDir, "log.key"), filepath.Join(o.Dir, "log")
	signer, verifier, err = auditlog.KeyFile(file, origin)
	if !errors.Is(err, fs.ErrNotExist) {
		return signer, verifier, err
	}
	if _, err := os.Stat(log); err == nil {
		return nil, "", fmt.Errorf("the log %s exists and its signing key %s does not: put the key back", log, file)
	}
	return auditlog.NewKeyFile(file, origin)
}

// LogKey returns the public key of the log, for those who are to witness it
// before it opens. It makes the key if there is none.
func (o Options) LogKey() (string, error) {
	if err := o.makeDirs(); err != nil {
		return "", err
	}
	_, verifier, err := o.logKey()
	return verifier, err
}

func (s *Service) openLog(context.Context) error {
	signer, verifier, err := s.o.logKey()
	if err != nil {
		return err
	}
	if err := makeDir(s.path("log")); err != nil {
		return err
	}
	log, err := auditlog.Open(s.path("log"), signer, auditlog.Options{
		Table:       table(),
		SegmentSize: 4 << 20, // a demo writes little
		Reserve:     64 << 20,
		Store:       auditlog.FileStore(filepath.Join(s.o.KeyDir, "log.checkpoint")),
		Witnesses:   s.o.Witnesses, WitnessEvery: s.o.WitnessEvery, WitnessGap: s.o.WitnessGap,
	})
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	s.onClose(log.Close)
	s.log, s.verifier = log, verifier
	if s.siem, err = ocsf.New("records", "demo", siemRows()...); err != nil {
		return err
	}
	s.mount(log)
	return nil
}

// openFindings prepares findings and the detector, which stands in front of
// the log: everything that records is looked at.
func (s *Service) openFindings(ctx context.Context) error {
	var err error
	if s.catalogue, err = catalogue.Default(); err != nil {
		return err
	}
	if s.catalogue, err = s.catalogue.Overlay("controls.yaml", overlay); err != nil {
		return err
	}
	sealing, err := auditlog.Sealing(s.log, s.keys)
	if err != nil {
		return err
	}
	if err := findingssql.Migrate(ctx, s.db); err != nil {
		return err
	}
	store, err := findingssql.New(ctx, s.db)
	if err != nil {
		return err
	}
	if s.findings, err = findings.New(store, sealing, s.catalogue.Owner, findings.Options{}); err != nil {
		return err
	}
	s.detector, err = detect.New(sealing, rules(), detect.Options{
		Findings: s.findings,
		Actions:  map[string]detect.Action{"lock": s.lock, "ban": s.ban},
	})
	if err != nil {
		return err
	}
	s.recorder = s.detector
	s.mount(s.findings, s.detector)
	return nil
}

// openRegisters seeds the registers once and reads them every time.
func (s *Service) openRegisters(context.Context) error {
	dir := s.path("registers")
	if err := seedRegisters(dir, time.Now()); err != nil {
		return fmt.Errorf("registers %s: %w", dir, err)
	}
	var err error
	if s.registers, err = register.Load(os.DirFS(dir), s.catalogue, s.mounted); err != nil {
		return fmt.Errorf("registers %s: %w", dir, err)
	}
	if s.vendors, err = s.registers.Vendors.Gate(s.recorder); err != nil {
		return err
	}
	s.mount(s.registers)
	return nil
}

func (s *Service) openMonitor(ctx context.Context) error {
	if err := monitorsql.Migrate(ctx, s.db); err != nil {
		return err
	}
	store, err := monitorsql.New(ctx, s.db)
	if err != nil {
		return err
	}
	m, err := monitor.New(s.catalogue, s.recorder, monitor.Options{Store: store, Findings: s.findings}, s.components...)
	if err != nil {
		return err
	}
	if err := s.catalogue.Assess(m.Components()...).Err(); err != nil {
		return err
	}
	if err := m.Start(); err != nil {
		return err
	}
	s.onClose(m.Close)
	s.monitor = m
	return nil
}

// rules are the patterns of attack that are looked for: those shipped, a
// stricter one on single accounts, and networks that keep trying what the web
// application firewall refuses.
func rules() []detect.Rule {
	return append(detect.DefaultRules(), detect.Rule{
		ID: "password.account", Title: "Wrong passwords on one account", Severity: findings.High, Control: "authn.throttle",
		Match: []detect.Match{
			{Action: "authn.password.verify", Outcome: auditlog.Denied}, {Action: "authn.throttle.admit", Outcome: auditlog.Denied},
		},
		Group: []string{"tenant", "target.account"}, Count: 5, Window: catalogue.Period(15 * time.Minute), Action: "lock",
	}, detect.Rule{
		ID: "waf.network", Title: "Attacks on the application from one network", Severity: findings.High, Control: "ratelimit.waf",
		Match: []detect.Match{{Reason: "ratelimit.waf", Outcome: auditlog.Denied}},
		Group: []string{"attr.network"}, Count: 10, Window: catalogue.Period(5 * time.Minute), Action: "ban",
	})
}

// probe tries the controls with the given IDs now, or every control.
func (s *Service) probe(ctx context.Context, ids ...string) ([]controlRow, error) {
	entries, err := s.monitor.Run(ctx, ids...)
	if err != nil {
		return nil, err
	}
	rows := make([]controlRow, 0, len(entries))
	for _, e := range entries {
		known, _ := s.catalogue.Control(e.ID)
		rows = append(rows, controlRow{
			Key: e.Control, Title: known.Title, Criteria: criteria(known), State: e.State, Observed: e.Observed,
		})
	}
	return rows, nil
}

// Welcome prints how to use a demo that was seeded just now.
func (s *Service) Welcome(out io.Writer, addr string) { s.identity.welcome(out, addr) }

// SelfTest reads one file of each tenant and scans for changes: what a restore
// must be able to do before anyone is let in.
func (s *Service) SelfTest(ctx context.Context) error {
	for _, tenant := range []string{"acme", "globex"} {
		if _, err := s.people.list(ctx, tenant); err != nil {
			return fmt.Errorf("tenant %s: %w", tenant, err)
		}
	}
	return s.log.Ready(ctx)
}
