package service

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/surety-go/surety/controls/classify"
	"github.com/surety-go/surety/crypto/blindindex"
	"github.com/surety-go/surety/privacy"
	"github.com/surety-go/surety/privacy/breach"
	"github.com/surety-go/surety/privacy/consent"
	"github.com/surety-go/surety/privacy/dsr"
	"github.com/surety-go/surety/privacy/egress"
	"github.com/surety-go/surety/privacy/erasure"
	"github.com/surety-go/surety/privacy/hold"
	"github.com/surety-go/surety/privacy/inventory"
	"github.com/surety-go/surety/privacy/notice"
	"github.com/surety-go/surety/privacy/privacysql"
	"github.com/surety-go/surety/privacy/retention"
)

// rights is what people are owed, and who sees to it.
type rights struct {
	notices   *notice.Register
	receipts  *consent.Issuer
	inventory *inventory.Inventory
	out       *egress.Gate
	holds     *hold.Register
	erased    *erasure.Ledger
	desk      *dsr.Desk
	purger    *retention.Purger
	breaches  *breach.Register
}

// tenants are the companies that the service serves.
func tenants(context.Context) ([]string, error) { return []string{"acme", "globex"}, nil }

func (s *Service) openPrivacy(ctx context.Context) error {
	emails, err := blindindex.New(s.keys, "people", "email", 1_000_000, blindindex.Options{Normalise: "lower"})
	if err != nil {
		return err
	}
	s.people = &people{db: s.db, vault: s.keys, keys: s.keys, rows: s.access.rows, emails: emails}
	if err := privacysql.Migrate(ctx, s.db); err != nil {
		return err
	}
	store, err := privacysql.NewRecords(ctx, s.db)
	if err != nil {
		return err
	}
	s.rights = &rights{}
	for _, step := range []func(context.Context, *privacysql.Records) error{
		s.openNotices, s.openConsent, s.openInventory, s.openErasure, s.openDesk,
	} {
		if err := step(ctx, store); err != nil {
			return err
		}
	}
	r := s.rights
	s.mount(s.ledger, s.gate, s.eraser, r.inventory, r.out, r.holds, r.desk, r.purger, r.breaches)
	return nil
}

// noticeVersion is the version of notices2026, which never change: a new text
// is a new version.
const noticeVersion = "2026-1"

var notices2026 = []notice.Notice{
	{
		Locale: "en", Title: "What your employer keeps about you",
		Body: "Your name, e-mail address and national id are kept for the directory, for paying your salary and, if you agree, for benefits.",
	},
	{
		Locale: "de", Title: "Was Ihr Arbeitgeber über Sie speichert",
		Body: "Ihr Name, Ihre E-Mail-Adresse und Ihre Ausweisnummer werden für das Verzeichnis, für die Gehaltszahlung und, wenn Sie zustimmen, für Zusatzleistungen gespeichert.",
	},
}

func (s *Service) openNotices(ctx context.Context, store *privacysql.Records) (err error) {
	if s.rights.notices, err = notice.New(store, s.keys.subkey("notices"), s.recorder); err != nil {
		return err
	}
	all, err := tenants(ctx)
	for _, tenant := range all {
		for _, n := range notices2026 {
			n.Version, n.Effective = noticeVersion, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			n.Purposes = []privacy.Purpose{directory, payroll, benefits}
			if err := s.rights.notices.Publish(ctx, tenant, n); err != nil {
				return err
			}
		}
		s.mount(noticesOf{s.rights.notices, tenant})
	}
	return err
}

func (s *Service) openConsent(ctx context.Context, _ *privacysql.Records) error {
	store, err := privacysql.NewConsent(ctx, s.db)
	if err != nil {
		return err
	}
	if s.ledger, err = consent.New(store, s.keys.subkey("consent"), s.recorder, consent.Options{Notices: s.rights.notices}); err != nil {
		return err
	}
	if s.rights.receipts, err = consent.NewIssuer(s.keys.evidenceKey(), consent.Controller{Name: controller.Name, Contact: controller.Contact}, "/privacy"); err != nil {
		return err
	}
	s.gate, err = privacy.NewGate(purposes, s.ledger, s.recorder)
	return err
}

var controller = inventory.Controller{Name: "Records demo", Contact: "privacy@records.example"}

// recipients are who gets personal data, and what for. The register of vendors
// says whether they may be relied on; both are asked.
func recipients(verified time.Time) []inventory.Recipient {
	return []inventory.Recipient{{
		Name: "Example Payroll Bureau", Role: "processor", Purposes: []privacy.Purpose{payroll},
		Categories: []string{"user.name", "user.contact.email"}, Country: "DE", Verified: verified,
	}, {
		Name: "Example Survey Tool", Role: "processor", Purposes: []privacy.Purpose{benefits},
		Categories: []string{"user.contact.email"}, Country: "US", Transfer: "SCC 2021/914", Verified: verified,
	}}
}

func (s *Service) openInventory(_ context.Context, store *privacysql.Records) error {
	var fields classify.Registry
	var err error
	if s.schema, err = classify.Register[Person](&fields, "people"); err != nil {
		return err
	}
	looked := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC) // when somebody last compared this with what is
	s.rights.inventory, err = inventory.New(&fields, purposes, inventory.Declarations{
		Controller: controller,
		Tables:     []inventory.Table{{Name: "people", Subjects: "employees", Store: "SQLite, embedded", Country: "DE", Verified: looked}},
		Recipients: recipients(looked),
		Security:   "The controls listed in this service's evidence.",
	}, inventory.Options{})
	if err != nil {
		return err
	}
	s.rights.out, err = egress.New(store, s.keys.subkey("disclosures"), s.recorder, s.gate, s.rights.inventory)
	return err
}

// openErasure prepares erasing people: the memory of who was erased lies apart
// from the data, so that restoring a backup of the data doesn't take it along.
func (s *Service) openErasure(ctx context.Context, store *privacysql.Records) (err error) {
	r := s.rights
	if r.holds, err = hold.New(store, s.keys.subkey("holds"), s.recorder, tenants); err != nil {
		return err
	}
	apart, err := s.openApart(ctx)
	if err != nil {
		return err
	}
	if r.erased, err = erasure.NewLedger(apart, s.keys.subkey("erasures")); err != nil {
		return err
	}
	places := []erasure.Place{filePlace{s.people}, s.documents, accountPlace{s}}
	if s.eraser, err = erasure.New(s.keys, s.recorder, erasure.Options{Ledger: r.erased, Holds: r.holds}, places...); err != nil {
		return err
	}
	r.purger, err = retention.New(r.holds, s.recorder, tenants, retention.Options{},
		retention.Schedule{Target: leavers{s.people, s.documents}, Period: classify.Period{Years: 7}})
	return err
}

func (s *Service) openApart(ctx context.Context) (*privacysql.Records, error) {
	file := filepath.Join(s.o.KeyDir, "erasures.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", file, err)
	}
	s.onClose(db.Close)
	if err := privacysql.Migrate(ctx, db); err != nil {
		return nil, fmt.Errorf("database %s: %w", file, err)
	}
	return privacysql.NewRecords(ctx, db)
}

func (s *Service) openDesk(_ context.Context, store *privacysql.Records) (err error) {
	r := s.rights
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return err
	}
	california, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		return err
	}
	regimes := []dsr.Regime{dsr.GDPR(dsr.Calendar{Location: berlin}), dsr.CCPA(dsr.Calendar{Location: california})}
	if r.desk, err = dsr.New(store, s.keys.subkey("requests"), s.recorder, tenants, regimes, dsr.Options{Recipients: r.out.Recipients}); err != nil {
		return err
	}
	r.breaches, err = breach.New(store, s.keys.subkey("breaches"), s.recorder, tenants,
		breach.Options{Controller: controller.Name, Contact: controller.Contact})
	return err
}

// daily does what has to be done every day, once now and then until the
// service closes.
func (s *Service) daily(ctx context.Context) error {
	ctx, cancel := context.WithCancel(system(context.WithoutCancel(ctx), "daily"))
	if err := s.today(ctx); err != nil {
		cancel()
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(24 * time.Hour)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.today(ctx); err != nil {
				s.o.Logger.ErrorContext(ctx, "the day's work is not done; its controls fail until it is", "err", err)
			}
		}
	}()
	s.onClose(func() error {
		cancel()
		<-done
		return nil
	})
	return nil
}

// today erases again whom a restored backup brought back, disposes of what is
// over, does what reviews of roles are due for, and tells of requests and
// breaches that are late.
func (s *Service) today(ctx context.Context) error {
	all, err := tenants(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, tenant := range all {
		_, err := s.eraser.Replay(ctx, tenant, erasure.All(ctx, tenant, s.people.ids))
		errs = append(errs, err, s.reviews.Sweep(ctx, tenant))
	}
	_, err = s.rights.purger.Run(ctx)
	errs = append(errs, err)
	_, err = s.rights.desk.Sweep(ctx)
	errs = append(errs, err)
	_, err = s.rights.breaches.Sweep(ctx)
	return errors.Join(append(errs, err)...)
}
