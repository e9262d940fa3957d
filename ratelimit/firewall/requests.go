package firewall

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// RequestOptions say what a request may look like.
type RequestOptions struct {
	// Hosts are the names under which the service is asked, in lower case and
	// without a port; none lets in every name. A service that answers to any
	// name can be made to believe it is another (ASVS 5.0, 4.1.3; DNS
	// rebinding).
	Hosts []string
	// Methods are the methods that are used at all; none is GET, HEAD, POST,
	// PUT, PATCH, DELETE and OPTIONS. CONNECT and TRACE are never let in.
	Methods []string
	// ContentTypes are the kinds of bodies, without parameters; none lets in
	// every kind. A request with a body must name one of them.
	ContentTypes []string
	// URI is how many bytes a request's target may have, 64 to 65,536; 0 is
	// 8,192.
	URI int
	// Headers is how many header lines there may be, 8 to 1,000; 0 is 100;
	// and HeaderBytes how long one of them may be, 256 to 65,536; 0 is 8,192.
	// The server bounds them all together (http.Server.MaxHeaderBytes).
	Headers, HeaderBytes int
}

// A RequestGuard refuses requests that don't look like those of the service's
// clients.
type RequestGuard struct{ o RequestOptions }

// Requests makes the guard. Over gRPC, which has one method and one kind of
// body, it looks at hosts only; headers are bounded there by
// grpc.MaxHeaderListSize.
func Requests(o RequestOptions) (*RequestGuard, error) {
	for _, d := range []struct {
		name              string
		field             *int
		zero, least, most int
	}{
		{"URI", &o.URI, 8192, 64, 65536}, {"Headers", &o.Headers, 100, 8, 1000}, {"HeaderBytes", &o.HeaderBytes, 8192, 256, 65536},
	} {
		if *d.field == 0 {
			*d.field = d.zero
		}
		if *d.field < d.least || *d.field > d.most {
			return nil, fmt.Errorf("firewall: RequestOptions.%s is %d, want %d to %d", d.name, *d.field, d.least, d.most)
		}
	}
	if len(o.Methods) == 0 {
		o.Methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	}
	o.Hosts, o.Methods, o.ContentTypes = slices.Clone(o.Hosts), slices.Clone(o.Methods), slices.Clone(o.ContentTypes)
	for _, m := range o.Methods {
		if m == "" || m != strings.ToUpper(m) || m == http.MethodConnect || m == http.MethodTrace {
			return nil, fmt.Errorf("firewall: RequestOptions.Methods: %q: want methods in upper case, and neither CONNECT nor TRACE", m)
		}
	}
	for _, h := range o.Hosts {
		if h == "" || h != strings.ToLower(h) || strings.ContainsAny(h, "/ *") {
			return nil, fmt.Errorf("firewall: RequestOptions.Hosts: %q: want a name in lower case", h)
		}
	}
	for _, c := range o.ContentTypes {
		if name, params, err := mime.ParseMediaType(c); err != nil || len(params) > 0 || name != c || !strings.Contains(c, "/") {
			return nil, fmt.Errorf("firewall: RequestOptions.ContentTypes: %q is no type in lower case without parameters", c)
		}
	}
	return &RequestGuard{o}, nil
}

// Phase returns [guard.Network].
func (g *RequestGuard) Phase() guard.Phase { return guard.Network }

// Admit implements [guard.Guard].
func (g *RequestGuard) Admit(ctx context.Context, call *guard.Call) (context.Context, error) {
	r, ok := call.Request.(*http.Request)
	if !ok {
		return ctx, g.grpc(call)
	}
	switch {
	case !slices.Contains(g.o.Methods, r.Method):
		call.SetHeader("Allow", strings.Join(g.o.Methods, ", "))
		return ctx, refuse(http.StatusMethodNotAllowed, "This method is not used here.")
	case !g.host(r.Host):
		return ctx, refuse(http.StatusMisdirectedRequest, "This service has another name.")
	case len(r.RequestURI) > g.o.URI:
		return ctx, refuse(http.StatusRequestURITooLong, "The address is too long.")
	}
	if err := g.headers(r.Header); err != nil {
		return ctx, err
	}
	return ctx, g.contentType(r)
}

func refuse(status int, public string) *guard.Denial {
	return &guard.Denial{Control: "ratelimit.requests", Code: guard.InvalidArgument, Status: status, Public: public}
}

func (g *RequestGuard) host(host string) bool {
	if len(g.o.Hosts) == 0 {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	return slices.Contains(g.o.Hosts, host)
}

func (g *RequestGuard) headers(h http.Header) error {
	n := 0
	for name, values := range h {
		for _, v := range values {
			n++
			if n > g.o.Headers || len(name)+len(v) > g.o.HeaderBytes {
				return refuse(http.StatusRequestHeaderFieldsTooLarge, "The header is too large.")
			}
		}
	}
	return nil
}

func (g *RequestGuard) contentType(r *http.Request) error {
	if len(g.o.ContentTypes) == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	lines := r.Header.Values("Content-Type")
	if len(lines) == 1 { // two of them would be read differently by different programs
		if kind, _, err := mime.ParseMediaType(lines[0]); err == nil && slices.Contains(g.o.ContentTypes, kind) {
			return nil
		}
	}
	return refuse(http.StatusUnsupportedMediaType, "This kind of body is not accepted.")
}

// grpc looks at a call's authority.
func (g *RequestGuard) grpc(call *guard.Call) error {
	if hosts := call.Header(":authority"); len(g.o.Hosts) > 0 && (len(hosts) != 1 || !g.host(hosts[0])) {
		return refuse(http.StatusMisdirectedRequest, "This service has another name.")
	}
	return nil
}

// Middleware returns a handler behind the guard alone.
func (g *RequestGuard) Middleware(next http.Handler) http.Handler { return guard.Alone(g, next) }

// Controls describes the guard. Its probe sends TRACE, and a target that is
// too long.
func (g *RequestGuard) Controls() []controls.Control {
	any := func(list []string) string {
		if len(list) == 0 {
			return "any"
		}
		return strings.Join(list, " ")
	}
	return []controls.Control{{
		ID: "ratelimit.requests",
		Parameters: []controls.Parameter{
			controls.Text("hosts", any(g.o.Hosts)), controls.Text("methods", any(g.o.Methods)), controls.Text("content_types", any(g.o.ContentTypes)),
			controls.Bytes("uri", g.o.URI), controls.Int("headers", g.o.Headers), controls.Bytes("header_bytes", g.o.HeaderBytes),
		},
		Probe: g.probe,
	}}
}

func (g *RequestGuard) probe(ctx context.Context) controls.Result {
	for what, change := range map[string]func(*http.Request){
		"TRACE":                     func(r *http.Request) { r.Method = http.MethodTrace },
		"a target that is too long": func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("x", g.o.URI) },
	} {
		r, err := http.NewRequestWithContext(ctx, g.o.Methods[0], "https://probe.invalid/", nil)
		if err != nil {
			return controls.Errored("request: %v", err)
		}
		if len(g.o.Hosts) > 0 {
			r.Host = g.o.Hosts[0]
		}
		change(r)
		call := guard.Synthetic("ratelimit.requests", "ratelimit.probe", nil)
		call.Request = r
		var denial *guard.Denial
		if _, err := g.Admit(ctx, call); !errors.As(err, &denial) {
			return controls.Failed("%s was admitted", what)
		}
	}
	return controls.Passed("TRACE and a target of %d bytes were refused", g.o.URI+1)
}
