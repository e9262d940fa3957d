package service

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/detect"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/browser"
	"github.com/surety-go/surety/guard/clientip"
	"github.com/surety-go/surety/health"
	"github.com/surety-go/surety/health/healthgrpc"
	"github.com/surety-go/surety/health/slo"
	"github.com/surety-go/surety/ratelimit"
	"github.com/surety-go/surety/ratelimit/concurrency"
	"github.com/surety-go/surety/ratelimit/firewall"
	"github.com/surety-go/surety/ratelimit/waf"
)

// network is what stands between the network and the application.
type network struct {
	probes    *health.Probes
	grpc      *healthgrpc.Server
	behind    *clientip.Guard
	firewall  *firewall.Firewall
	requests  *firewall.RequestGuard
	perClient *ratelimit.Limiter
	perUser   *ratelimit.Limiter
	load      *concurrency.Limiter
	headers   *browser.HeaderGuard
	origin    *browser.OriginGuard
	metrics   guard.Guard
	promised  *slo.Tracker
	waf       *waf.Firewall
}

func (s *Service) openNetwork(ctx context.Context) error {
	n := &network{}
	var err error
	// The demo's proxy is this machine: its header counts, so that the tour
	// can be many clients.
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if n.behind, err = clientip.New(clientip.Options{Trusted: trusted}); err != nil {
		return err
	}
	deny := []firewall.Range{{Prefix: netip.MustParsePrefix("198.51.100.0/24")}} // RFC 5737: nobody's
	if n.firewall, err = firewall.New(firewall.Lists{Deny: deny}, s.recorder, firewall.Options{}); err != nil {
		return err
	}
	if n.requests, err = firewall.Requests(firewall.RequestOptions{
		ContentTypes: []string{
			"application/json", "application/x-www-form-urlencoded", "multipart/form-data",
			"application/pdf", "image/png", "image/jpeg", "text/plain",
		},
	}); err != nil {
		return err
	}
	if n.waf, err = waf.New(s.recorder, waf.Options{
		Before: `SecAction "id:10001,phase:1,pass,t:none,nolog,setvar:'tx.allowed_methods=GET HEAD POST PUT OPTIONS'"`,
		After:  "SecRuleRemoveById 920350", // on loopback the host is an address
	}); err != nil {
		return err
	}
	if n.perClient, err = ratelimit.New([]ratelimit.Policy{
		{Name: "client", Key: ratelimit.ByClient(), Count: 600, Per: time.Minute, Burst: 200},
	}, ratelimit.Options{}); err != nil {
		return err
	}
	if n.perUser, err = ratelimit.New([]ratelimit.Policy{
		{Name: "user", Key: ratelimit.ByActor(), Count: 600, Per: time.Minute, Burst: 100},
		{Name: "tenant-day", Key: ratelimit.ByTenant(), Count: 100_000, Calendar: ratelimit.Day},
	}, ratelimit.Options{NoHeaders: true}); err != nil {
		return err
	}
	if n.load, err = concurrency.New(s.recorder, concurrency.Options{Priority: importance}); err != nil {
		return err
	}
	s.onClose(n.load.Close)
	if n.headers, err = browser.Headers(browser.HeaderOptions{}); err != nil {
		return err
	}
	if n.origin, err = browser.SameOrigin(); err != nil {
		return err
	}
	if n.metrics, err = guard.Metrics(nil); err != nil {
		return err
	}
	if n.promised, err = s.openObjectives(ctx); err != nil {
		return err
	}
	n.probes, err = health.New([]health.Check{
		{Name: "database", Run: s.db.PingContext, Every: time.Second},
		{Name: "audit-log", Run: s.log.Ready, Every: time.Second},
		{Name: "roles", Run: func(context.Context) error { return s.access.keeper.Ready() }, Every: time.Second, Criticality: health.Degrading},
	}, health.Options{Recorder: s.recorder, Details: func(*http.Request) bool { return s.o.Demo }})
	if err != nil {
		return err
	}
	s.onClose(n.probes.Close)
	s.network = n
	s.mount(n.probes, n.waf)
	if s.o.Host != nil {
		s.mount(s.o.Host)
	}
	return nil
}

// base are the guards of every call, over HTTP and gRPC.
func (s *Service) base() []guard.Guard {
	n := s.network
	return []guard.Guard{
		guard.Audit(s.recorder), guard.Pages(templates.Lookup("refusal.html")), n.metrics, n.promised, n.headers,
		n.behind, n.firewall, n.requests, n.origin, n.perClient, guard.Limits(1<<20, 0),
		s.identity.identify,
		n.perUser, n.load,
	}
}

// ban answers a detection: a network from which attacks come is refused for a
// quarter of an hour.
func (s *Service) ban(ctx context.Context, a detect.Alert) error {
	network, err := netip.ParsePrefix(a.Group["attr.network"])
	if err != nil || s.network == nil {
		return nil // nobody to refuse
	}
	return s.network.firewall.BanNetwork(ctx, network, 15*time.Minute, "detection."+a.Rule.ID)
}

// importance says what is turned away first when there is more to do than can
// be done.
func importance(_ context.Context, call *guard.Call) concurrency.Priority {
	switch call.Action {
	case "health.live", "health.ready", "health.start":
		return concurrency.Critical
	case "evidence.export", "audit.export", "integrity.scan", "controls.read":
		return concurrency.Background
	}
	return concurrency.Normal
}

// table is the log's acknowledgement table: opening a file is on disk before
// the file is shown.
func table() auditlog.Table {
	return append(auditlog.Table{
		{Action: "files.read", Ack: auditlog.Durable},
		{Action: "crypto.key.unwrap", Outcome: auditlog.Success, Ack: auditlog.Aggregated},
	}, auditlog.DefaultTable()...)
}
