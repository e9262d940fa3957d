package waf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/corazawaf/coraza/v3/types"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/guard"
)

// maxEvents bounds the events of one request, so that an attack can't fill
// the log: the rest are counted in one.
const maxEvents = 16

// A verdict is what the rules say of a request.
type verdict struct {
	result  string // for the metric
	matches []types.MatchedRule
	denial  *guard.Denial
}

// Middleware returns a handler that lets requests through to next when the
// rules allow it.
func (f *Firewall) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := f.inspect(r)
		f.metrics.count(r.Context(), v.result)
		if err := f.record(r.Context(), v); err != nil {
			guard.Refuse(w, r, err)
			return
		}
		if v.denial != nil {
			guard.Refuse(w, r, v.denial)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// inspect runs the rules over a request. The request's body can be read again
// afterwards. Everything in the request is the caller's.
func (f *Firewall) inspect(r *http.Request) verdict {
	tx := f.waf.NewTransaction()
	defer func() {
		tx.ProcessLogging()
		_ = tx.Close() // frees memory; the verdict stands
	}()
	address, port := client(r)
	tx.ProcessConnection(address, port, "", 0)
	tx.ProcessURI(target(r), r.Method, r.Proto)
	headers(tx, r)
	stop := tx.ProcessRequestHeaders()
	if stop == nil {
		body, denial := f.body(r)
		if denial != nil {
			return verdict{result: denialResult(denial), matches: logged(tx), denial: denial}
		}
		var err error
		if stop, _, err = tx.WriteRequestBody(body); err == nil && stop == nil {
			stop, err = tx.ProcessRequestBody()
		}
		if err != nil {
			return verdict{result: "unreadable", matches: logged(tx), denial: unreadable(err)}
		}
	}
	v := verdict{result: "passed", matches: logged(tx)}
	switch {
	case stop != nil && stop.Status == http.StatusBadRequest: // the rules for bodies that are not what they say
		v.result, v.denial = "unreadable", unreadable(fmt.Errorf("waf: rule %d", stop.RuleID))
	case stop != nil:
		v.result = "refused"
		v.denial = &guard.Denial{
			Control: "ratelimit.waf", Code: guard.PermissionDenied, Public: "The request was refused.",
			Err: fmt.Errorf("waf: rule %d", stop.RuleID),
		}
	case len(v.matches) > 0:
		v.result = "detected"
	}
	return v
}

// client is where the request comes from, as the chain's guards found it. An
// IPv6 address has no brackets: rules compare it with ranges.
func client(r *http.Request) (address string, port int) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil {
		address, port = peer.Addr().Unmap().WithZone("").String(), int(peer.Port())
	}
	if call := guard.CallFrom(r.Context()); call != nil && call.Client.IsValid() {
		if address != call.Client.String() {
			port = 0 // it belongs to the proxy
		}
		address = call.Client.String()
	}
	return address, port
}

// target is the request's target as it came in, before anything was decoded
// or cleaned.
func target(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// headers hands the headers over, with those that net/http keeps apart.
func headers(tx types.Transaction, r *http.Request) {
	for name, values := range r.Header {
		for _, v := range values {
			tx.AddRequestHeader(name, v)
		}
	}
	if r.Host != "" {
		tx.AddRequestHeader("Host", r.Host)
		tx.SetServerName(r.Host)
	}
	for _, v := range r.TransferEncoding {
		tx.AddRequestHeader("Transfer-Encoding", v)
	}
	if r.ContentLength > 0 && r.Header.Get("Content-Length") == "" {
		tx.AddRequestHeader("Content-Length", fmt.Sprint(r.ContentLength))
	}
}

// body reads what is to be inspected and leaves the whole body to be read.
func (f *Firewall) body(r *http.Request) ([]byte, *guard.Denial) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > f.o.BodyLimit && !f.o.InspectPart {
		return nil, tooLarge(f.o.BodyLimit)
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, f.o.BodyLimit+1))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge(large.Limit)
	case err != nil:
		return nil, unreadable(err)
	}
	if int64(len(head)) > f.o.BodyLimit {
		if !f.o.InspectPart {
			return nil, tooLarge(f.o.BodyLimit)
		}
	}
	r.Body = rest{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	return head[:min(int64(len(head)), f.o.BodyLimit)], nil
}

// rest is a body of which the beginning was read already.
type rest struct {
	io.Reader
	io.Closer
}

func tooLarge(limit int64) *guard.Denial {
	return &guard.Denial{
		Control: "ratelimit.waf", Code: guard.ResourceExhausted, Status: http.StatusRequestEntityTooLarge,
		Public: "The body is too large.", Details: map[string]any{"limit": limit},
	}
}

// unreadable answers a body that broke off or that no rule can make sense of.
// A firewall that lets through what it can't read is a firewall with a door.
func unreadable(err error) *guard.Denial {
	return &guard.Denial{Control: "ratelimit.waf", Code: guard.InvalidArgument, Public: "The body could not be read.", Err: err}
}

func denialResult(d *guard.Denial) string {
	if d.Status == http.StatusRequestEntityTooLarge {
		return "too_large"
	}
	return "unreadable"
}

// logged are the rules that matched and say something about the request. The
// rule set's file 901 prepares variables.
func logged(tx types.Transaction) []types.MatchedRule {
	var list []types.MatchedRule
	for _, m := range tx.MatchedRules() {
		if m.Message() != "" && m.Rule().ID()/1000 != 901 {
			list = append(list, m)
		}
	}
	return list
}

// reason names a rule, such as ratelimit.waf.r942100, so that the log's
// aggregates count each rule by itself.
func reason(rule types.RuleMetadata) string { return fmt.Sprintf("ratelimit.waf.r%d", rule.ID()) }

// record notes every rule that matched, by its number. Messages and data of a
// rule may quote the request, which is nobody's to keep.
func (f *Firewall) record(ctx context.Context, v verdict) error {
	outcome := auditlog.Success // the request went on
	if v.denial != nil {
		outcome = auditlog.Denied
	}
	for i, m := range v.matches {
		ev := auditlog.Event{
			Action: "ratelimit.waf.match", Outcome: outcome, Reason: reason(m.Rule()),
			Attrs: []auditlog.Attr{auditlog.String("severity", m.Rule().Severity().String())},
		}
		if i == maxEvents {
			ev.Reason, ev.Attrs = "ratelimit.waf", []auditlog.Attr{auditlog.Int("more", len(v.matches)-i)}
		}
		if err := f.rec.Record(ctx, ev); err != nil {
			return fmt.Errorf("waf: record: %w", err)
		}
		if i == maxEvents {
			break
		}
	}
	return nil
}
