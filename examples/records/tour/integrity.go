package tour

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/controls/evidence"
)

// copyLog takes a copy of the log as an auditor would be given one.
func (c *client) copyLog(name string) (string, error) {
	dir := filepath.Join(filepath.Dir(c.data), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(c.data, "log"))); err != nil {
		return "", fmt.Errorf("copy the log: %w", err)
	}
	return dir, nil
}

func auditLog(ctx context.Context, c *client) (string, error) {
	auditor, err := c.signedIn(ctx, "acme", "auditor")
	if err != nil {
		return "", err
	}
	// The export publishes a checkpoint of all that was recorded so far.
	if _, err := c.want(ctx, 200, "GET", "/evidence", auditor.token, nil); err != nil {
		return "", err
	}
	key, _ := c.svc.PublicKeys()
	dir, err := c.copyLog("log-copy")
	if err != nil {
		return "", err
	}
	policy := verify.Policy{Key: key, Witnesses: []string{c.witness.key}}
	report, err := verify.Dir(ctx, dir, policy, nil)
	if err != nil || !report.OK() {
		return "", broken("the log does not verify: %v %v", err, report.Findings)
	}
	where, err := flip(dir)
	if err != nil {
		return "", err
	}
	tampered, err := verify.Dir(ctx, dir, policy, nil)
	if err == nil && tampered.OK() {
		return "", broken("a changed byte in %s was not found", where)
	}
	return fmt.Sprintf("%d entries verify; with one byte changed in %s they don't", report.Entries, where), nil
}

// flip changes one byte in the middle of the largest tile of entries: smaller
// ones of the same number were superseded by it.
func flip(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("log: %w", err)
	}
	defer func() { _ = root.Close() }()
	var largest string
	var size int64
	err = fs.WalkDir(root.FS(), "tile/entries", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	})
	if err != nil || largest == "" {
		return "", broken("the log has no entries on disk: %v", err)
	}
	b, err := root.ReadFile(largest)
	if err != nil {
		return "", fmt.Errorf("tile: %w", err)
	}
	b[len(b)/2] ^= 1
	return largest, root.WriteFile(largest, b, 0o600)
}

func unauthorised(ctx context.Context, c *client) (string, error) {
	auditor, err := c.signedIn(ctx, "globex", "auditor")
	if err != nil {
		return "", err
	}
	owner, err := c.signedIn(ctx, "globex", "owner")
	if err != nil {
		return "", err
	}
	scan := func() (answer, error) { return c.want(ctx, 200, "POST", "/api/integrity", auditor.token, nil) }
	before, err := scan()
	if err != nil || before.text("complete") != "true" {
		return "", broken("before the change: %s %v", before.body, err)
	}
	victim := c.account("globex", "manager")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.data, "records.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return "", fmt.Errorf("database: %w", err)
	}
	_, err = db.ExecContext(ctx, "UPDATE people SET title = 'Chief Executive' WHERE tenant = 'globex' AND id = ?", victim.ID)
	if err = errors.Join(err, db.Close()); err != nil {
		return "", fmt.Errorf("database: %w", err)
	}
	read, err := c.call(ctx, "GET", "/api/files/"+victim.ID, owner.token, nil, "Purpose", "payroll")
	if err != nil || read.status == 200 {
		return "", broken("the changed file was shown: %d %v", read.status, err)
	}
	after, err := scan()
	if err != nil || after.text("wrong") != "1" || after.text("complete") != "false" {
		return "", broken("the scan found %s: %v", after.body, err)
	}
	return fmt.Sprintf("a title was changed in the database: reading the file is answered %d, the scan finds %s of %s rows", read.status, after.text("wrong"), after.text("rows")), nil
}

func evidenceBundle(ctx context.Context, c *client) (string, error) {
	auditor, err := c.signedIn(ctx, "acme", "auditor")
	if err != nil {
		return "", err
	}
	owner, err := c.signedIn(ctx, "acme", "owner")
	if err != nil {
		return "", err
	}
	if _, err := c.want(ctx, 403, "GET", "/evidence", owner.token, nil); err != nil {
		return "", err
	}
	a, err := c.want(ctx, 200, "GET", "/evidence", auditor.token, nil)
	if err != nil {
		return "", err
	}
	logKey, bundleKey := c.svc.PublicKeys()
	key, err := evidence.ParsePublicKey(bundleKey)
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	bundle, err := evidence.Open(bytes.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		return "", broken("the bundle does not open: %v", err)
	}
	verdict := bundle.Check(key, evidence.CheckOptions{Log: &verify.Policy{Key: logKey}})
	if len(verdict.Problems) > 0 {
		text, _ := json.Marshal(verdict.Problems)
		return "", broken("the bundle has problems: %s", text)
	}
	if !bundle.Demo {
		return "", broken("the bundle is not marked as a demo's")
	}
	other := bytes.Repeat([]byte{1}, len(key))
	if len(bundle.Check(other, evidence.CheckOptions{}).Problems) == 0 {
		return "", broken("the bundle verifies with another key")
	}
	return fmt.Sprintf("%d KiB, %d files, %d controls, no problem, exceptions disclosed: %d; refused with another key; only the auditor may export",
		len(a.body)>>10, len(bundle.Manifest.Files), len(bundle.Controls), len(verdict.Exceptions)), nil
}
