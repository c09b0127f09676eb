package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/plan"
)

// defaultRefresh is how often everybody's user is looked up anew.
const defaultRefresh = 7 * 24 * time.Hour

// changes are what differs between the listing and the state: on most nights hardly anything.
type changes struct {
	work   []*plan.Work
	facts  *plan.Facts
	forget []string     // addresses whose rows are no longer needed
	others []*plan.Work // people whom the run is not about, with a photo of unknown hash, or missing; only with RemovedAfter
}

// match compares the listing with the state, and finds out which users the people of the work are.
func (j *Job) match(ctx context.Context, rules *plan.Rules, l listing, now time.Time) (users *match.Users, c changes, err error) {
	users = match.New(j.Smartsheet)
	if j.Policy.AlternateEmails {
		if err := users.UseAlternates(j.State, now, claimed(l.people), j.Events.Asked); err != nil {
			return nil, c, err
		}
	}
	var last time.Time
	if _, err := j.State.Meta(state.RefreshedKey, &last); err != nil {
		return nil, c, err
	}
	age := now.Sub(last)
	due := age < 0 || age >= cmp.Or(j.Policy.Refresh, defaultRefresh)
	everybody := j.Scope.Everybody() && (due || j.Policy.Existing == plan.Enforce)
	if everybody {
		err = users.List(ctx)
	}
	if err == nil {
		c, err = j.changed(ctx, rules, l, users)
	}
	if err == nil && users.All && !everybody { // to list them was less work
		c, err = j.changed(ctx, rules, l, users)
	}
	if err != nil {
		return nil, c, err
	}
	c.facts.UserDomains, c.facts.AllUsers = users.Domains(), users.All
	return users, c, j.State.View(func(v *state.Snapshot) error {
		for _, w := range c.work {
			w.LastEmail = users.Seen[w.LastUser()].Email
			if err := readCurrent(v, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// claimed returns a function that reports whether an entry of the sources claims an address.
func claimed(people *sources.People) func(email string) bool {
	return func(email string) bool {
		_, held := people.Holder(email)
		_, lost := slices.BinarySearchFunc(people.Lost, email, func(l sources.LostClaim, e string) int { return strings.Compare(l.Address, e) })
		return held || lost || people.Reserved[email]
	}
}

// changed compares everybody listed with the state, and looks up the users of the work: of people
// with a new fingerprint, or, if all users are listed, of people for whom there is anything to do.
func (j *Job) changed(ctx context.Context, rules *plan.Rules, l listing, users *match.Users) (c changes, err error) {
	c.facts = plan.NewFacts(j.Sources, l.proofs)
	err = j.everybody(l.people, func(v *state.Snapshot, person sources.Joined, row *state.Row) error {
		listed, about, ours := len(person.Candidates) > 0, j.Scope.IsAbout(&person), j.Scope.Shard.Has(person.Own[0])
		switch {
		case about && ours && listed:
			return c.addListed(v, rules, users, person, row)
		case !listed && j.Scope.Source == "":
			return c.addUnlisted(v, rules, l.people, person, row, about && ours)
		case about && listed:
			c.facts.OtherShard(&person)
		}
		if j.Policy.RemovedAfter == 0 {
			return nil
		}
		w, err := newWork(v, rules, person, row)
		if err == nil && (w.Unread() || rules.NeedsRemoval(w)) {
			c.others = append(c.others, w)
		}
		return err
	})
	if err != nil {
		return c, err
	}
	wanted := slices.DeleteFunc(slices.Clone(c.work), func(w *plan.Work) bool { return !w.NeedsUser() })
	return c, users.Resolve(ctx, wanted)
}

// addListed adds a listed person to the work if there may be something to do.
func (c *changes) addListed(v *state.Snapshot, rules *plan.Rules, users *match.Users, person sources.Joined, row *state.Row) error {
	if !users.All && row != nil && rules.Unchanged(&person, row) {
		c.facts.Skip(&person, row.Winner, plan.NoteOf(row.Note))
		return nil
	}
	w, err := newWork(v, rules, person, row)
	if err != nil {
		return err
	}
	if users.All {
		users.Match(w)
		if err := readCurrent(v, w); err != nil {
			return err
		}
		if reason, nothing := rules.NothingToDo(w); nothing {
			c.facts.Image(rules, w)
			c.facts.Skip(&person, w.Row.Winner, reason)
			return nil
		}
	}
	c.work = append(c.work, w)
	return nil
}

// addUnlisted adds a person who is no longer listed to the work, if about, or to the others, if there may be something to do.
func (c *changes) addUnlisted(v *state.Snapshot, rules *plan.Rules, people *sources.People, person sources.Joined, row *state.Row, about bool) error {
	w, err := newWork(v, rules, person, row)
	if err != nil {
		return err
	}
	_, held := people.Holder(w.Key()) // by somebody with another key
	switch {
	case rules.Policy.LeavesOut(&w.Joined): // the person is not counted, and the picture not replaced
	case !about:
		if !held && rules.Policy.RemovedAfter > 0 && w.MayBeRemoved() {
			c.others = append(c.others, w)
		}
	case held || !w.MayBeRemoved():
		c.forget = append(c.forget, w.Key())
	case rules.Policy.RemovedAfter > 0 || w.Row.Winner != state.NoPhoto: // else a report has named the person
		c.work = append(c.work, w)
	}
	return nil
}

// newWork returns the work for a copy of p, with what we put on the person's last user.
func newWork(v *state.Snapshot, rules *plan.Rules, p sources.Joined, row *state.Row) (*plan.Work, error) {
	w := &plan.Work{Joined: p.Clone()}
	if row != nil {
		known, err := row.Person()
		if err != nil {
			return nil, err
		}
		w.Row = &known
		if w.Former, err = readUser(v.User, known.UserID); err != nil {
			return nil, err
		}
	}
	rules.SetStamp(w)
	return w, nil
}

// readCurrent reads what we put on the user that the person is now.
func readCurrent(v *state.Snapshot, w *plan.Work) (err error) {
	switch u := w.User(); {
	case u == nil:
	case u.ID == w.LastUser():
		w.Current = w.Former
	default:
		w.Current, err = readUser(v.User, u.ID)
	}
	return err
}

// readUser reads what we put on a user; nil: nothing.
func readUser(read func(id int64) (state.User, bool, error), id int64) (*state.User, error) {
	if id == 0 {
		return nil, nil
	}
	u, found, err := read(id)
	if !found {
		return nil, err
	}
	return &u, err
}

// everybody calls each for every listed person and every row of the state, by address. p has no
// candidates if the person is not listed; row is nil if the person has none. The row, and the slices
// of p, are good until each returns.
func (j *Job) everybody(people *sources.People, each func(v *state.Snapshot, p sources.Joined, row *state.Row) error) error {
	err := j.State.View(func(v *state.Snapshot) (err error) {
		next := people.Pull()
		p, more := next()
		var row state.Row
		for row, err = range v.People() {
			for ; err == nil && more && p.Own[0] < row.Email; p, more = next() {
				err = each(v, p, nil)
			}
			switch {
			case err != nil:
			case more && p.Own[0] == row.Email:
				err = each(v, p, &row)
				p, more = next()
			default:
				err = each(v, sources.Joined{Own: []string{row.Email}}, &row)
			}
			if err != nil {
				return err
			}
		}
		for ; err == nil && more; p, more = next() {
			err = each(v, p, nil)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("compare with the state: %w", err)
	}
	return err
}

// errHidden is the error of a photo that the source lists as Hidden.
var errHidden = fmt.Errorf("%w, or is of a kind that cannot be sent", sources.ErrDenied)

// read reads and hashes the photos of the work that needs it. It tries the candidates of a
// person one after the other: the first with a photo wins. The bytes are not kept.
func (j *Job) read(ctx context.Context, ws []*plan.Work, needed func(*plan.Work) bool) error {
	open := slices.DeleteFunc(slices.Clone(ws), func(w *plan.Work) bool { return !needed(w) })
	for round := 0; len(open) > 0; round++ {
		bySource := make([][]*plan.Work, len(j.Sources))
		for _, w := range open {
			switch c := w.Candidates[round]; c.HasPhoto {
			case sources.Absent:
			case sources.Hidden:
				w.Photo = &plan.Photo{Candidate: round, Err: errHidden}
			default:
				bySource[c.Source] = append(bySource[c.Source], w)
			}
		}
		for src, wanted := range bySource {
			if err := j.readFrom(ctx, src, round, wanted); err != nil {
				return err
			}
		}
		open = slices.DeleteFunc(open, func(w *plan.Work) bool {
			if w.Photo == nil && round+1 == len(w.Candidates) {
				w.Photo = &plan.Photo{Candidate: round} // none of them has a photo
			}
			return w.Photo != nil
		})
	}
	return nil
}

// readFrom reads the photos of the round's candidates from one source. All processors hash them.
func (j *Job) readFrom(ctx context.Context, src, round int, wanted []*plan.Work) error {
	if len(wanted) == 0 {
		return nil
	}
	byRef := map[sources.Ref][]*plan.Work{}
	for _, w := range wanted {
		ref := w.Candidates[round].Ref
		byRef[ref] = append(byRef[ref], w)
	}
	refs := slices.SortedFunc(maps.Keys(byRef), sources.Ref.Compare)
	var hashing errgroup.Group
	hashing.SetLimit(runtime.GOMAXPROCS(0))
	err := j.Sources[src].Photos(ctx, refs, func(ph sources.Photo) error {
		hashing.Go(func() (err error) {
			defer outcome.Recover(&err)
			defer ph.Done()
			for _, w := range byRef[ph.Ref] {
				w.Photo = photoFacts(ph, round, w, j.Policy.Ignored)
			}
			return nil
		})
		return nil
	})
	if err = cmp.Or(hashing.Wait(), err); err != nil {
		return fmt.Errorf("read photos from source %q: %w", j.Sources[src].Name, err)
	}
	return nil
}

// photoFacts returns what reading a candidate showed; nil: it has no photo, and the next one is tried.
func photoFacts(ph sources.Photo, round int, w *plan.Work, ignored []string) *plan.Photo {
	f := &plan.Photo{Candidate: round, Err: ph.Err, Moved: ph.Moved}
	switch {
	case errors.Is(ph.Err, sources.ErrNoPhoto) && w.Candidate().Ref == ph.Ref && w.SHA256() != "" && !ph.Moved:
		// The entry still has the change mark of the photo that was read last: its photo is hidden now.
		f.Err = fmt.Errorf("%w: its change mark has not changed", sources.ErrDenied)
	case errors.Is(ph.Err, sources.ErrNoPhoto):
		return nil
	case errors.Is(ph.Err, sources.ErrTooLarge):
		// The bytes are not read. A hash of the change mark replaces theirs, so that the photo is reported once.
		f.SHA256 = plan.Sum([]byte("too large\n" + ph.Ref.Name + "\n" + w.Candidates[round].Stamp))
	case ph.Err == nil:
		f.SHA256 = plan.Sum(ph.Data)
	}
	if slices.Contains(ignored, f.SHA256) && round+1 < len(w.Candidates) {
		return nil
	}
	if u := w.User(); u != nil {
		f.Readdressed = u.Readdressed(w.Candidates[round], ph)
	}
	return f
}

// removals finds out whose uploaded photo was removed, by the rules of plan.RemovalOf. It returns
// how many people have each picture of the plan, for guard.max_shared.
func (j *Job) removals(ctx context.Context, rules *plan.Rules, l listing, c changes) (plan.Listed, error) {
	// A missing photo may be listed for somebody who is not in Smartsheet, whose photo is not read otherwise.
	people, compare := c.work, j.Policy.RemovedAfter > 0 && slices.ContainsFunc(c.work, rules.NeedsRemoval)
	var candidates []*plan.Work // of ambiguous people: each may be the person
	if compare {
		people = slices.Concat(c.work, c.others)
		for _, w := range people {
			for i := range w.Candidates {
				if one := w.Joined; w.Ambiguous {
					one.Candidates, one.Ambiguous = w.Candidates[i:i+1], false
					candidates = append(candidates, &plan.Work{Joined: one})
				}
			}
		}
	}
	everyone := slices.Concat(people, candidates)
	err := j.read(ctx, everyone, func(w *plan.Work) bool { return compare && w.Unread() && !w.Ambiguous })
	if err != nil {
		return nil, err
	}
	listed := rules.NewListed(people, j.Policy.Guards != nil && j.Policy.Guards.MaxShared > 0)
	if len(listed) == 0 {
		return listed, nil
	}
	if err := j.countListed(rules, l, people, listed); err != nil {
		return nil, err
	}
	for _, w := range candidates {
		rules.Count(listed, &w.Joined, w.SHA256())
	}
	unread := compare && slices.ContainsFunc(everyone, func(w *plan.Work) bool {
		return w.Photo != nil && w.Photo.SHA256 == "" && w.Photo.Err != nil && !errors.Is(w.Photo.Err, sources.ErrDenied)
	})
	for _, w := range c.work {
		if rules.NeedsRemoval(w) {
			w.Removal = rules.RemovalOf(w, listed, unread)
		}
	}
	return listed, nil
}

// countListed counts everybody listed who may have a photo, whoever this run is about.
func (j *Job) countListed(rules *plan.Rules, l listing, work []*plan.Work, listed plan.Listed) error {
	byKey := make(map[string]*plan.Work, len(work))
	for _, w := range work {
		byKey[w.Key()] = w
	}
	for i, proof := range l.proofs {
		listed.CountNotRemoved(j.Sources[i].Name, proof.NotRemoved)
	}
	for _, lost := range l.people.Lost {
		switch lost.Why {
		case sources.WhyExcluded, sources.WhyBoth, sources.WhySpans, sources.WhyEarlier: // whoever has the address is listed, and nobody's candidate
			rules.Count(listed, &sources.Joined{Own: []string{lost.Address}}, "")
		}
	}
	return j.everybody(l.people, func(_ *state.Snapshot, person sources.Joined, row *state.Row) error {
		if len(person.Candidates) == 0 {
			return nil
		}
		has, hash := true, ""
		if w := byKey[person.Own[0]]; w != nil {
			has, hash = w.HasPhoto(), w.SHA256()
		} else if row != nil {
			known, err := row.Person()
			if err != nil {
				return err
			}
			has, hash = plan.NoteOf(row.Note) != outcome.NoPhoto, known.SourceSHA256
		}
		if has || plan.Presence(&person) == sources.Present { // it may be listed since the last run
			rules.Count(listed, &person, hash)
		}
		return nil
	})
}
