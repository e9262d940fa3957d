package review_test

import (
	"testing"

	"github.com/surety-go/surety/authz/authztest"
	"github.com/surety-go/surety/authz/review"
)

func TestMemoryConforms(t *testing.T) {
	authztest.RunReviews(t, func(*testing.T) review.Store { return &review.Memory{} })
}
