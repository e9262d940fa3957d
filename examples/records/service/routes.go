package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/examples/records/recordsv1"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/guard/guardgrpc"
	"github.com/surety-go/surety/health"
	"github.com/surety-go/surety/health/healthgrpc"
	"github.com/surety-go/surety/privacy/consent"
	"github.com/surety-go/surety/ratelimit/firewall"
)

// signedIn admits everyone who is signed in with two factors.
func signedIn() guard.Guard {
	return authn.Required(authn.AAL2, authn.RequiredOptions{LoginPage: "/login"})
}

// routes is everything the service answers to over HTTP.
func (s *Service) routes() []guard.Route {
	probe := guard.Public("orchestrators have no credentials, and the answer holds no data")
	shared := guard.Public("the sign-in page needs its style sheet and its icon")
	read := s.gate.Require(payroll, benefits, directory)
	route := func(pattern, action string, h http.Handler, guards ...guard.Guard) guard.Route {
		return guard.Route{Pattern: pattern, Action: action, Guards: guards, Handler: h}
	}
	// Whatever the policy says of a person, two factors come first.
	member := func(pattern, action string, h http.Handler, guards ...guard.Guard) guard.Route {
		return route(pattern, action, h, append([]guard.Guard{signedIn()}, guards...)...)
	}
	f := func(h http.HandlerFunc) http.Handler { return h }
	return []guard.Route{
		route("GET /livez", "health.live", s.network.probes.Live(), probe),
		route("GET /readyz", "health.ready", s.network.probes.Ready(), probe),
		route("GET /startupz", "health.start", s.network.probes.Started(), probe),
		route("GET /.well-known/gpc.json", "pages.gpc", consent.GPCSupport(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
			guard.Public("the signal's draft wants it readable by everyone")),
		route("GET /static/app.css", "pages.style", static("app.css", "text/css; charset=utf-8"), shared),
		route("GET /static/icon.svg", "pages.icon", static("icon.svg", "image/svg+xml"), shared),

		member("GET /{$}", "pages.home", f(s.home)),
		member("GET /files", "files.list", f(s.filesPage), s.may("list", "file")),
		member("GET /files/{id}", "files.read", f(s.filePage), s.mayRead(), read),
		member("POST /files/{id}", "files.update", s.network.waf.Middleware(f(s.saveFile)), s.may("update", "file"), s.gate.Require(payroll)),
		member("GET /privacy", "privacy.page.read", f(s.privacyPage), s.may("use", "privacy")),
		member("POST /privacy/give", "privacy.consent.give", s.formConsent(true), s.may("use", "privacy")),
		member("POST /privacy/withdraw", "privacy.consent.withdraw", s.formConsent(false), s.may("use", "privacy")),
		member("POST /privacy/erasure", "privacy.erasure.ask", f(s.formErase), s.may("use", "privacy")),
		member("GET /audit", "audit.read", f(s.auditPage), s.may("read", "audit")),
		member("GET /controls", "controls.read", f(s.controlsPage), s.may("read", "control")),
		member("GET /evidence", "evidence.export", f(s.evidence), s.may("export", "evidence")),

		member("GET /api/me", "account.read", f(s.apiMe)),
		member("GET /api/files", "files.list", f(s.apiList), s.may("list", "file")),
		member("GET /api/search", "files.search", f(s.apiSearch), s.may("list", "file"), s.gate.Require(payroll)),
		member("GET /api/files/{id}", "files.read", f(s.apiRead), s.mayRead(), read),
		member("PUT /api/files/{id}", "files.update", s.network.waf.Middleware(f(s.apiUpdate)), s.may("update", "file"), s.gate.Require(payroll)),
		member("POST /api/files/{id}/documents", "documents.create", s.documents.gate.Middleware(f(s.addDocument)),
			s.may("update", "file"), s.gate.Require(payroll)),
		member("POST /api/consent/give", "privacy.consent.give", s.apiConsent(true), s.may("use", "privacy")),
		member("POST /api/consent/withdraw", "privacy.consent.withdraw", s.apiConsent(false), s.may("use", "privacy")),
		member("POST /api/erasure", "privacy.erasure.ask", f(s.apiErase), s.may("use", "privacy")),
		member("GET /api/requests", "requests.list", f(s.apiRequests), s.may("use", "privacy")),
		member("POST /api/requests", "requests.create", f(s.apiRequest), s.may("use", "privacy")),
		member("POST /api/requests/access", "requests.export", f(s.apiExport), s.may("use", "privacy")),
		member("GET /api/notice", "notices.read", f(s.apiNotice), s.may("use", "privacy")),
		member("GET /api/disclosures", "disclosures.list", f(s.apiDisclosures), s.may("use", "privacy")),
		member("GET /api/queue", "requests.list", f(s.apiQueue), s.may("answer", "request")),
		member("POST /api/roles", "roles.create", f(s.apiGrant), s.may("assign", "role")),
		member("POST /api/roles/revoke", "roles.delete", f(s.apiRevokeRole), s.may("assign", "role")),
		member("POST /api/roles/{id}/approve", "roles.update", f(s.apiApproveRole), s.may("assign", "role")),
		member("POST /api/emergencies", "emergencies.create", f(s.apiEmergency), s.may("break", "glass")),
		member("POST /api/emergencies/{sequence}/review", "emergencies.update", f(s.apiEmergencyReview), s.may("review", "glass")),
		member("POST /api/reviews", "reviews.create", f(s.apiReview), s.may("start", "review")),
		member("POST /api/reviews/{id}/items/{number}", "reviews.update", f(s.apiVerdict), s.may("decide", "review")),
		member("POST /api/holds", "holds.create", f(s.apiHold), s.may("place", "hold")),
		member("POST /api/holds/{id}/release", "holds.update", f(s.apiRelease), s.may("place", "hold")),
		member("POST /api/breaches", "breaches.create", f(s.apiBreach), s.may("report", "breach")),
		member("POST /api/breaches/{id}/notices", "breaches.update", f(s.apiNotified), s.may("report", "breach")),
		member("GET /api/article-30", "inventory.export", f(s.article30), s.may("read", "inventory")),

		member("GET /api/controls", "controls.read", f(s.apiControls), s.may("read", "control")),
		member("POST /api/integrity", "integrity.scan", f(s.apiScan), s.may("read", "audit")),
		member("GET /api/audit", "audit.read", f(s.apiAudit), s.may("read", "audit")),
		member("GET /api/audit/ocsf", "audit.export", f(s.apiSIEM), s.may("read", "audit")),
		member("GET /api/findings", "findings.read", f(s.apiFindings), s.may("read", "audit")),
		member("POST /api/egress", "vendors.send", f(s.apiEgress), s.may("update", "file"), s.gate.Require(payroll)),
	}
}

// methods is everything the service answers to over gRPC: the same actions
// behind the same guards.
func (s *Service) methods() []guard.Route {
	method := func(pattern, action string, guards ...guard.Guard) guard.Route {
		return guard.Route{Pattern: pattern, Action: action, Guards: append([]guard.Guard{signedIn()}, guards...)}
	}
	watch := method(recordsv1.Records_Watch_FullMethodName, "files.watch", s.may("list", "file"))
	watch.Stream = true
	open := guard.Public("load balancers have no credentials, and the answer holds no data")
	alive := func(pattern, action string, stream bool) guard.Route {
		return guard.Route{Pattern: pattern, Action: action, Stream: stream, Guards: []guard.Guard{open}}
	}
	return []guard.Route{
		alive(healthpb.Health_Check_FullMethodName, "health.check", false),
		alive(healthpb.Health_List_FullMethodName, "health.check", false),
		alive(healthpb.Health_Watch_FullMethodName, "health.watch", true),
		method(recordsv1.Records_List_FullMethodName, "files.list", s.may("list", "file")),
		method(recordsv1.Records_Read_FullMethodName, "files.read", s.mayRead(), s.gate.Require(payroll, benefits, directory)),
		method(recordsv1.Records_Update_FullMethodName, "files.update", s.may("update", "file"), s.gate.Require(payroll)),
		watch,
	}
}

// openRoutes builds both servers; a mistake in a table keeps the service from
// opening.
func (s *Service) openRoutes(context.Context) error {
	mux, err := guard.NewMux(s.base(), append(s.identity.flow.Routes(), s.routes()...)...)
	if err != nil {
		return err
	}
	guarded, err := guardgrpc.New(s.base(), s.methods()...)
	if err != nil {
		return err
	}
	server := grpc.NewServer(guarded.Options()...)
	recordsv1.RegisterRecordsServer(server, &rpc{s: s})
	s.network.grpc, err = healthgrpc.New(s.network.probes, healthgrpc.Options{Services: []string{recordsv1.Records_ServiceDesc.ServiceName}})
	if err != nil {
		return err
	}
	healthpb.RegisterHealthServer(server, s.network.grpc)
	if err := guarded.Verify(server); err != nil {
		return err
	}
	s.onClose(func() error {
		server.Stop()
		guarded.Wait()
		return nil
	})
	s.handler = both(purposeOfLinks(mux), server)
	s.mount(mux)
	return nil
}

// both serves HTTP and gRPC on one port: gRPC is HTTP/2 with a content type
// of its own.
func both(h http.Handler, g *grpc.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			g.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// purposeOfLinks lets links and forms state a purpose, which can't send
// headers.
func purposeOfLinks(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Query().Get("purpose"); p != "" && r.Header.Get("Purpose") == "" {
			r.Header.Set("Purpose", p)
		}
		h.ServeHTTP(w, r)
	})
}

// Serve serves until ctx ends, drains, and closes the service. A demo, whose
// cookies no TLS protects, is refused an address that others can reach.
func (s *Service) Serve(ctx context.Context, l net.Listener) error {
	if addr, ok := l.Addr().(*net.TCPAddr); s.o.Demo && (!ok || !addr.IP.IsLoopback()) {
		return errors.Join(fmt.Errorf("records: a demo serves loopback only, not %s", l.Addr()), l.Close(), s.Close())
	}
	handler, err := firewall.SlowClients(s.handler, firewall.SlowOptions{})
	if err != nil {
		return errors.Join(fmt.Errorf("records: %w", err), l.Close(), s.Close())
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		Protocols: new(http.Protocols),
	}
	server.RegisterOnShutdown(s.network.grpc.Close) // watches last as long as their clients like
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // gRPC without TLS, on loopback
	err = health.Serve(ctx, s.network.probes, l, server, health.ServeOptions{Finish: 10 * time.Second})
	if err = errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("records: serve: %w", err)
	}
	return nil
}
