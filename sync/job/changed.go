package job

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/plan"
)

// defaultRefresh is how often everybody's user is looked up anew.
const defaultRefresh = 7 * 24 * time.Hour

// changes are what the comparison of the listing with the state comes to. On most
// nights there is nothing to do for nearly everyone: they are only counted.
type changes struct {
	work      []*plan.Work
	facts     *plan.Facts
	forget    []string // rows that are not needed any more
	elsewhere int      // people of other shards
	whole     bool     // everybody's user was settled anew
}

// match compares the listing with the state, and looks up the users of the work. If
// all users are listed on the way, or have to be, everybody is compared with them:
// what changed in Smartsheet alone shows only then.
func (j *Job) match(ctx context.Context, l *listing, rules *plan.Rules, now time.Time) (c changes, users *match.Users, err error) {
	users = match.New(j.Smartsheet)
	if j.Policy.AlternateEmails {
		claimed := func(email string) bool {
			_, listed := l.people.Holder(email)
			return listed || l.people.Reserved(email)
		}
		if err := users.UseAlternates(j.State, now, claimed, j.Events.Asked); err != nil {
			return c, nil, err
		}
	}
	due, err := j.refreshDue(now)
	if err != nil {
		return c, nil, err
	}
	if due || j.Policy.SeesAll() && j.Scope.Everybody() {
		err = users.List(ctx)
	} else if c, err = j.changed(l, rules, nil); err == nil {
		err = users.Resolve(ctx, c.work)
	}
	if err == nil && users.All() {
		if c, err = j.changed(l, rules, users); err == nil {
			err = users.Resolve(ctx, c.work)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return c, nil, err
	}
	c.facts.UserDomains = users.Domains()
	return c, users, j.State.View(func(v *state.Snapshot) error {
		for _, w := range c.work {
			if err := readSent(v, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// refreshDue reports whether everybody's user is to be looked up anew.
func (j *Job) refreshDue(now time.Time) (bool, error) {
	if !j.Scope.Everybody() {
		return false, nil
	}
	var last time.Time
	if _, err := j.State.Meta(state.RefreshedKey, &last); err != nil {
		return false, err
	}
	age := now.Sub(last)
	return age >= cmp.Or(j.Policy.Refresh, defaultRefresh) || age < 0, nil
}

// changed compares everybody listed with the state, in one pass over both. Without
// users, people are work if their fingerprint is not the remembered one; with users,
// if anything is to be done or to be remembered.
func (j *Job) changed(l *listing, rules *plan.Rules, users *match.Users) (changes, error) {
	c := changes{facts: plan.NewFacts(j.Sources, l.proofs), whole: users != nil && j.Scope.Everybody()}
	err := j.State.View(func(v *state.Snapshot) error {
		return everybody(l.people, v, func(p sources.Joined, row *state.Row) error {
			switch {
			case len(p.Own) == 0:
				return j.unlisted(&c, v, rules, l.people, row)
			case !j.Scope.Asks(p.Own, p.Aliases):
				return nil
			case !j.Scope.Shard.Has(p.Own[0]):
				c.elsewhere++
				return nil
			}
			return person(&c, v, rules, users, p, row)
		})
	})
	return c, err
}

// person decides whether somebody listed is work.
func person(c *changes, v *state.Snapshot, rules *plan.Rules, users *match.Users, p sources.Joined, row *state.Row) error {
	if users == nil && row != nil && rules.Unchanged(&p, row) {
		c.facts.Skip(&p, row.Winner, plan.NoteOf(row.Note))
		return nil
	}
	w, err := newWork(v, rules, p, row)
	if err != nil {
		return err
	}
	if users != nil {
		users.Match(w)
		if err := readSent(v, w); err != nil {
			return err
		}
		if reason, nothing := rules.Nothing(w); nothing {
			c.facts.Skip(&p, w.Row.Winner, reason)
			return nil
		}
	}
	c.work = append(c.work, w)
	return nil
}

// unlisted decides whether somebody is work who is not listed any more.
func (j *Job) unlisted(c *changes, v *state.Snapshot, rules *plan.Rules, people *sources.People, row *state.Row) error {
	if j.Scope.Source != "" || !j.Scope.Shard.Has(row.Email) || !j.Scope.Asks([]string{row.Email}) {
		return nil
	}
	w, err := newWork(v, rules, sources.Joined{Own: []string{row.Email}}, row)
	if err != nil {
		return err
	}
	w.Own[0] = w.Row.Email               // the other one is memory of the snapshot
	_, listed := people.Holder(w.Own[0]) // for somebody with another key
	switch {
	case j.Policy.LeavesOut(&w.Joined): // neither counted nor replaced
	case listed || !w.MayBeRemoved():
		c.forget = append(c.forget, w.Own[0])
	case j.Policy.RemovedAfter == 0 && w.Row.Winner == state.NoPhoto: // it was reported, and nothing is to be done
	default:
		c.work = append(c.work, w)
	}
	return nil
}

// newWork is the work for a person, with what we put on the user of the last look.
func newWork(v *state.Snapshot, rules *plan.Rules, p sources.Joined, row *state.Row) (*plan.Work, error) {
	if row == nil {
		return rules.Work(p, nil), nil
	}
	known, err := row.Person()
	if err != nil {
		return nil, err
	}
	w := rules.Work(p, &known)
	w.Former, err = sentTo(v, w.LastUser())
	return w, err
}

// readSent reads what we put on the user that the person is now.
func readSent(v *state.Snapshot, w *plan.Work) (err error) {
	if u, one := w.User(); !one {
		return nil
	} else if w.Sent = w.Former; u.ID != w.LastUser() {
		w.Sent, err = sentTo(v, u.ID)
	}
	return err
}

// sentTo is what we put on a user; nil: nothing.
func sentTo(v *state.Snapshot, id int64) (*state.User, error) {
	if id == 0 {
		return nil, nil
	}
	u, found, err := v.User(id)
	if !found {
		return nil, err
	}
	return &u, err
}

// everybody passes over the people listed and the rows of the state together, both by
// address. p has no address if only the row is there, row is nil if only the person is.
func everybody(people *sources.People, v *state.Snapshot, each func(p sources.Joined, row *state.Row) error) error {
	next, stop := iter.Pull2(v.People())
	defer stop()
	row, err, more := next()
	rowsBefore := func(key string) { // empty: all that are left
		for more && err == nil && (key == "" || row.Email < key) {
			if err = each(sources.Joined{}, &row); err == nil {
				row, err, more = next()
			}
		}
	}
	for p := range people.All() {
		if rowsBefore(p.Own[0]); err != nil {
			break
		}
		if !more || row.Email != p.Own[0] {
			err = each(p, nil)
		} else if err = each(p, &row); err == nil {
			row, err, more = next()
		}
	}
	if rowsBefore(""); err != nil {
		return fmt.Errorf("compare with the state: %w", err)
	}
	return nil
}
