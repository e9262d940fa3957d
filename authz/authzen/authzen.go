// Package authzen speaks OpenID AuthZEN Authorization API 1.0: a decision
// point that answers by an engine, and a client for one that runs elsewhere.
//
//	pdp, err := authzen.NewServer(engine, authzen.ServerOptions{URL: "https://pdp.example.org"})
//	mux, err := guard.NewMux(base, pdp.Routes(guards...)...)
//
//	remote, err := authzen.NewClient("https://pdp.example.org", log, authzen.ClientOptions{})
//	route.Guards = append(route.Guards, remote.Require("read", authzen.Resource("file", "id")))
//
// The server maps a subject's id to the engine's subject, an action's name to
// its action, a resource to the object "type:id" or what Options say, and
// properties to attributes. The domain is the caller's tenant: the decision
// point does not believe a tenant that a request names.
//
// What is malformed is answered 400, what the engine denies 200 with the
// decision false; of several evaluations a malformed one is denied alone. The
// context of a decision has its id, which its event in the audit log has too,
// and why. The client treats everything but a well-formed true as a denial: an
// answer that can't be had is [ErrUnavailable] and 503.
package authzen

import (
	"errors"
	"fmt"
)

// Errors.
var (
	// ErrMalformed says that a request or an answer is not what the standard
	// says.
	ErrMalformed = errors.New("authzen: malformed")
	// ErrUnavailable says that the decision point gave no decision.
	ErrUnavailable = errors.New("authzen: no decision")
)

// Paths of the endpoints (section 10) and of the metadata (section 9).
const (
	EvaluationPath     = "/access/v1/evaluation"
	EvaluationsPath    = "/access/v1/evaluations"
	SearchSubjectPath  = "/access/v1/search/subject"
	SearchResourcePath = "/access/v1/search/resource"
	SearchActionPath   = "/access/v1/search/action"
	MetadataPath       = "/.well-known/authzen-configuration"
)

// An Entity is a subject or a resource (sections 5.1 and 5.2).
type Entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitempty"`
}

// An Action is what is to be done (section 5.3).
type Action struct {
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties,omitempty"`
}

// An Evaluation asks for one decision (section 6.1).
type Evaluation struct {
	Subject  Entity         `json:"subject"`
	Action   Action         `json:"action"`
	Resource Entity         `json:"resource"`
	Context  map[string]any `json:"context,omitempty"`
}

// A Decision is the answer (section 6.2). The zero Decision denies.
type Decision struct {
	Decision bool           `json:"decision"`
	Context  map[string]any `json:"context,omitempty"`
}

// parts says which members an evaluation must have.
type parts struct{ subjectID, action, resourceID bool }

// readEvaluation takes an evaluation out of a document whose members are the
// defaults of those that the item lacks.
func readEvaluation(item, defaults map[string]any, want parts) (e Evaluation, err error) {
	member := func(name string) (map[string]any, error) {
		v, ok := item[name]
		if !ok {
			v, ok = defaults[name]
		}
		if !ok {
			return nil, nil //nolint:nilnil // absent
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: %s is no object", ErrMalformed, name)
		}
		return m, nil
	}
	m, err := member("subject")
	if err == nil {
		e.Subject, err = readEntity(m, "subject", want.subjectID)
	}
	if err != nil {
		return e, err
	}
	if m, err = member("resource"); err == nil {
		e.Resource, err = readEntity(m, "resource", want.resourceID)
	}
	if err != nil {
		return e, err
	}
	if m, err = member("action"); err == nil && want.action {
		e.Action, err = readAction(m)
	}
	if err != nil {
		return e, err
	}
	e.Context, err = member("context")
	return e, err
}

func readEntity(m map[string]any, name string, id bool) (e Entity, err error) {
	if e.Type, err = text(m, name, "type"); err != nil {
		return e, err
	}
	if id {
		if e.ID, err = text(m, name, "id"); err != nil {
			return e, err
		}
	}
	e.Properties, err = properties(m, name)
	return e, err
}

func readAction(m map[string]any) (a Action, err error) {
	if a.Name, err = text(m, "action", "name"); err != nil {
		return a, err
	}
	a.Properties, err = properties(m, "action")
	return a, err
}

func text(m map[string]any, name, member string) (string, error) {
	s, ok := m[member].(string)
	if !ok || s == "" {
		return "", fmt.Errorf("%w: %s.%s is missing or no text", ErrMalformed, name, member)
	}
	return s, nil
}

func properties(m map[string]any, name string) (map[string]any, error) {
	v, ok := m["properties"]
	if !ok {
		return nil, nil //nolint:nilnil // absent
	}
	p, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: %s.properties is no object", ErrMalformed, name)
	}
	return p, nil
}
