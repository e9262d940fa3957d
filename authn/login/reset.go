package login

import (
	"context"
	"fmt"

	"github.com/surety-go/surety/auditlog"
)

// RequireReset takes an account's password away, ends its sessions and every
// login under way, and tells its owner, who chooses a new one by AskReset: an
// administrator can begin a reset, but neither choose nor see a password. The
// account's second factors stay. The reason is a code for the audit log.
func (f *Flow) RequireReset(ctx context.Context, tenant, account, reason string) error {
	a, err := f.account(ctx, tenant, account)
	if err != nil {
		return err
	}
	if err := f.record(ctx, a, "authn.password.reset", auditlog.Success, reason); err != nil {
		return err
	}
	switch ok, err := f.parts.Accounts.SetPassword(ctx, tenant, account, a.Password, "", false); {
	case err != nil:
		return fmt.Errorf("login: accounts: %w", err)
	case !ok:
		return ErrTicket // it was changed meanwhile
	}
	if _, err := f.parts.Sessions.EndAll(ctx, tenant, account, reason); err != nil {
		return err //nolint:wrapcheck // says where it comes from
	}
	f.notify(ctx, a, NoticeReset, Client{})
	return nil
}
