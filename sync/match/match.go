// Package match finds out which Smartsheet user a person is now. Addresses pass from one user
// to another, and users change addresses, at any time. So only its id identifies a user, an
// address leads to a user only in the run that looked it up, and every user carries the time
// of its look-up.
//
//	ann@x   own address of user 101             → 101
//	bob@x   own address of 102 (not active),
//	        own address of 103                  → 103: an active user beats an inactive one
//	cyd@x   alias of the person, address of 104 → 104, unless an own address finds a user
//	dan@x   own addresses of 105 and of 106     → a conflict: only a human can tell
//
// The package decides nothing about pictures: the plan does. From one run to the next it
// remembers only alternate addresses, as each user's cost a call.
package match

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"photosync/sources"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// Smartsheet is what matching asks of Smartsheet.
type Smartsheet interface {
	// Users calls each for every user; UsersByEmail for the users with the given addresses,
	// and perhaps for others. all: these were all users.
	Users(ctx context.Context, each func(smartsheet.User) error) error
	UsersByEmail(ctx context.Context, emails []string, each func(smartsheet.User) error) (all bool, err error)
	User(ctx context.Context, id int64) (smartsheet.User, error)
}

// Users are the users that a run has seen.
type Users struct {
	// NotUnderstood are the entries of Smartsheet's lists that cannot be used, and why.
	NotUnderstood []string
	Seen          map[int64]plan.User // by id
	All           bool                // all users were listed

	api        Smartsheet
	byEmail    map[string][]int64
	unusable   map[string]string // why, by canonical address
	alternates *alternates       // nil: alternate addresses do not count
}

// New returns Users without any user yet.
func New(api Smartsheet) *Users {
	return &Users{api: api, Seen: map[int64]plan.User{}, byEmail: map[string][]int64{}, unusable: map[string]string{}}
}

// Free gives memory back. Afterwards only LookUpAgain and ByID may be called.
func (us *Users) Free() { us.Seen, us.byEmail, us.unusable = nil, nil, nil }

// Domains counts the users that were seen by the domain of their address.
func (us *Users) Domains() map[string]int {
	n := map[string]int{}
	for _, u := range us.Seen {
		n[plan.Domain(u.Email)]++
	}
	return n
}

// List asks for all users, once.
func (us *Users) List(ctx context.Context) error {
	if us.All {
		return nil
	}
	err := us.api.Users(ctx, us.see(time.Now()))
	us.All = err == nil
	return err
}

// lookUp asks for the users with the given addresses again, unless all users were listed.
func (us *Users) lookUp(ctx context.Context, emails []string) error {
	if len(emails) == 0 || us.All {
		return nil
	}
	for _, e := range emails { // another user may have the address now
		for _, id := range us.byEmail[e] {
			delete(us.Seen, id)
		}
		delete(us.byEmail, e)
	}
	all, err := us.api.UsersByEmail(ctx, sources.Spellings(emails), us.see(time.Now()))
	us.All = us.All || all && err == nil
	return err
}

// see returns a function that adds a user to Seen. asked is when Smartsheet was asked.
func (us *Users) see(asked time.Time) func(smartsheet.User) error {
	return func(w smartsheet.User) error {
		u, err := user(w, asked)
		if err != nil {
			why := fmt.Sprintf("user %d %q: %v", w.ID, w.Email, err)
			us.NotUnderstood = append(us.NotUnderstood, why)
			if e, err := sources.Email(w.Email); err == nil {
				us.unusable[e] = why
			}
			return nil
		}
		before := us.Seen[u.ID].Email
		us.byEmail[before] = slices.DeleteFunc(us.byEmail[before], func(id int64) bool { return id == u.ID })
		us.byEmail[u.Email] = append(us.byEmail[u.Email], u.ID)
		us.Seen[u.ID] = u
		return nil
	}
}

// user makes a user of the plan from w.
func user(w smartsheet.User, asked time.Time) (plan.User, error) {
	if w.Unusable != "" {
		return plan.User{}, errors.New(w.Unusable)
	}
	e, err := sources.Email(w.Email)
	if err != nil {
		return plan.User{}, err
	}
	return plan.User{
		ID: w.ID, Email: e, Name: w.Name, ImageID: w.ImageID, Active: w.Active(),
		External: w.External, Seen: asked, Alternates: confirmed(w),
	}, nil
}

// Resolve looks up the users of ws: by own addresses, the rest by aliases, and those still
// without a user by the users' alternate addresses, if these count.
func (us *Users) Resolve(ctx context.Context, ws []*plan.Work) error {
	open := slices.Clone(ws)
	aliases := func(w *plan.Work) []string { return w.Aliases }
	for _, addresses := range []func(*plan.Work) []string{(*plan.Work).Addresses, aliases} {
		var emails []string
		for _, w := range open {
			emails = append(emails, addresses(w)...)
		}
		if err := us.lookUp(ctx, emails); err != nil {
			return err
		}
		open = slices.DeleteFunc(open, func(w *plan.Work) bool {
			us.Match(w)
			return len(w.Users) > 0
		})
	}
	if us.alternates == nil {
		return nil
	}
	return us.byAlternates(ctx, open)
}

// Match gives w the users among those seen that have one of its addresses.
func (us *Users) Match(w *plan.Work) {
	w.Unusable = ""
	choose(w, w.Addresses(), func(e string) (found []plan.User) {
		w.Unusable = cmp.Or(w.Unusable, us.unusable[e])
		for _, id := range us.byEmail[e] {
			found = append(found, us.Seen[id])
		}
		return found
	})
}

// choose gives w the users that find finds by the own addresses, or, if there are none, by the
// aliases of w: active users first. It sets Tied if two are equally good.
func choose(w *plan.Work, own []string, find func(email string) []plan.User) {
	w.Users = nil
	for _, addresses := range [...][]string{own, w.Aliases} {
		for _, e := range addresses {
			for _, u := range find(e) {
				u.Via = e
				w.Users = append(w.Users, u)
			}
		}
		if len(w.Users) > 0 {
			break
		}
	}
	slices.SortStableFunc(w.Users, func(a, b plan.User) int {
		switch {
		case a.Active == b.Active:
			return cmp.Compare(a.ID, b.ID)
		case a.Active:
			return -1
		}
		return 1
	})
	w.Users = slices.CompactFunc(w.Users, func(a, b plan.User) bool { return a.ID == b.ID })
	w.Tied = len(w.Users) > 1 && w.Users[0].Active == w.Users[1].Active
}

// LookUpAgain returns the users of steps as they are now; zero: the user lost the step's address.
// A user who cannot be looked up has NoAnswer alone.
func (us *Users) LookUpAgain(ctx context.Context, steps []*plan.Step) ([]plan.User, error) {
	var emails []string
	for _, s := range steps {
		if !s.To.Alternate {
			emails = append(emails, s.To.Via)
		}
	}
	now := New(us.api)
	if err := now.lookUp(ctx, emails); err != nil {
		return nil, err
	}
	found := make([]plan.User, len(steps))
	for i, s := range steps {
		to := s.To
		if to.Alternate {
			switch u, err := us.ByID(ctx, to.ID); {
			case err != nil && !oneUser(ctx, err):
				return nil, err
			case err != nil:
				found[i].NoAnswer = err.Error()
			case slices.Contains(u.Alternates, to.Via) && len(us.alternates.overlap(s.Work, append(u.Alternates, u.Email))) == 0:
				found[i], found[i].Via, found[i].Alternate = u, to.Via, true
			default:
				us.alternates.forget(to.ID)
			}
			continue
		}
		for _, id := range now.byEmail[to.Via] {
			if id == to.ID {
				found[i], found[i].Via = now.Seen[id], to.Via
			} else if now.Seen[id].Active { // another active user has the address
				found[i] = plan.User{}
				break
			}
		}
	}
	return found, nil
}

// ByID asks for one user by its id; the zero User if there is none.
func (us *Users) ByID(ctx context.Context, id int64) (plan.User, error) {
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

// oneUser reports whether the call about one user failed, and calls about others may go well.
func oneUser(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !smartsheet.Classify(err).EndsRun()
}

// confirmed returns the confirmed alternate addresses of w, canonical.
func confirmed(w smartsheet.User) (emails []string) {
	for _, a := range w.AlternateEmails {
		if e, err := sources.Email(a.Email); err == nil && a.Confirmed && !slices.Contains(emails, e) {
			emails = append(emails, e)
		}
	}
	return emails
}
