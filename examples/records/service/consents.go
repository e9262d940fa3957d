package service

import (
	"context"
	"database/sql"

	"github.com/surety-go/surety/privacy/privacysql"
)

func openConsents(ctx context.Context, db *sql.DB) (*privacysql.Consent, error) {
	if err := privacysql.Migrate(ctx, db); err != nil {
		return nil, err
	}
	return privacysql.NewConsent(ctx, db)
}
