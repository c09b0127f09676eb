package match

import (
	"context"
	"slices"
	"time"

	"photosync/sources"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// Again looks the users of steps up once more and returns how each is now; the zero
// User for one who does not have the step's address any more.
func (us *Users) Again(ctx context.Context, steps []*plan.Step) ([]plan.User, error) {
	asked := time.Now()
	var emails []string
	for _, s := range steps {
		if !s.To.Alternate {
			emails = append(emails, s.To.Via)
		}
	}
	byEmail := map[string][]plan.User{}
	if len(emails) > 0 {
		_, err := us.api.UsersByEmail(ctx, sources.Spellings(emails), func(w smartsheet.User) error {
			if u, err := user(w, asked); err == nil {
				byEmail[u.Email] = append(byEmail[u.Email], u)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	found := make([]plan.User, len(steps))
	for i, s := range steps {
		to := s.To
		if to.Alternate {
			u, alternates, err := us.one(ctx, to.ID)
			if err != nil {
				return nil, err
			}
			if slices.Contains(alternates, to.Via) {
				found[i], found[i].Via, found[i].Alternate = u, to.Via, true
			}
			continue
		}
		for _, u := range byEmail[to.Via] {
			if u.ID == to.ID {
				found[i], found[i].Via = u, to.Via
			} else if u.Active { // a conflict, or a new owner
				found[i] = plan.User{}
				break
			}
		}
	}
	return found, nil
}

// One looks at one user by its id; the zero User if there is none.
func (us *Users) One(ctx context.Context, id int64) (plan.User, error) {
	u, _, err := us.one(ctx, id)
	return u, err
}

// one also returns the user's alternate addresses.
func (us *Users) one(ctx context.Context, id int64) (u plan.User, alternates []string, err error) {
	asked := time.Now()
	w, err := us.api.User(ctx, id)
	if smartsheet.NotFound(err) {
		return u, nil, nil
	}
	if err == nil {
		u, err = user(w, asked)
	}
	return u, confirmed(w), err
}

// confirmed are the canonical alternate addresses of w that were confirmed.
func confirmed(w smartsheet.User) (emails []string) {
	for _, a := range w.AlternateEmails {
		if e, err := sources.Email(a.Email); err == nil && a.Confirmed && !slices.Contains(emails, e) {
			emails = append(emails, e)
		}
	}
	return emails
}
