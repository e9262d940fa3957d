package tour

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/surety-go/surety/authz/review"
)

// reviewed has each company's owner look at who has which role.
func reviewed(ctx context.Context, c *client) (string, error) {
	n := 0
	for _, tenant := range []string{"acme", "globex"} {
		m, err := c.review(ctx, tenant)
		if err != nil {
			return "", err
		}
		n += m
	}
	r, err := c.soon(ctx, "authz.review", passes)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d grants were vouched for by somebody else than who has them; an owner's verdict on the own role was refused; %s", n, r[0].Observed), nil
}

func (c *client) review(ctx context.Context, tenant string) (int, error) {
	owner, err := c.signedIn(ctx, tenant, "owner")
	if err != nil {
		return 0, err
	}
	auditor, err := c.signedIn(ctx, tenant, "auditor")
	if err != nil {
		return 0, err
	}
	begun, err := c.want(ctx, 200, "POST", "/api/reviews", owner.token, map[string]any{"name": "tour", "second": auditor.ID})
	if err != nil {
		return 0, err
	}
	var campaign review.Campaign
	if err := json.Unmarshal(begun.body, &campaign); err != nil || len(campaign.Items) < 3 {
		return 0, broken("a review of %d grants: %v", len(campaign.Items), err)
	}
	for _, i := range campaign.Items {
		path := fmt.Sprintf("/api/reviews/%s/items/%d", campaign.ID, i.Number)
		verdict := map[string]any{"verdict": review.Keep, "reason": "still in this position"}
		token := owner.token
		if i.Subject == owner.ID {
			if own, err := c.call(ctx, "POST", path, owner.token, verdict); err != nil || own.status == 200 {
				return 0, broken("an owner vouched for the own role: %d %v", own.status, err)
			}
			token = auditor.token
		}
		if _, err := c.want(ctx, 200, "POST", path, token, verdict); err != nil {
			return 0, err
		}
	}
	return len(campaign.Items), nil
}
