package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/authn"
)

// A Session is what people and administrators see of a session.
type Session struct {
	ID       string
	Account  string
	AAL      authn.AAL
	Methods  []string
	Factors  map[string]time.Time // when each method was last proven
	Created  time.Time
	LastUsed time.Time // a minute or less behind
	Ends     time.Time // at the latest; zero when it has no absolute timeout
	Device   Device

	row Row
}

// List returns the account's sessions that stand, the newest first. Rows that
// do not verify are left out.
func (m *Manager) List(ctx context.Context, tenant, account string) ([]Session, error) {
	rows, err := m.store.List(ctx, tenant, account)
	if err != nil {
		return nil, fmt.Errorf("session: store: %w", err)
	}
	var list []Session
	for _, row := range rows {
		if row.Tenant != tenant || row.Account != account {
			return nil, fmt.Errorf("session: the store returned a row of another account")
		}
		rec, err := m.open(row)
		if err != nil || m.expired(rec, m.unix()) != "" {
			continue
		}
		list = append(list, describe(row, rec))
	}
	slices.SortFunc(list, func(a, b Session) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return b.LastUsed.Compare(a.LastUsed)
	})
	return list, nil
}

func describe(row Row, rec *record) Session {
	at := func(s int64) time.Time {
		if s == 0 {
			return time.Time{}
		}
		return time.Unix(s, 0).UTC()
	}
	s := Session{
		ID: row.ID, Account: row.Account, AAL: rec.AAL, Methods: slices.Clone(rec.Methods),
		Factors: make(map[string]time.Time, len(rec.Factors)),
		Created: at(rec.Created), LastUsed: at(rec.Used), Ends: at(rec.Absolute), Device: rec.Device, row: row,
	}
	for method, t := range rec.Factors {
		s.Factors[method] = at(t)
	}
	return s
}

// End ends one session of the account and reports whether it stood. The
// reason is a code for the audit log, such as "logout" or "admin".
func (m *Manager) End(ctx context.Context, tenant, account, id, reason string) (bool, error) {
	rows, err := m.store.List(ctx, tenant, account)
	if err != nil {
		return false, fmt.Errorf("session: store: %w", err)
	}
	for _, row := range rows {
		if row.ID == id {
			return m.end(ctx, row, reason)
		}
	}
	return false, nil
}

// end removes the row under whatever key the session has by now: a rotation
// that comes in between does not save it.
func (m *Manager) end(ctx context.Context, row Row, reason string) (bool, error) {
	for {
		gone, err := m.store.Delete(ctx, row.Tenant, row.Key)
		if err != nil {
			return false, fmt.Errorf("session: store: %w", err)
		}
		if gone {
			return true, m.record(ctx, "authn.session.end", auditlog.Success, reason, row.Tenant, row.Account, row.ID)
		}
		rows, err := m.store.List(ctx, row.Tenant, row.Account)
		if err != nil {
			return false, fmt.Errorf("session: store: %w", err)
		}
		i := slices.IndexFunc(rows, func(r Row) bool { return r.ID == row.ID })
		if i < 0 {
			return false, nil
		}
		row = rows[i]
	}
}

// EndToken ends the session of a token, at logout. A token that is no good
// has none.
func (m *Manager) EndToken(ctx context.Context, token, reason string) (bool, error) {
	tenant, key, ok := parseToken(token)
	if !ok {
		return false, nil
	}
	row, _, err := m.check(ctx, tenant, key, m.unix())
	if err != nil {
		return false, err
	}
	return m.end(ctx, row, reason)
}

// EndAll ends all sessions of the account and every login under way, and
// returns how many sessions stood.
func (m *Manager) EndAll(ctx context.Context, tenant, account, reason string) (int, error) {
	return m.endAll(ctx, tenant, account, Key{}, reason)
}

// EndOthers ends all sessions of the account but the one of the token, and
// every login under way.
func (m *Manager) EndOthers(ctx context.Context, token, reason string) (int, error) {
	tenant, key, ok := parseToken(token)
	if !ok {
		return 0, ErrEnded
	}
	row, _, err := m.check(ctx, tenant, key, m.unix())
	if err != nil {
		return 0, err
	}
	return m.endAll(ctx, tenant, row.Account, key, reason)
}

func (m *Manager) endAll(ctx context.Context, tenant, account string, keep Key, reason string) (int, error) {
	n, err := m.store.DeleteAll(ctx, tenant, account, keep)
	if err != nil {
		return n, fmt.Errorf("session: store: %w", err)
	}
	return n, m.record(ctx, "authn.session.end_all", auditlog.Success, reason, tenant, account, "",
		auditlog.Int("sessions", n), auditlog.Bool("others", keep != Key{}))
}

// Purge removes the tenant's sessions whose absolute timeout has passed and
// returns their number. They were void before; it frees space.
func (m *Manager) Purge(ctx context.Context, tenant string) (int, error) {
	n, err := m.store.Purge(ctx, tenant, m.now())
	if err != nil {
		return n, fmt.Errorf("session: store: %w", err)
	}
	return n, nil
}
