package tour

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
)

// rolesKept has roles given, taken and forged.
func rolesKept(ctx context.Context, c *client) (string, error) {
	owner, err := c.signedIn(ctx, "acme", "owner")
	if err != nil {
		return "", err
	}
	employee, err := c.signedIn(ctx, "acme", "employee")
	if err != nil {
		return "", err
	}
	auditor := c.account("acme", "auditor")
	change := func(path, account, role string) (answer, error) {
		return c.call(ctx, "POST", path, owner.token, map[string]any{"account": account, "role": role, "reason": "tour"})
	}
	files := func(want int) error {
		_, err := c.want(ctx, want, "GET", "/api/files", employee.token, nil)
		return err
	}
	if err := files(403); err != nil {
		return "", err
	}
	if a, err := change("/api/roles", employee.ID, "manager"); err != nil || a.status != 200 {
		return "", broken("an owner gives a role: %d %v", a.status, err)
	}
	if err := files(200); err != nil {
		return "", err
	}
	if a, err := change("/api/roles/revoke", employee.ID, "manager"); err != nil || a.status != 200 {
		return "", broken("an owner takes a role: %d %v", a.status, err)
	}
	if err := files(403); err != nil {
		return "", err
	}
	for who, account := range map[string]string{"the owner": owner.ID, "the auditor, who must be independent,": auditor.ID} {
		role := map[string]string{owner.ID: "auditor", auditor.ID: "owner"}[account]
		if a, err := change("/api/roles", account, role); err != nil || a.status == 200 {
			return "", broken("%s became %s: %d %v", who, role, a.status, err)
		}
	}
	asked, err := change("/api/roles", employee.ID, "owner")
	if err != nil || asked.text("state") != "proposed" {
		return "", broken("a second owner without a second person: %s %v", asked.body, err)
	}
	if a, err := c.call(ctx, "POST", "/api/roles/"+asked.text("proposal")+"/approve", owner.token, nil); err != nil || a.status == 200 {
		return "", broken("who asked approved: %d %v", a.status, err)
	}
	if err := c.forgeRole(ctx, employee.ID); err != nil {
		return "", err
	}
	if err := files(403); err != nil {
		return "", err
	}
	return "given and taken at once; an owner for himself, owner and auditor in one, and approving one's own proposal were refused; a row that was written into the database gave nothing", nil
}

// forgeRole writes an entry into the roles as whoever has the database could,
// waits until it was noticed, and takes it out again.
func (c *client) forgeRole(ctx context.Context, account string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.data, "records.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	_, err = db.ExecContext(ctx, `INSERT INTO authz_entry (tenant, sequence, op, kind, fields, starts, ends, made_by, approver, ticket, reason, made, mac)
		SELECT tenant, sequence + 1, 1, 'g', '["' || ? || '","owner","acme"]', 0, 0, made_by, '', '', 'forged', made, mac
		FROM authz_entry ORDER BY sequence DESC LIMIT 1`, account)
	if err == nil {
		_, err = db.ExecContext(ctx, "UPDATE authz_head SET sequence = sequence + 1")
	}
	if err == nil {
		_, err = c.soon(ctx, "authz.policy", func(r result) bool { return r.State == "fail" })
	}
	_, undo := db.ExecContext(ctx, "DELETE FROM authz_entry WHERE reason = 'forged'")
	_, undo2 := db.ExecContext(ctx, "UPDATE authz_head SET sequence = (SELECT max(sequence) FROM authz_entry)")
	if err = errors.Join(err, undo, undo2, db.Close()); err != nil {
		return fmt.Errorf("forged role: %w", err)
	}
	_, err = c.soon(ctx, "authz.policy", passes)
	return err
}

// emergency has a manager take an owner's role, and somebody else look at it.
func emergency(ctx context.Context, c *client) (string, error) {
	manager, err := c.signedIn(ctx, "globex", "manager")
	if err != nil {
		return "", err
	}
	auditor, err := c.signedIn(ctx, "globex", "auditor")
	if err != nil {
		return "", err
	}
	if a, err := c.call(ctx, "POST", "/api/emergencies", manager.token, map[string]any{"reason": ""}); err != nil || a.status == 200 {
		return "", broken("an emergency without a reason: %d %v", a.status, err)
	}
	if _, err := c.want(ctx, 403, "GET", "/api/queue", manager.token, nil); err != nil {
		return "", err
	}
	begun, err := c.want(ctx, 200, "POST", "/api/emergencies", manager.token, map[string]any{"reason": "the only owner is on a plane and a request is due"})
	if err != nil {
		return "", err
	}
	if _, err := c.want(ctx, 200, "GET", "/api/queue", manager.token, nil); err != nil {
		return "", err
	}
	if _, err := c.finding(ctx, auditor.token, func(f finding) bool { return f.Control == "authz.breakglass" }); err != nil {
		return "", err
	}
	path := "/api/emergencies/" + begun.text("sequence") + "/review"
	if a, err := c.call(ctx, "POST", path, manager.token, map[string]any{"verdict": "justified"}); err != nil || a.status == 200 {
		return "", broken("who took the role judged it: %d %v", a.status, err)
	}
	if _, err := c.want(ctx, 200, "POST", path, auditor.token, map[string]any{"verdict": "justified"}); err != nil {
		return "", err
	}
	return "a manager had an owner's role with a reason, until " + begun.text("until") + "; auditors were told at once and one of them closed it", nil
}
