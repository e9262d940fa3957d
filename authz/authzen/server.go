package authzen

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authz"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/internal/problem"
	"github.com/surety-go/surety/internal/strictjson"
)

// ServerOptions adapt a Server.
type ServerOptions struct {
	// URL is the base of the endpoints, as the metadata tells it.
	URL string
	// Object is the engine's object of a resource; "type:id" if nil.
	Object func(Entity) string
	// Resource is the resource of an object, for searches: the inverse of
	// Object. It reports false for objects that are none of the type.
	Resource func(object, typ string) (Entity, bool)
	// Domain is the engine's domain of a request; the caller's tenant if nil.
	// What the request itself says about its tenant is the caller's claim.
	Domain func(ctx context.Context, e Evaluation) string
}

// A Server is a decision point. Its routes belong behind guards that say who
// calls: a caller without an identity is answered 401.
type Server struct {
	engine *authz.Engine
	o      ServerOptions
}

// Limits of one request.
const (
	maxBody        = 1 << 20
	maxEvaluations = 1000
	pageSize       = 100
	maxPage        = 1000
)

// NewServer returns a decision point. Decisions are recorded by the engine.
func NewServer(e *authz.Engine, o ServerOptions) (*Server, error) {
	u, err := url.Parse(o.URL)
	if e == nil || err != nil || u.Host == "" || u.Scheme != "https" || (o.Object == nil) != (o.Resource == nil) {
		return nil, errors.New("authzen: NewServer needs an engine, an https URL, and Object with Resource or neither")
	}
	if o.Object == nil {
		o.Object = func(e Entity) string { return e.Type + ":" + e.ID }
		o.Resource = func(object, typ string) (Entity, bool) {
			id, ok := strings.CutPrefix(object, typ+":")
			return Entity{Type: typ, ID: id}, ok && id != ""
		}
	}
	if o.Domain == nil {
		o.Domain = func(ctx context.Context, _ Evaluation) string {
			p, _ := authn.FromContext(ctx)
			return p.Tenant
		}
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	return &Server{e, o}, nil
}

// Routes are the endpoints, each behind the guards, which say who may ask.
// The metadata is public.
func (s *Server) Routes(guards ...guard.Guard) []guard.Route {
	route := func(path, action string, f func(context.Context, map[string]any) (any, error)) guard.Route {
		return guard.Route{Pattern: "POST " + path, Action: action, Guards: guards, Handler: s.endpoint(f)}
	}
	return []guard.Route{
		route(EvaluationPath, "authz.decide", s.evaluation),
		route(EvaluationsPath, "authz.decide", s.evaluations),
		route(SearchSubjectPath, "authz.read", s.searchSubject),
		route(SearchResourcePath, "authz.read", s.searchResource),
		route(SearchActionPath, "authz.read", s.searchAction),
		{
			Pattern: "GET " + MetadataPath, Action: "authz.read",
			Guards: []guard.Guard{guard.Public("AuthZEN metadata names endpoints only")}, Handler: http.HandlerFunc(s.metadata),
		},
	}
}

func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	requestID(w, r)
	reply(w, map[string]string{
		"policy_decision_point":       s.o.URL,
		"access_evaluation_endpoint":  s.o.URL + EvaluationPath,
		"access_evaluations_endpoint": s.o.URL + EvaluationsPath,
		"search_subject_endpoint":     s.o.URL + SearchSubjectPath,
		"search_resource_endpoint":    s.o.URL + SearchResourcePath,
		"search_action_endpoint":      s.o.URL + SearchActionPath,
	})
}

// maxRequestID bounds the header that is sent back.
const maxRequestID = 128

// requestID sends X-Request-ID back (section 10.1.3), unless it is more than
// an id: it goes into a header and into logs.
func requestID(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-ID")
	printable := !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' })
	if id != "" && len(id) <= maxRequestID && printable {
		w.Header().Set("X-Request-ID", id)
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}

// endpoint reads a request and writes what a function answers.
func (s *Server) endpoint(f func(context.Context, map[string]any) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requestID(w, r)
		if _, ok := authn.FromContext(r.Context()); !ok {
			problem.Write(w, problem.Problem{Title: "Unauthorized", Status: http.StatusUnauthorized})
			return
		}
		var in map[string]any
		err := strictjson.Decode(r.Body, maxBody, &in)
		if err == nil && in == nil {
			err = errors.New("no object")
		}
		if err != nil {
			problem.Write(w, problem.Problem{Title: "Bad Request", Status: http.StatusBadRequest, Detail: "The body is not the JSON object that was expected."})
			return
		}
		out, err := f(r.Context(), in)
		switch {
		case errors.Is(err, ErrMalformed):
			problem.Write(w, problem.Problem{Title: "Bad Request", Status: http.StatusBadRequest, Detail: strings.TrimPrefix(err.Error(), "authzen: ")})
		case errors.Is(err, authz.ErrUnlistable):
			problem.Write(w, problem.Problem{Title: "Not Implemented", Status: http.StatusNotImplemented, Detail: "The policy can't be searched for this."})
		case err != nil:
			problem.Write(w, problem.Problem{Title: "Service Unavailable", Status: http.StatusServiceUnavailable})
		default:
			reply(w, out)
		}
	})
}

// request is what the engine is asked.
func (s *Server) request(ctx context.Context, e Evaluation) authz.Request {
	r := authz.Request{
		Subject: e.Subject.ID, Domain: s.o.Domain(ctx, e), Object: s.o.Object(e.Resource), Action: e.Action.Name,
		Attributes: &authz.Attributes{Subject: e.Subject.Properties, Object: e.Resource.Properties, Action: e.Action.Properties, Context: e.Context},
	}
	if e.Resource.ID == "" {
		r.Object = ""
	}
	return r
}

func (s *Server) decide(ctx context.Context, e Evaluation) (Decision, error) {
	r := s.request(ctx, e)
	r.ID = rand.Text()
	d, err := s.engine.Authorize(ctx, r)
	if err != nil {
		return Decision{}, fmt.Errorf("authzen: %w", err)
	}
	return Decision{d.Allowed, map[string]any{
		"id": r.ID, "reason": d.Reason, "policy_version": d.PolicyVersion,
	}}, nil
}

var whole = parts{true, true, true}

func (s *Server) evaluation(ctx context.Context, in map[string]any) (any, error) {
	e, err := readEvaluation(in, nil, whole)
	if err != nil {
		return nil, err
	}
	return s.decide(ctx, e)
}

// Semantics of several evaluations (section 7.1.2.1).
const (
	executeAll = "execute_all"
	untilDeny  = "deny_on_first_deny"
	untilAllow = "permit_on_first_permit"
)

func (s *Server) evaluations(ctx context.Context, in map[string]any) (any, error) {
	v, has := in["evaluations"]
	list, ok := v.([]any)
	if has && !ok {
		return nil, fmt.Errorf("%w: evaluations is no list", ErrMalformed)
	}
	if len(list) == 0 {
		return s.evaluation(ctx, in) // section 7.1: then it is one evaluation
	}
	if len(list) > maxEvaluations {
		return nil, fmt.Errorf("%w: %d evaluations, want at most %d", ErrMalformed, len(list), maxEvaluations)
	}
	semantic, err := semanticOf(in)
	if err != nil {
		return nil, err
	}
	var out []Decision
	for _, v := range list {
		d, err := s.item(ctx, v, in)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
		if semantic == untilDeny && !d.Decision || semantic == untilAllow && d.Decision {
			break
		}
	}
	return map[string]any{"evaluations": out}, nil
}

// item decides one of several evaluations. What is wrong with it alone denies
// it alone (section 7.2.1).
func (s *Server) item(ctx context.Context, v any, defaults map[string]any) (Decision, error) {
	item, ok := v.(map[string]any)
	err := fmt.Errorf("%w: the evaluation is no object", ErrMalformed)
	var e Evaluation
	if ok {
		e, err = readEvaluation(item, defaults, whole)
	}
	if err != nil {
		about := map[string]any{"status": http.StatusBadRequest, "message": strings.TrimPrefix(err.Error(), "authzen: ")}
		return Decision{Context: map[string]any{"error": about}}, nil
	}
	return s.decide(ctx, e)
}

func semanticOf(in map[string]any) (string, error) {
	v, has := in["options"]
	if !has {
		return executeAll, nil
	}
	options, ok := v.(map[string]any)
	if !ok {
		return "", fmt.Errorf("%w: options is no object", ErrMalformed)
	}
	v, has = options["evaluations_semantic"]
	if !has {
		return executeAll, nil
	}
	name, ok := v.(string)
	if !ok || !slices.Contains([]string{executeAll, untilDeny, untilAllow}, name) {
		return "", fmt.Errorf("%w: options.evaluations_semantic is not understood", ErrMalformed)
	}
	return name, nil
}

// searchSubject lists who may (section 8.4).
func (s *Server) searchSubject(ctx context.Context, in map[string]any) (any, error) {
	e, err := readEvaluation(in, nil, parts{action: true, resourceID: true})
	if err != nil {
		return nil, err
	}
	who, err := s.engine.WhoCan(s.request(ctx, e))
	if err != nil {
		return nil, err //nolint:wrapcheck // told apart above
	}
	list := make([]any, 0, len(who))
	for _, id := range who {
		list = append(list, Entity{Type: e.Subject.Type, ID: id})
	}
	return paged(in, list)
}

// searchResource lists which resources that rules name (section 8.5).
func (s *Server) searchResource(ctx context.Context, in map[string]any) (any, error) {
	e, err := readEvaluation(in, nil, parts{subjectID: true, action: true})
	if err != nil {
		return nil, err
	}
	can, err := s.engine.WhatCan(s.o.Domain(ctx, e), e.Subject.ID)
	if err != nil {
		return nil, err //nolint:wrapcheck // told apart above
	}
	list, seen := []any{}, map[string]bool{}
	for _, p := range can {
		found, ok := s.o.Resource(p.Object, e.Resource.Type)
		if !ok || seen[found.ID] {
			continue
		}
		asked := e
		asked.Resource = found
		if s.engine.Decide(s.request(ctx, asked)).Allowed {
			seen[found.ID] = true
			list = append(list, found)
		}
	}
	return paged(in, list)
}

// searchAction lists what rules let the subject do to a resource (section
// 8.6).
func (s *Server) searchAction(ctx context.Context, in map[string]any) (any, error) {
	e, err := readEvaluation(in, nil, parts{subjectID: true, resourceID: true})
	if err != nil {
		return nil, err
	}
	can, err := s.engine.WhatCan(s.o.Domain(ctx, e), e.Subject.ID)
	if err != nil {
		return nil, err //nolint:wrapcheck // told apart above
	}
	list, seen := []any{}, map[string]bool{}
	for _, p := range can {
		asked := e
		asked.Action = Action{Name: p.Action}
		if !seen[p.Action] && p.Action != "*" && s.engine.Decide(s.request(ctx, asked)).Allowed {
			seen[p.Action] = true
			list = append(list, asked.Action)
		}
	}
	return paged(in, list)
}

// paged cuts the page out that is asked for (section 8.2). A token is where
// the page begins.
func paged(in map[string]any, list []any) (any, error) {
	from, size := 0, pageSize
	if v, has := in["page"]; has {
		page, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: page is no object", ErrMalformed)
		}
		if token, has := page["token"]; has && token != "" {
			s, _ := token.(string)
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("%w: page.token is none of ours", ErrMalformed)
			}
			from = min(n, len(list))
		}
		if limit, has := page["limit"]; has {
			n, ok := limit.(float64)
			if !ok || n < 1 || n > maxPage || n != float64(int(n)) {
				return nil, fmt.Errorf("%w: page.limit is from 1 to %d", ErrMalformed, maxPage)
			}
			size = int(n)
		}
	}
	to, next := min(from+size, len(list)), ""
	if to < len(list) {
		next = strconv.Itoa(to)
	}
	return map[string]any{
		"results": list[from:to],
		"page":    map[string]any{"next_token": next, "count": to - from, "total": len(list)},
	}, nil
}
