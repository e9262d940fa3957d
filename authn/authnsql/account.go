package authnsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/internal/sqldb"
)

// ErrNameTaken says that the tenant has an account with this name or id.
var ErrNameTaken = errors.New("authnsql: the name or the id is taken")

// Accounts is a login.Accounts in SQL.
type Accounts struct{ db *sqldb.DB }

var _ login.Accounts = (*Accounts)(nil)

// Accounts returns the store of accounts.
func (d *DB) Accounts() *Accounts { return &Accounts{d.db} }

// Create adds an account. Its name is stored in the form of login.Name; its id
// must be random, such as crypto/rand.Text, and never be used again.
func (s *Accounts) Create(ctx context.Context, a login.Account) error {
	a.Name = login.Name(a.Name)
	if a.ID == "" || a.Name == "" || strings.HasPrefix(a.ID, "?") {
		return errors.New("authnsql: account: want an id that does not begin with ? and a name")
	}
	groups, err := json.Marshal(a.Groups)
	if err != nil {
		return fmt.Errorf("authnsql: account: groups: %w", err)
	}
	err = s.db.Tx(ctx, a.Tenant, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO authn_account (tenant, id, name, groups_json, password, must_change, disabled) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			a.Tenant, a.ID, a.Name, string(groups), a.Password, number(a.MustChange), number(a.Disabled))
		return err //nolint:wrapcheck // says where it comes from
	})
	if sqldb.Duplicate(err) {
		return ErrNameTaken
	}
	return err //nolint:wrapcheck // says where it comes from
}

// ByName implements login.Accounts.
func (s *Accounts) ByName(ctx context.Context, tenant, name string) (login.Account, error) {
	return s.get(ctx, tenant, "name", name)
}

// ByID implements login.Accounts.
func (s *Accounts) ByID(ctx context.Context, tenant, id string) (login.Account, error) {
	return s.get(ctx, tenant, "id", id)
}

const accountColumns = `SELECT id, name, groups_json, password, must_change, disabled FROM authn_account WHERE tenant = ? `

// get reads by a column, which is one of this file's.
func (s *Accounts) get(ctx context.Context, tenant, column, value string) (login.Account, error) {
	var a login.Account
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		a, err = scanAccount(tenant, tx.Row(ctx, accountColumns+`AND `+column+` = ?`, tenant, value))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return login.Account{}, login.ErrNoAccount
	}
	return a, err //nolint:wrapcheck // says where it comes from
}

func scanAccount(tenant string, rows scanner) (login.Account, error) {
	a := login.Account{Tenant: tenant}
	var groups string
	var must, disabled int
	if err := rows.Scan(&a.ID, &a.Name, &groups, &a.Password, &must, &disabled); err != nil {
		return a, fmt.Errorf("authnsql: account: %w", err)
	}
	a.MustChange, a.Disabled = must == 1, disabled == 1
	if err := json.Unmarshal([]byte(groups), &a.Groups); err != nil {
		return a, fmt.Errorf("authnsql: account: groups: %w", err)
	}
	return a, nil
}

// List returns the tenant's accounts by name.
func (s *Accounts) List(ctx context.Context, tenant string) ([]login.Account, error) {
	var list []login.Account
	err := s.db.View(ctx, tenant, func(tx *sqldb.Tx) error {
		list = nil
		return tx.Rows(ctx, func(rows *sql.Rows) error {
			a, err := scanAccount(tenant, rows)
			list = append(list, a)
			return err
		}, accountColumns+`ORDER BY name`, tenant)
	})
	return list, err //nolint:wrapcheck // says where it comes from
}

// SetPassword implements login.Accounts.
func (s *Accounts) SetPassword(ctx context.Context, tenant, id, old, hash string, mustChange bool) (bool, error) {
	return s.update(ctx, tenant, `UPDATE authn_account SET password = ?, must_change = ? WHERE tenant = ? AND id = ? AND password = ?`,
		hash, number(mustChange), tenant, id, old)
}

// SetDisabled lets an account log in or not, and reports whether there is
// one. End its sessions after disabling it.
func (s *Accounts) SetDisabled(ctx context.Context, tenant, id string, disabled bool) (bool, error) {
	return s.update(ctx, tenant, `UPDATE authn_account SET disabled = ? WHERE tenant = ? AND id = ?`, number(disabled), tenant, id)
}

// SetGroups replaces an account's groups and reports whether there is one.
// They take effect with the next token: rotate or end its sessions.
func (s *Accounts) SetGroups(ctx context.Context, tenant, id string, groups []string) (bool, error) {
	text, err := json.Marshal(groups)
	if err != nil {
		return false, fmt.Errorf("authnsql: account: groups: %w", err)
	}
	return s.update(ctx, tenant, `UPDATE authn_account SET groups_json = ? WHERE tenant = ? AND id = ?`, string(text), tenant, id)
}

// Delete removes an account and reports whether there was one. End its
// sessions, and remove its codes, too.
func (s *Accounts) Delete(ctx context.Context, tenant, id string) (bool, error) {
	return s.update(ctx, tenant, `DELETE FROM authn_account WHERE tenant = ? AND id = ?`, tenant, id)
}

func (s *Accounts) update(ctx context.Context, tenant, query string, args ...any) (bool, error) {
	var n int64
	err := s.db.Tx(ctx, tenant, func(tx *sqldb.Tx) (err error) {
		n, err = tx.Exec(ctx, query, args...)
		return err //nolint:wrapcheck // says where it comes from
	})
	return n == 1, err //nolint:wrapcheck // says where it comes from
}
