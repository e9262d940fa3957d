package tour

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/crypto/bundle"
	"github.com/surety-go/surety/examples/records/recordsv1"
	"github.com/surety-go/surety/examples/records/service"
	"github.com/surety-go/surety/privacy/consent"
)

func classification(ctx context.Context, c *client) (string, error) {
	manager, err := c.signedIn(ctx, "acme", "manager")
	if err != nil {
		return "", err
	}
	file := "/api/files/" + c.account("acme", "owner").ID
	payroll, err := c.want(ctx, 200, "GET", file, manager.token, nil, "Purpose", "payroll")
	if err != nil {
		return "", err
	}
	directory, err := c.want(ctx, 200, "GET", file, manager.token, nil, "Purpose", "directory")
	if err != nil {
		return "", err
	}
	if payroll.text("national_id") == "" || directory.text("name") == "" || directory.text("national_id") != "" || directory.text("email") != "" {
		return "", broken("payroll sees %s, the directory %s", payroll.body, directory.body)
	}
	if _, err := c.want(ctx, 403, "GET", file, manager.token, nil, "Purpose", "curiosity"); err != nil {
		return "", err
	}
	return "payroll sees the national id, the directory only the name, and an undeclared purpose nothing", nil
}

func accessControl(ctx context.Context, c *client) (string, error) {
	employee, err := c.signedIn(ctx, "acme", "employee")
	if err != nil {
		return "", err
	}
	owner, err := c.signedIn(ctx, "acme", "owner")
	if err != nil {
		return "", err
	}
	other := c.account("acme", "manager").ID
	if _, err := c.want(ctx, 403, "GET", "/api/files/"+other, employee.token, nil, "Purpose", "payroll"); err != nil {
		return "", err
	}
	_, err = c.records.Read(rpc(ctx, employee.token, "payroll"), &recordsv1.ReadRequest{Id: other})
	if status.Code(err) != codes.PermissionDenied {
		return "", broken("over gRPC the same read gave %v", err)
	}
	own, err := c.records.Read(rpc(ctx, employee.token, "payroll"), &recordsv1.ReadRequest{Id: employee.ID})
	if err != nil || own.GetName() == "" {
		return "", broken("an employee can't read the own file over gRPC: %v", err)
	}
	if _, err := c.want(ctx, 404, "GET", "/api/files/"+c.account("globex", "owner").ID, owner.token, nil, "Purpose", "payroll"); err != nil {
		return "", err
	}
	auditor, err := c.signedIn(ctx, "acme", "auditor")
	if err != nil {
		return "", err
	}
	events, err := c.want(ctx, 200, "GET", "/api/audit?action=files.read", auditor.token, nil)
	if err != nil {
		return "", err
	}
	denied, err := count(events, func(e event) bool { return e.Actor == employee.ID && e.Reason == "authz.policy" })
	if err != nil || denied != 2 {
		return "", broken("%d denials of the employee are recorded, want 2: %v", denied, err)
	}
	return "an employee reads the own file and no other, over HTTP (403) and gRPC (PermissionDenied), with one event each of the same form; another tenant's file does not exist for an owner", nil
}

func notice(ctx context.Context, c *client) (string, error) {
	employee, err := c.signedIn(ctx, "acme", "employee")
	if err != nil {
		return "", err
	}
	given, err := c.want(ctx, 200, "POST", "/api/consent/give", employee.token, map[string]any{"purpose": "benefits"})
	if err != nil {
		return "", err
	}
	withdrawn, err := c.want(ctx, 200, "POST", "/api/consent/withdraw", employee.token, map[string]any{"purpose": "benefits"})
	if err != nil {
		return "", err
	}
	if given.text("notice") == "" || withdrawn.text("notice") == "" {
		return "", broken("a choice names no notice: %s", given.body)
	}
	shown, err := c.want(ctx, 200, "GET", "/api/notice", employee.token, nil, "Accept-Language", "de-AT, en;q=0.5")
	if err != nil || shown.text("locale") != "de" {
		return "", broken("the notice for an Austrian: %s %v", shown.body, err)
	}
	_, bundleKey := c.svc.PublicKeys()
	key, err := evidence.ParsePublicKey(bundleKey)
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	receipt, err := consent.VerifyReceipt(key, given.text("receipt"))
	if err != nil || receipt.Notice != given.text("notice") || receipt.Subject != employee.ID {
		return "", broken("the receipt does not verify: %v", err)
	}
	if _, err := c.want(ctx, 400, "POST", "/api/consent/give", employee.token, map[string]any{"purpose": "payroll"}); err != nil {
		return "", err
	}
	return fmt.Sprintf("notice %s was shown in English and German, which is on record; choices %s and %s stand under it, and the receipt verifies offline; consent is not asked where the basis is another",
		given.text("notice"), given.text("seq"), withdrawn.text("seq")), nil
}

func consented(ctx context.Context, c *client) (string, error) {
	employee, err := c.signedIn(ctx, "acme", "employee")
	if err != nil {
		return "", err
	}
	manager, err := c.signedIn(ctx, "acme", "manager")
	if err != nil {
		return "", err
	}
	read := func(want codes.Code) error {
		status1 := 403
		if want == codes.OK {
			status1 = 200
		}
		if _, err := c.want(ctx, status1, "GET", "/api/files/"+employee.ID, manager.token, nil, "Purpose", "benefits"); err != nil {
			return err
		}
		_, err := c.records.Read(rpc(ctx, manager.token, "benefits"), &recordsv1.ReadRequest{Id: employee.ID})
		if status.Code(err) != want {
			return broken("over gRPC: %v, want %v", err, want)
		}
		return nil
	}
	choose := func(what string) error {
		_, err := c.want(ctx, 200, "POST", "/api/consent/"+what, employee.token, map[string]any{"purpose": "benefits"})
		return err
	}
	for _, step := range []func() error{
		func() error { return read(codes.PermissionDenied) },
		func() error { return choose("give") },
		func() error { return read(codes.OK) },
		func() error { return choose("withdraw") },
		func() error { return read(codes.PermissionDenied) },
	} {
		if err := step(); err != nil {
			return "", err
		}
	}
	return "refused before, allowed after consent, refused from the first read after the withdrawal, over HTTP and gRPC", nil
}

func erased(ctx context.Context, c *client) (string, error) {
	employee, err := c.signedIn(ctx, "acme", "employee")
	if err != nil {
		return "", err
	}
	owner, err := c.signedIn(ctx, "acme", "owner")
	if err != nil {
		return "", err
	}
	own, err := c.want(ctx, 200, "GET", "/api/files/"+employee.ID, employee.token, nil, "Purpose", "payroll")
	if err != nil || own.text("national_id") == "" {
		return "", broken("a person can't read the own file: %s %v", own.body, err)
	}
	files, err := c.ownCopy(ctx, employee, own.text("national_id"))
	if err != nil {
		return "", err
	}
	due, err := c.held(ctx, owner, employee)
	if err != nil {
		return "", err
	}
	done, err := c.want(ctx, 200, "POST", "/api/erasure", employee.token, nil)
	if err != nil || done.text("key_destroyed") != "true" {
		return "", broken("erasure: %s %v", done.body, err)
	}
	left, err := c.call(ctx, "GET", "/api/files/"+employee.ID, owner.token, nil, "Purpose", "payroll")
	if err != nil || left.text("national_id") != "" || left.text("email") != "" || left.text("name") == own.text("name") {
		return "", broken("after the erasure the file shows %s: %v", left.body, err)
	}
	if _, err := c.want(ctx, 401, "GET", "/api/me", employee.token, nil); err != nil {
		return "", err
	}
	key, _ := c.svc.PublicKeys()
	dir, err := c.copyLog("log-after-erasure")
	if err != nil {
		return "", err
	}
	report, err := verify.Dir(ctx, dir, verify.Policy{Key: key}, nil)
	if err != nil || !report.OK() {
		return "", broken("after the erasure %s does not verify: %v %v", filepath.Base(dir), err, report.Findings)
	}
	return fmt.Sprintf("own copy of %d files, sealed to a key of the person's own; under a legal hold the erasure waits, due by %s, and after it the key is destroyed, %s places are empty, the session has ended; %d log entries still verify",
		files, due.Format(time.DateOnly), done.text("places"), report.Entries), nil
}

// ownCopy asks for a copy of everything and opens it with a key of the
// person's own.
func (c *client) ownCopy(ctx context.Context, p *person, secret string) (files int, err error) {
	own, err := bundle.NewIdentity()
	if err != nil {
		return 0, fmt.Errorf("key: %w", err)
	}
	a, err := c.want(ctx, 200, "POST", "/api/requests/access", p.token, map[string]any{"recipient": own.Recipient().String()})
	if err != nil {
		return 0, err
	}
	if bytes.Contains(a.body, []byte(secret)) {
		return 0, broken("the copy is not sealed")
	}
	r, err := bundle.NewReader(bytes.NewReader(a.body), own, service.ExportBinding("acme", p.ID))
	if err != nil {
		return 0, broken("the copy does not open: %v", err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return 0, broken("the copy does not open: %v", err)
	}
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return 0, broken("the copy is no archive: %v", err)
	}
	for _, f := range z.File {
		text, err := readFile(f)
		if err != nil {
			return 0, broken("the copy's %s: %v", f.Name, err)
		}
		if bytes.Contains(text, []byte(secret)) {
			return len(z.File), nil
		}
	}
	return 0, broken("the copy lacks the national id")
}

func readFile(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// held tries to erase a person whom a legal hold names, which leaves the
// request open with its deadline, and has the hold released.
func (c *client) held(ctx context.Context, owner, p *person) (due time.Time, err error) {
	hold, err := c.want(ctx, 200, "POST", "/api/holds", owner.token, map[string]any{"subjects": []string{p.ID}, "reason": "case 17"})
	if err != nil {
		return due, err
	}
	if a, err := c.call(ctx, "POST", "/api/erasure", p.token, nil); err != nil || a.status == 200 {
		return due, broken("erased in spite of a legal hold: %s %v", a.body, err)
	}
	queue, err := c.want(ctx, 200, "GET", "/api/queue", owner.token, nil)
	if err != nil {
		return due, err
	}
	var open struct {
		Requests []struct {
			Kind string
			Due  time.Time
		}
	}
	if err := json.Unmarshal(queue.body, &open); err != nil || len(open.Requests) != 1 || open.Requests[0].Kind != "erasure" {
		return due, broken("open requests: %s", queue.body)
	}
	_, err = c.want(ctx, 200, "POST", "/api/holds/"+hold.text("id")+"/release", owner.token, map[string]any{"because": "the case is closed"})
	return open.Requests[0].Due, err
}

func retained(ctx context.Context, c *client) (string, error) {
	owner, err := c.signedIn(ctx, "acme", "owner")
	if err != nil {
		return "", err
	}
	files, err := c.want(ctx, 200, "GET", "/api/files", owner.token, nil)
	if err != nil {
		return "", err
	}
	if names := files.text("files"); !strings.Contains(names, "Lena Lindqvist") || strings.Contains(names, "Luis Lopes") || !strings.Contains(names, "(erased)") {
		return "", broken("the files of those who left: %s", names)
	}
	auditor, err := c.signedIn(ctx, "acme", "auditor")
	if err != nil {
		return "", err
	}
	events, err := c.want(ctx, 200, "GET", "/api/audit?action=privacy.retention.purge", auditor.token, nil)
	if err != nil {
		return "", err
	}
	n, err := count(events, func(e event) bool { return e.Outcome == "success" && e.Kind == "system" })
	if err != nil || n != 1 {
		return "", broken("%d purges are recorded, want 1: %v", n, err)
	}
	return "the file of somebody who left seven years and three days ago is empty and its key destroyed; last year's is kept", nil
}

func breached(ctx context.Context, c *client) (string, error) {
	owner, err := c.signedIn(ctx, "acme", "owner")
	if err != nil {
		return "", err
	}
	manager, err := c.signedIn(ctx, "acme", "manager")
	if err != nil {
		return "", err
	}
	body := map[string]any{
		"title": "A laptop was lost", "nature": "theft", "categories": []string{"user.name"},
		"risk": "high", "why": "its disk was not encrypted", "people": []string{manager.ID},
	}
	if _, err := c.want(ctx, 403, "POST", "/api/breaches", manager.token, body); err != nil {
		return "", err
	}
	a, err := c.want(ctx, 200, "POST", "/api/breaches", owner.token, body)
	if err != nil {
		return "", err
	}
	by, err := time.Parse(time.RFC3339, a.text("regulator_by"))
	if left := time.Until(by); err != nil || left > 72*time.Hour || left < 71*time.Hour {
		return "", broken("the regulator must be told by %s: %v", a.text("regulator_by"), err)
	}
	path := "/api/breaches/" + a.text("id") + "/notices"
	if _, err := c.want(ctx, 200, "POST", path, owner.token, map[string]any{"to": "regulator", "proof": "receipt 4711"}); err != nil {
		return "", err
	}
	told, err := c.want(ctx, 200, "POST", path, owner.token, map[string]any{"to": "person", "subject": manager.ID, "proof": "letter 12"})
	if err != nil || told.text("untold") != "[]" && told.text("untold") != "" {
		return "", broken("after both notices: %s %v", told.body, err)
	}
	return "the regulator's letter is written and due in 72 hours; regulator and person are told, each with proof", nil
}
