package tour

import (
	"context"
	"fmt"
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/surety-go/surety/auditlog/verify"
	"github.com/surety-go/surety/examples/records/recordsv1"
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
	if _, err := c.want(ctx, 400, "POST", "/api/consent/give", employee.token, map[string]any{"purpose": "payroll"}); err != nil {
		return "", err
	}
	return fmt.Sprintf("choices %s and %s stand under notice %s; consent is not asked where the basis is another", given.text("seq"), withdrawn.text("seq"), given.text("notice")), nil
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
	return fmt.Sprintf("own file read; key destroyed, %s places empty, session ended; %d log entries still verify", done.text("places"), report.Entries), nil
}
