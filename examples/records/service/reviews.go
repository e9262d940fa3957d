package service

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authz/review"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/guard"
)

// openReviews prepares looking, every quarter, at who has which role.
func (s *Service) openReviews(ctx context.Context) error {
	var err error
	if s.reviews, err = review.New(s.access.db.Reviews(), s.keys.subkey("reviews"), s.access.engine, s.access.keeper, s.recorder, review.Options{}); err != nil {
		return err
	}
	all, err := tenants(ctx)
	for _, tenant := range all {
		s.mount(reviewsOf{s.reviews, tenant})
	}
	return err
}

// reviewsOf are one company's reviews, as the monitor probes them.
type reviewsOf struct {
	*review.Desk
	tenant string
}

// Controls describes the company's reviews.
func (r reviewsOf) Controls() []controls.Control { return r.Desk.Controls(r.tenant) }

// apiReview starts a review of all roles in the caller's company: the caller
// looks at them, and the second person at the caller's.
func (s *Service) apiReview(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name   string `json:"name"`
		Second string `json:"second"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	p, _ := authn.FromContext(r.Context())
	c, err := s.reviews.Start(r.Context(), p.Tenant, review.Plan{
		Name: body.Name, Domain: p.Tenant, Reviewers: map[string]string{"": p.ID}, Second: body.Second,
		Due: time.Now().AddDate(0, 0, 14), Revoke: true,
	})
	replyReview(w, r, c, err)
}

// apiVerdict enters the caller's verdict about one role.
func (s *Service) apiVerdict(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Verdict review.Verdict `json:"verdict"`
		Reason  string         `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		guard.Refuse(w, r, err)
		return
	}
	number, _ := strconv.Atoi(r.PathValue("number")) // 0 is no item
	p, _ := authn.FromContext(r.Context())
	c, err := s.reviews.Decide(r.Context(), p.Tenant, r.PathValue("id"), number, body.Verdict, body.Reason)
	replyReview(w, r, c, err)
}

func replyReview(w http.ResponseWriter, r *http.Request, c review.Campaign, err error) {
	switch {
	case errors.Is(err, review.ErrUnknown):
		err = &guard.Denial{Control: "authz.review", Code: guard.NotFound, Public: "There is no such review, or no such role in it.", Err: err}
	case errors.Is(err, review.ErrReviewer):
		err = &guard.Denial{Control: "authz.review", Code: guard.FailedPrecondition, Public: "This role is for somebody else to look at.", Err: err}
	case errors.Is(err, review.ErrPlan), errors.Is(err, review.ErrDecision):
		err = &guard.Denial{Control: "authz.review", Code: guard.InvalidArgument, Public: "The review does not take this.", Err: err}
	}
	if err != nil {
		guard.Refuse(w, r, err)
		return
	}
	reply(w, c)
}
