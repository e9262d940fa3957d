package firewall_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/ratelimit/firewall"
)

// A detection bans an address for a while.
func Example() {
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	fw, err := firewall.New(firewall.Lists{Deny: []firewall.Range{{Prefix: netip.MustParsePrefix("198.51.100.0/24")}}}, log, firewall.Options{})
	if err != nil {
		panic(err)
	}
	attacker := netip.MustParseAddr("192.0.2.7")
	if err := fw.Ban(context.Background(), attacker, 15*time.Minute, "many failed sign-ins"); err != nil {
		panic(err)
	}
	fmt.Println(fw.Denied(attacker), fw.Denied(netip.MustParseAddr("198.51.100.1")), fw.Denied(netip.MustParseAddr("203.0.113.1")))
	// Output: true true false
}
