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
	work        []*plan.Work
	facts       *plan.Facts
	forget      []string // rows that are not needed any more
	otherShards int      // people of other shards
	whole       bool     // everybody's user was looked up anew
}

// match compares the listing with the state, and looks up the users of the work. If all
// users are listed on the way, or have to be, everybody is compared with them.
func (j *Job) match(ctx context.Context, p *prepared) (err error) {
	p.users = match.New(j.Smartsheet)
	if j.Policy.AlternateEmails {
		claimed := func(email string) bool {
			_, listed := p.people.Holder(email)
			return listed || p.people.Reserved(email)
		}
		if err := p.users.UseAlternates(j.State, p.startedAt, claimed, j.Events.Asked); err != nil {
			return err
		}
	}
	var last time.Time
	if _, err := j.State.Meta(state.RefreshedKey, &last); err != nil {
		return err
	}
	age := p.startedAt.Sub(last)
	due := age >= cmp.Or(j.Policy.Refresh, defaultRefresh) || age < 0
	if j.Scope.Everybody() && (due || j.Policy.NeedsAllUsers()) {
		err = p.users.List(ctx)
	} else if err = j.changed(p, nil); err == nil {
		err = p.users.Resolve(ctx, p.work)
	}
	if err == nil && p.users.All {
		if err = j.changed(p, p.users); err == nil {
			err = p.users.Resolve(ctx, p.work)
		}
	}
	if err != nil {
		return err
	}
	p.rules.Seen, p.facts.UserDomains = p.users.Seen, p.users.Domains()
	return j.State.View(func(v *state.Snapshot) error {
		for _, w := range p.work {
			if err := readSent(v, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// changed compares everybody listed with the state: without users, people are work if
// their fingerprint is not the remembered one; with users, if anything is to be done.
func (j *Job) changed(p *prepared, users *match.Users) error {
	p.changes = changes{facts: plan.NewFacts(j.Sources, p.proofs), whole: users != nil && j.Scope.Everybody()}
	return j.State.View(func(v *state.Snapshot) error {
		return everybody(p.people, v, func(person sources.Joined, row *state.Row) error {
			switch {
			case len(person.Own) == 0:
				return j.unlisted(p, v, row)
			case !j.Scope.IsAbout(person.Own, person.Aliases):
				return nil
			case !j.Scope.Shard.Has(person.Own[0]):
				p.otherShards++
				return nil
			}
			return p.listed(v, users, person, row)
		})
	})
}

// listed decides whether somebody listed is work.
func (p *prepared) listed(v *state.Snapshot, users *match.Users, person sources.Joined, row *state.Row) error {
	if users == nil && row != nil && p.rules.Unchanged(&person, row) {
		p.facts.Skip(&person, row.Winner, plan.NoteOf(row.Note))
		return nil
	}
	w, err := newWork(v, p.rules, person, row)
	if err != nil {
		return err
	}
	if users != nil {
		users.Match(w)
		if err := readSent(v, w); err != nil {
			return err
		}
		if reason, nothing := p.rules.NothingToDo(w); nothing {
			p.facts.Skip(&person, w.Row.Winner, reason)
			return nil
		}
	}
	p.work = append(p.work, w)
	return nil
}

// unlisted decides whether somebody who is not listed any more is work.
func (j *Job) unlisted(p *prepared, v *state.Snapshot, row *state.Row) error {
	if j.Scope.Source != "" || !j.Scope.Shard.Has(row.Email) || !j.Scope.IsAbout([]string{row.Email}) {
		return nil
	}
	w, err := newWork(v, p.rules, sources.Joined{Own: []string{row.Email}}, row)
	if err != nil {
		return err
	}
	w.Own[0] = w.Row.Email                 // which outlives the snapshot
	_, listed := p.people.Holder(w.Own[0]) // for somebody with another key
	switch {
	case j.Policy.LeavesOut(&w.Joined): // neither counted nor replaced
	case listed || !w.MayBeRemoved():
		p.forget = append(p.forget, w.Own[0])
	case j.Policy.RemovedAfter == 0 && w.Row.Winner == state.NoPhoto: // it was reported, and nothing is to be done
	default:
		p.work = append(p.work, w)
	}
	return nil
}

// newWork is the work for a person, with what we put on their last user.
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
	u, one := w.User()
	switch {
	case one && u.ID == w.LastUser():
		w.Current = w.Former
	case one:
		w.Current, err = sentTo(v, u.ID)
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
		rowsBefore(p.Own[0])
		if err != nil {
			break
		}
		if !more || row.Email != p.Own[0] {
			err = each(p, nil)
		} else if err = each(p, &row); err == nil {
			row, err, more = next()
		}
	}
	rowsBefore("")
	if err != nil {
		return fmt.Errorf("compare with the state: %w", err)
	}
	return nil
}
