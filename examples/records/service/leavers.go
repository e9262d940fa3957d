package service

import (
	"context"
	"errors"
	"time"

	"github.com/surety-go/surety/privacy/retention"
)

// leavers are the files of people who have left, as a target of retention.
type leavers struct {
	*people
	documents *documents
}

// Name is the target's name in reports.
func (leavers) Name() string { return "files of leavers" }

// Expired lists files whose people left before a moment and that still hold
// something.
func (l leavers) Expired(ctx context.Context, tenant string, before time.Time, after string, limit int) ([]retention.Item, error) {
	ids, err := l.query(ctx, `SELECT id FROM people WHERE tenant = ? AND id > ? AND erased = 0 AND departed <> '' AND departed < ?
		ORDER BY id LIMIT ?`, tenant, after, before.UTC().Format(time.DateOnly), limit)
	items := make([]retention.Item, len(ids))
	for i, id := range ids {
		items[i] = retention.Item{ID: id, Subject: id}
	}
	return items, err
}

// Dispose destroys the people's keys and empties their files. The purger holds
// the lock of legal holds, so that this is not left to the eraser, which takes
// it too.
func (l leavers) Dispose(ctx context.Context, tenant string, ids []string) error {
	for _, id := range ids {
		if err := l.keys.DestroySubject(ctx, tenant, id, "retention"); err != nil {
			return err
		}
		if err := errors.Join(l.documents.Erase(ctx, tenant, id), filePlace{l.people}.Erase(ctx, tenant, id)); err != nil {
			return err
		}
	}
	return nil
}

// ids lists the people of a tenant behind one of them.
func (p *people) ids(ctx context.Context, tenant, after string, limit int) ([]string, error) {
	return p.query(ctx, "SELECT id FROM people WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?", tenant, after, limit)
}

func (p *people) query(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := p.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
