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
		if s.To.Alternate {
			u, err := us.alternateAgain(ctx, s.To)
			if err != nil {
				return nil, err
			}
			found[i] = u
			continue
		}
		for _, u := range byEmail[s.To.Via] {
			if u.ID == s.To.ID {
				u.Via = s.To.Via
				found[i] = u
			}
		}
		// Another active user with the address, and it is a conflict or a new owner.
		if slices.ContainsFunc(byEmail[s.To.Via], func(u plan.User) bool { return u.ID != s.To.ID && u.Active }) {
			found[i] = plan.User{}
		}
	}
	return found, nil
}

// One looks at one user by its id; the zero User if there is none.
func (us *Users) One(ctx context.Context, id int64) (plan.User, error) {
	asked := time.Now()
	w, err := us.api.User(ctx, id)
	if smartsheet.NotFound(err) {
		return plan.User{}, nil
	}
	if err != nil {
		return plan.User{}, err
	}
	return user(w, asked)
}

// alternateAgain looks at a user that was found by an alternate address: it must still
// have it.
func (us *Users) alternateAgain(ctx context.Context, before *plan.User) (plan.User, error) {
	asked := time.Now()
	w, err := us.api.User(ctx, before.ID)
	if smartsheet.NotFound(err) {
		return plan.User{}, nil
	}
	if err != nil {
		return plan.User{}, err
	}
	u, err := user(w, asked)
	if err != nil || !slices.Contains(confirmed(w), before.Via) {
		return plan.User{}, err
	}
	u.Via, u.Alternate = before.Via, true
	return u, nil
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
