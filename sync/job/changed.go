package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// changes are what differs between the listing and the state. On most nights there is
// nothing to do for nearly everyone: such people are only counted.
type changes struct {
	work      []*plan.Work
	facts     *plan.Facts
	forget    []string     // addresses whose rows are no longer needed
	others    []*plan.Work // people whom the run is not about, with a photo of unknown hash; only with RemovedAfter
	refreshed bool         // everybody's user was looked up anew
}

// match compares the listing with the state, and looks up the users of the work. If it lists
// all users, it looks at everybody's user.
func (j *Job) match(ctx context.Context, p *prepared) (err error) {
	p.users = match.New(j.Smartsheet)
	if j.Policy.AlternateEmails {
		people := p.people // claimed needs them after p.people is cleared
		claimed := func(email string) bool {
			_, held := people.Holder(email)
			_, lost := slices.BinarySearchFunc(people.Lost, email, func(l sources.LostClaim, e string) int { return strings.Compare(l.Address, e) })
			return held || lost || people.Reserved[email]
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
	if j.Scope.Everybody() && (due || j.Policy.Existing == plan.Enforce) {
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
			if err := readCurrent(v, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// changed compares everybody listed with the state. Without users, people are work if their
// fingerprint is not the remembered one; with users, if there is anything to do for them.
func (j *Job) changed(p *prepared, users *match.Users) error {
	p.changes = changes{facts: plan.NewFacts(j.Sources, p.proofs), refreshed: users != nil && j.Scope.Everybody()}
	return j.State.View(func(v *state.Snapshot) error {
		return everybody(p.people, v, func(person sources.Joined, row *state.Row) error {
			switch {
			case len(person.Own) == 0:
				return j.addUnlisted(p, v, row)
			case j.Scope.IsAbout(person.Own, person.Aliases) && j.Scope.Shard.Has(person.Own[0]):
				return p.addListed(v, users, person, row)
			case j.Scope.IsAbout(person.Own, person.Aliases):
				p.facts.OtherShard(&person)
			}
			if j.Policy.RemovedAfter == 0 {
				return nil
			}
			w, err := newWork(v, p.rules, person, row)
			if err == nil && w.HasPhoto() && w.SHA256() == "" {
				p.others = append(p.others, w)
			}
			return err
		})
	})
}

// addListed adds a listed person to the work if there may be something to do.
func (p *prepared) addListed(v *state.Snapshot, users *match.Users, person sources.Joined, row *state.Row) error {
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
		if err := readCurrent(v, w); err != nil {
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

// addUnlisted adds a person who is no longer listed to the work if there may be something to do.
func (j *Job) addUnlisted(p *prepared, v *state.Snapshot, row *state.Row) error {
	if j.Scope.Source != "" || !j.Scope.Shard.Has(row.Email) || !j.Scope.IsAbout([]string{row.Email}) {
		return nil
	}
	w, err := newWork(v, p.rules, sources.Joined{Own: []string{row.Email}}, row)
	if err != nil {
		return err
	}
	_, listed := p.people.Holder(w.Own[0]) // somebody with another key may hold the address
	switch {
	case j.Policy.LeavesOut(&w.Joined): // the person is not counted, and the picture not replaced
	case listed || !w.MayBeRemoved():
		p.forget = append(p.forget, w.Own[0])
	case j.Policy.RemovedAfter == 0 && w.Row.Winner == state.NoPhoto: // a report has named the person
	default:
		p.work = append(p.work, w)
	}
	return nil
}

// newWork returns the work for a copy of p, with what we put on the person's last user.
func newWork(v *state.Snapshot, rules *plan.Rules, p sources.Joined, row *state.Row) (*plan.Work, error) {
	if row == nil {
		return rules.Work(p.Clone(), nil), nil
	}
	known, err := row.Person()
	if err != nil {
		return nil, err
	}
	w := rules.Work(p.Clone(), &known)
	w.Former, err = readUser(v, w.LastUser())
	return w, err
}

// readCurrent reads what we put on the user that the person is now.
func readCurrent(v *state.Snapshot, w *plan.Work) (err error) {
	u, one := w.User()
	switch {
	case one && u.ID == w.LastUser():
		w.Current = w.Former
	case one:
		w.Current, err = readUser(v, u.ID)
	}
	return err
}

// readUser reads what we put on a user; nil: nothing.
func readUser(v *state.Snapshot, id int64) (*state.User, error) {
	if id == 0 {
		return nil, nil
	}
	u, found, err := v.User(id)
	if !found {
		return nil, err
	}
	return &u, err
}

// everybody calls each for every listed person and every row of the state, by address. p has no
// address if the person is not listed; row is nil if the person has none. The row, and the slices
// of p, are good until each returns.
func everybody(people *sources.People, v *state.Snapshot, each func(p sources.Joined, row *state.Row) error) error {
	next := people.Pull()
	p, more := next()
	var row state.Row
	var err error
	for row, err = range v.People() {
		for ; err == nil && more && p.Own[0] < row.Email; p, more = next() {
			err = each(p, nil)
		}
		switch {
		case err != nil:
		case more && p.Own[0] == row.Email:
			err = each(p, &row)
			p, more = next()
		default:
			err = each(sources.Joined{}, &row)
		}
		if err != nil {
			break
		}
	}
	for ; err == nil && more; p, more = next() {
		err = each(p, nil)
	}
	if err != nil {
		return fmt.Errorf("compare with the state: %w", err)
	}
	return nil
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

// readFrom reads the photos of the round's candidates from one source. They come one at a
// time, and all processors hash them.
func (j *Job) readFrom(ctx context.Context, src, round int, wanted []*plan.Work) error {
	if len(wanted) == 0 {
		return nil
	}
	ref := func(w *plan.Work) sources.Ref { return w.Candidates[round].Ref }
	slices.SortFunc(wanted, func(a, b *plan.Work) int { return ref(a).Compare(ref(b)) })
	refs := make([]sources.Ref, len(wanted))
	for i, w := range wanted {
		refs[i] = ref(w)
	}
	var hashing errgroup.Group
	hashing.SetLimit(runtime.GOMAXPROCS(0))
	err := j.Sources[src].Photos(ctx, refs, func(ph sources.Photo) error {
		hashing.Go(func() (err error) {
			defer outcome.Recover(&err)
			defer ph.Done()
			i, _ := slices.BinarySearchFunc(wanted, ph.Ref, func(w *plan.Work, r sources.Ref) int { return ref(w).Compare(r) })
			for ; i < len(wanted) && ref(wanted[i]) == ph.Ref; i++ {
				wanted[i].Photo = photoFacts(ph, round, wanted[i], j.Policy.Ignored)
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
	last, listed := w.Candidate()
	switch {
	case errors.Is(ph.Err, sources.ErrNoPhoto) && listed && last.Ref == ph.Ref && w.SHA256() != "" && !ph.Moved:
		// The entry still has the change mark of the photo that was read last: its photo is hidden now.
		f.Err = fmt.Errorf("%w: its change mark has not moved", sources.ErrDenied)
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
	if u, one := w.User(); one && ph.Emails != nil {
		c := w.Candidates[round]
		listed := slices.Contains(c.Own, u.Via) || slices.Contains(c.Aliases, u.Via)
		f.Readdressed = listed && !slices.Contains(ph.Emails, u.Via)
	}
	return f
}

// removals finds out whose uploaded photo was removed: a photo is not removed if its entry, its
// address or the same picture is listed elsewhere. It returns how many people have each picture
// of the plan, for guard.max_shared.
func (j *Job) removals(ctx context.Context, p *prepared) (plan.Listed, error) {
	var missing []*plan.Work
	for _, w := range p.work {
		if j.Scope.Source == "" && w.MayBeRemoved() && !w.HasPhoto() && !w.Ambiguous && !w.Reserved {
			missing = append(missing, w)
		}
	}
	// While a photo is missing, one of somebody who is not in Smartsheet may be the same.
	people, compare := p.work, j.Policy.RemovedAfter > 0 && len(missing) > 0
	var candidates []*plan.Work // of ambiguous people: each may be the person
	if compare {
		people = slices.Concat(p.work, p.others)
		for _, w := range people {
			for i := range w.Candidates {
				if one := w.Joined; w.Ambiguous {
					one.Candidates, one.Ambiguous = w.Candidates[i:i+1], false
					candidates = append(candidates, p.rules.Work(one, nil))
				}
			}
		}
	}
	read := append(slices.Clip(people), candidates...)
	err := j.read(ctx, read, func(w *plan.Work) bool {
		return compare && w.HasPhoto() && w.SHA256() == "" && w.Photo == nil && !w.Ambiguous
	})
	if err != nil {
		return nil, err
	}
	g := j.Policy.Guards
	counts := p.rules.NewListed(p.work, missing, g != nil && g.MaxShared > 0)
	if len(counts) > 0 {
		err = j.countListed(p, people, counts)
	}
	for _, w := range candidates {
		p.rules.Count(counts, &w.Joined, w.SHA256())
	}
	unread := compare && slices.ContainsFunc(read, func(w *plan.Work) bool {
		return w.Photo != nil && w.Photo.SHA256 == "" && w.Photo.Err != nil && !errors.Is(w.Photo.Err, sources.ErrDenied)
	})
	for _, w := range missing {
		if w.Removal = p.rules.RemovalOf(w, counts); unread && *w.Removal == (plan.Removal{}) {
			w.Removal.Missing, w.Removal.Stays = w.Former.Missing, "somebody's photo could not be read in this run, and may be the same picture; the one in Smartsheet stays"
		}
	}
	return counts, err
}

// countListed counts everybody listed who has, or may have, a photo, with the hash that this
// run or an earlier one read. People whom this run is not about count, too.
func (j *Job) countListed(p *prepared, work []*plan.Work, counts plan.Listed) error {
	byKey := make(map[string]*plan.Work, len(work))
	for _, w := range work {
		byKey[w.Key()] = w
	}
	for i, l := range p.proofs {
		counts.CountNameless(j.Sources[i].Name, l.Nameless)
	}
	return j.State.View(func(v *state.Snapshot) error {
		return everybody(p.people, v, func(person sources.Joined, row *state.Row) error {
			switch {
			case len(person.Own) == 0: // not listed
			case byKey[person.Own[0]] != nil:
				if w := byKey[person.Own[0]]; w.HasPhoto() || plan.Presence(&person) == sources.Present {
					p.rules.Count(counts, &person, w.SHA256())
				}
			case row == nil:
				p.rules.Count(counts, &person, "")
			case plan.NoteOf(row.Note) != outcome.NoPhoto, plan.Presence(&person) == sources.Present: // listed since the last run
				known, err := row.Person()
				if err != nil {
					return err
				}
				p.rules.Count(counts, &person, known.SourceSHA256)
			}
			return nil
		})
	})
}
