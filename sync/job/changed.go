package job

import (
	"context"
	"fmt"
	"iter"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/plan"
)

// defaultRefresh is how often everybody's user is looked up anew.
const defaultRefresh = 7 * 24 * time.Hour

// changes are what the comparison of the listing with the state comes to.
type changes struct {
	work      []*plan.Work
	quiet     quiet
	forget    []string // rows that are not needed any more
	elsewhere int      // people of other shards
	marker    *plan.Marker
	facts     []plan.SourceFacts // of the quiet people, by source
	whole     bool               // everybody's user was settled anew
}

// quiet counts the people for whom there is nothing to do. On most nights that is
// nearly everyone: they are dropped as soon as they are counted.
type quiet struct {
	people    int
	byReason  map[outcome.Reason]int
	withPhoto []int // by source
}

// matched compares the listing with the state, and looks up the users of the work. If
// all users are listed on the way, or have to be, everybody is compared with them:
// what changed in Smartsheet alone shows only then.
func (j *Job) matched(ctx context.Context, people *sources.People, now time.Time) (changes, *match.Users, error) {
	users := match.New(j.Smartsheet)
	if j.Policy.AlternateEmails {
		if err := users.UseAlternates(j.State, now, j.claimed(people), j.Events.Asked); err != nil {
			return changes{}, nil, err
		}
	}
	due, err := j.refreshDue(now)
	if err != nil {
		return changes{}, nil, err
	}
	var c changes
	if !due && !(j.Policy.SeesAll() && j.Scope.Everybody()) {
		if c, err = j.changed(people, nil); err == nil {
			err = users.Resolve(ctx, c.work)
		}
	} else {
		err = users.List(ctx)
	}
	if err == nil && users.All() {
		if c, err = j.changed(people, users); err == nil {
			err = users.Resolve(ctx, c.work)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return c, nil, err
	}
	return c, users, j.readSent(c.work)
}

// claimed reports whether an address belongs to somebody in the sources.
func (j *Job) claimed(people *sources.People) func(string) bool {
	return func(email string) bool {
		_, listed := people.Holder(email)
		return listed || people.Reserved(email)
	}
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
	refresh := j.Policy.Refresh
	if refresh == 0 {
		refresh = defaultRefresh
	}
	age := now.Sub(last)
	return age >= refresh || age < 0, nil
}

// changed compares everybody listed with the state, in one pass over both. Without
// users, people are work if their fingerprint is not the remembered one; with users,
// if anything is to be done or to be remembered.
func (j *Job) changed(people *sources.People, users *match.Users) (changes, error) {
	c := changes{
		marker: plan.NewMarker(j.Sources, &j.Policy), whole: users != nil && j.Scope.Everybody(),
		quiet: quiet{byReason: map[outcome.Reason]int{}, withPhoto: make([]int, len(j.Sources))},
		facts: make([]plan.SourceFacts, len(j.Sources)),
	}
	err := j.State.View(func(v *state.Snapshot) error {
		return everybody(people, v, func(p sources.Joined, row *state.Row) error {
			switch {
			case !j.Scope.Asks(p.Own, p.Aliases):
				return nil
			case !j.Scope.Shard.Has(p.Own[0]):
				c.elsewhere++
				return nil
			}
			return j.person(&c, v, users, p, row)
		}, func(row *state.Row) error {
			if j.Scope.Source != "" || !j.Scope.Shard.Has(row.Email) || !j.Scope.Asks([]string{row.Email}) {
				return nil
			}
			return j.unlisted(&c, v, people, row)
		})
	})
	return c, err
}

// person decides whether somebody listed is work.
func (j *Job) person(c *changes, v *state.Snapshot, users *match.Users, p sources.Joined, row *state.Row) error {
	if users == nil && row != nil && !j.Scope.LooksAtAll() && !j.Policy.SeesAll() && c.marker.Unchanged(&p, row) && !j.Policy.LeavesOut(&p) {
		c.count(&p, row.Winner, plan.ReasonOf(row.Note))
		return nil
	}
	var known *state.Person
	if row != nil {
		r, err := row.Person()
		if err != nil {
			return err
		}
		known = &r
	}
	w := c.marker.Work(p, known, &j.Scope)
	if err := readFormer(v, w); err != nil {
		return err
	}
	if users == nil {
		c.work = append(c.work, w)
		return nil
	}
	users.Match(w)
	if err := readSent(v, w); err != nil {
		return err
	}
	if reason, nothing := c.marker.Nothing(w, &j.Policy, &j.Scope); nothing {
		c.count(&p, w.Row.Winner, reason)
		return nil
	}
	c.work = append(c.work, w)
	return nil
}

// unlisted decides whether somebody is work who is not listed any more.
func (j *Job) unlisted(c *changes, v *state.Snapshot, people *sources.People, row *state.Row) error {
	known, err := row.Person()
	if err != nil {
		return err
	}
	w := c.marker.Work(sources.Joined{Own: []string{known.Email}}, &known, &j.Scope)
	if err := readFormer(v, w); err != nil {
		return err
	}
	_, listed := people.Holder(known.Email) // for somebody with another key
	switch {
	case j.Policy.LeavesOut(&w.Joined):
		return nil // neither counted nor replaced
	case listed || !w.MayBeRemoved():
		c.forget = append(c.forget, known.Email)
		return nil
	case j.Policy.RemovedAfter == 0 && known.Winner == state.NoPhoto:
		return nil // this was reported, and nothing is to be done
	}
	c.work = append(c.work, w)
	return nil
}

// count counts somebody of whom there is nothing to do.
func (c *changes) count(p *sources.Joined, winner uint8, reason outcome.Reason) {
	c.quiet.people++
	c.quiet.byReason[reason]++
	has := reason != outcome.NoPhoto
	at := min(int(winner), len(p.Candidates)-1)
	if has {
		c.quiet.withPhoto[p.Candidates[at].Source]++
	}
	for i, x := range p.Candidates {
		c.facts[x.Source].Add(x.HasPhoto, has && i == at, has && i > at)
	}
}

// readFormer reads what we put on the user of the last look.
func readFormer(v *state.Snapshot, w *plan.Work) error {
	if w.LastUser() == 0 {
		return nil
	}
	u, found, err := v.User(w.LastUser())
	if found {
		w.Former = &u
	}
	return err
}

// readSent reads what we put on the user that the person is now.
func readSent(v *state.Snapshot, w *plan.Work) error {
	u, one := w.User()
	switch {
	case !one:
		return nil
	case w.Former != nil && w.Former.ID == u.ID:
		w.Sent = w.Former
		return nil
	}
	row, found, err := v.User(u.ID)
	if found {
		w.Sent = &row
	}
	return err
}

func (j *Job) readSent(ws []*plan.Work) error {
	return j.State.View(func(v *state.Snapshot) error {
		for _, w := range ws {
			if err := readSent(v, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// everybody passes over the people listed and the rows of the state together, both by
// address. row is nil for somebody who is not remembered.
func everybody(people *sources.People, v *state.Snapshot, listed func(p sources.Joined, row *state.Row) error, unlisted func(row *state.Row) error) error {
	next, stop := iter.Pull2(v.People())
	defer stop()
	row, err, more := next()
	for p := range people.All() {
		for more && err == nil && row.Email < p.Own[0] {
			if err = unlisted(&row); err == nil {
				row, err, more = next()
			}
		}
		if err != nil {
			return err
		}
		if !more || row.Email != p.Own[0] {
			if err := listed(p, nil); err != nil {
				return err
			}
			continue
		}
		if err = listed(p, &row); err == nil {
			row, err, more = next()
		}
		if err != nil {
			return err
		}
	}
	for more && err == nil {
		if err = unlisted(&row); err == nil {
			row, err, more = next()
		}
	}
	if err != nil {
		return fmt.Errorf("compare with the state: %w", err)
	}
	return nil
}
