package servers_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/surety-go/surety/internal/integration/servers"
)

func TestClamdFindsEICAR(t *testing.T) {
	server := servers.StartClamd(t)
	for content, want := range map[string]string{
		"harmless":                           "stream: OK\x00",
		servers.EICAR:                        "stream: Test.EICAR.UNOFFICIAL FOUND\x00",
		"before " + servers.EICAR + " after": "stream: Test.EICAR.UNOFFICIAL FOUND\x00",
	} {
		if got := scan(t, server.Addr, content); got != want {
			t.Errorf("scan of %d bytes: %q, want %q", len(content), got, want)
		}
	}
}

// scan sends one INSTREAM command: chunks with their length before them, and a
// chunk of length zero.
func scan(t *testing.T, addr, content string) string {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var b strings.Builder
	b.WriteString("zINSTREAM\x00")
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(content))))
	b.WriteString(content)
	b.Write([]byte{0, 0, 0, 0})
	if _, err := io.WriteString(conn, b.String()); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}
