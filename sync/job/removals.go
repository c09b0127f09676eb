package job

import (
	"context"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
)

// removals finds out, of everybody whose uploaded photo is not listed any more, whether
// it was removed: an entry, an address or a picture that is listed elsewhere was not. It
// returns how many people have the pictures of the plan, for the guard of shared ones.
func (j *Job) removals(ctx context.Context, p *prepared) (plan.Listed, error) {
	var missing []*plan.Work
	for _, w := range p.work {
		if j.Scope.Source == "" && w.MayBeRemoved() && !w.HasPhoto() && !w.Ambiguous && !w.Reserved {
			missing = append(missing, w)
		}
	}
	if err := j.readUnread(ctx, p.work, missing); err != nil {
		return nil, err
	}
	g := j.Policy.Guards
	counts := p.rules.NewListed(p.work, missing, g != nil && g.MaxShared > 0)
	if len(counts) > 0 {
		if err := j.countListed(p, counts); err != nil {
			return nil, err
		}
	}
	for _, w := range missing {
		w.Removal = p.rules.RemovalOf(w, counts)
	}
	return counts, nil
}

// readUnread reads the photos of people who are not in Smartsheet, when initials may
// take the place of a photo in this run: one of theirs may be the same picture.
func (j *Job) readUnread(ctx context.Context, ws, missing []*plan.Work) error {
	due := false
	for _, w := range missing {
		due = due || j.Policy.RemovedAfter > 0 && w.Former.Missing+1 >= j.Policy.RemovedAfter
	}
	var unread []*plan.Work
	for _, w := range ws {
		if due && w.HasPhoto() && w.SHA256() == "" && w.Photo == nil && !w.Ambiguous {
			unread = append(unread, w)
		}
	}
	return j.readPhotos(ctx, unread)
}

// countListed counts everybody listed who has, or may have, a photo, with what this run
// or the last look knows of it. Those count too whom this run is not about.
func (j *Job) countListed(p *prepared, counts plan.Listed) error {
	byKey := make(map[string]*plan.Work, len(p.work))
	for _, w := range p.work {
		byKey[w.Key()] = w
	}
	return j.State.View(func(v *state.Snapshot) error {
		return everybody(p.people, v, func(person sources.Joined, row *state.Row) error {
			switch {
			case len(person.Own) == 0: // not listed
			case byKey[person.Own[0]] != nil:
				if w := byKey[person.Own[0]]; w.HasPhoto() || w.Listed() {
					p.rules.Count(counts, &person, w.SHA256())
				}
			case row == nil:
				p.rules.Count(counts, &person, "")
			case plan.NoteOf(row.Note) != outcome.NoPhoto:
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
