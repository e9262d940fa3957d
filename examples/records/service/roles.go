package service

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/login"
	"github.com/surety-go/surety/authz/change"
	"github.com/surety-go/surety/guard"
)

// A roleChange is what is asked about somebody's role.
type roleChange struct {
	Account string `json:"account"`
	Role    string `json:"role"`
	Reason  string `json:"reason"`
	Ticket  string `json:"ticket"`
}

// inCompany reads a change of a role of somebody in the caller's company.
func (s *Service) inCompany(r *http.Request) (c roleChange, tenant string, err error) {
	if err := decode(r, &c); err != nil {
		return c, "", err
	}
	p, _ := authn.FromContext(r.Context())
	if _, err := s.identity.accounts.ByID(r.Context(), p.Tenant, c.Account); err != nil {
		if errors.Is(err, login.ErrNoAccount) {
			err = &guard.Denial{Control: "authz.policy", Code: guard.NotFound, Public: "There is no such account.", Err: err}
		}
		return c, "", err
	}
	return c, p.Tenant, nil
}

// apiGrant gives somebody a role, or proposes it where a second person has to
// approve.
func (s *Service) apiGrant(w http.ResponseWriter, r *http.Request) {
	c, tenant, err := s.inCompany(r)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	g := change.Grant{Domain: tenant, Subject: c.Account, Role: c.Role, Reason: c.Reason, Ticket: c.Ticket}
	err = s.access.keeper.Grant(r.Context(), g)
	if !errors.Is(err, change.ErrApproval) {
		replyRole(w, r, map[string]string{"state": "in force"}, err)
		return
	}
	id, err := s.access.keeper.Propose(r.Context(), g)
	replyRole(w, r, map[string]string{"state": "proposed", "proposal": id}, err)
}

// apiApproveRole makes a proposed change.
func (s *Service) apiApproveRole(w http.ResponseWriter, r *http.Request) {
	replyRole(w, r, map[string]string{"state": "in force"}, s.access.keeper.Approve(r.Context(), r.PathValue("id")))
}

// apiRevokeRole takes a role away.
func (s *Service) apiRevokeRole(w http.ResponseWriter, r *http.Request) {
	c, tenant, err := s.inCompany(r)
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	replyRole(w, r, map[string]string{"state": "gone"}, s.access.keeper.Revoke(r.Context(), tenant, c.Account, c.Role, c.Reason))
}

// apiEmergency gives the caller an owner's role for a quarter of an hour. The
// reason is mandatory, people are told at once, and somebody else looks at it.
func (s *Service) apiEmergency(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	p, _ := authn.FromContext(r.Context())
	use, err := s.access.keeper.BreakGlass(r.Context(), p.Tenant, "owner", body.Reason)
	replyRole(w, r, map[string]any{"sequence": use.Sequence, "until": use.Until}, err)
}

// apiEmergencyReview closes an emergency in the caller's company with a
// verdict.
func (s *Service) apiEmergencyReview(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Verdict string `json:"verdict"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	sequence, _ := strconv.ParseInt(r.PathValue("sequence"), 10, 64) // 0 is none
	if !s.emergencyOf(r.Context(), sequence) {
		replyRole(w, r, nil, change.ErrUnknown)
		return
	}
	replyRole(w, r, map[string]string{"state": "reviewed"}, s.access.keeper.Review(r.Context(), sequence, body.Verdict))
}

// emergencyOf reports whether an emergency was in the caller's company.
func (s *Service) emergencyOf(ctx context.Context, sequence int64) bool {
	p, _ := authn.FromContext(ctx)
	for _, u := range s.access.keeper.Uses() {
		if u.Sequence == sequence {
			return u.Domain == p.Tenant
		}
	}
	return false
}

// replyRole answers about a change of roles. What the keeper refuses it has
// recorded.
func replyRole(w http.ResponseWriter, r *http.Request, v any, err error) {
	refusal := func(code guard.Code, public string) error {
		return &guard.Denial{Control: "authz.policy", Code: code, Public: public, Err: err}
	}
	switch {
	case errors.Is(err, change.ErrUnknown):
		err = refusal(guard.NotFound, "There is no such change.")
	case errors.Is(err, change.ErrConflict):
		err = refusal(guard.FailedPrecondition, "Nobody may have both of these roles.")
	case errors.Is(err, change.ErrApprover):
		err = refusal(guard.FailedPrecondition, "Somebody else has to do this.")
	case errors.Is(err, change.ErrInvalid):
		err = refusal(guard.InvalidArgument, "The change lacks what it must have, or is for yourself.")
	}
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, v)
}
