package servers

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// EICAR is the test file that every virus scanner reports, of the European
// Institute for Computer Antivirus Research. It is put together here so that
// scanners leave this source file alone.
const EICAR = `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// StartClamd starts a clamd for one test. It knows one signature, EICAR's,
// under the name Test.EICAR.UNOFFICIAL, so it needs no download. Streams are
// limited to one mebibyte.
func StartClamd(t testing.TB) *Process {
	t.Helper()
	return Start(t, Spec{
		Program: "clamd",
		Install: "apt-get install -y clamav-daemon",
		Prepare: prepareClamd,
		Args: func(site Site) []string {
			return []string{"--foreground", "--config-file=" + site.Path("clamd.conf")}
		},
		Ready: func(ctx context.Context, site Site) error { return pingClamd(ctx, site.Addr) },
	})
}

func prepareClamd(_ context.Context, site Site) error {
	config := fmt.Sprintf("DatabaseDirectory %s\nTCPAddr 127.0.0.1\nTCPSocket %d\nTemporaryDirectory %s\nStreamMaxLength 1M\n",
		site.Dir, site.Port, site.Dir)
	// name : any kind of file : any offset : bytes
	signature := "Test.EICAR:0:*:" + hex.EncodeToString([]byte(EICAR)) + "\n"
	return errors.Join(site.WriteFile("clamd.conf", config), site.WriteFile("test.ndb", signature))
}

func pingClamd(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(conn, "zPING\x00"); err != nil {
		return err
	}
	reply, err := io.ReadAll(io.LimitReader(conn, 64))
	if err == nil && string(reply) != "PONG\x00" {
		err = fmt.Errorf("clamd answers %q to PING", reply)
	}
	return err
}
