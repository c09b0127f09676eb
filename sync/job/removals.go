package job

import (
	"context"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
)

// removals finds out, of everybody whose uploaded photo is not listed any more, whether
// it was removed: an entry, an address or a picture that is listed elsewhere was not.
func (j *Job) removals(ctx context.Context, people *sources.People, c *changes, seen map[int64]plan.User) error {
	if j.Scope.Source != "" {
		return nil
	}
	var missing []*plan.Work
	for _, w := range c.work {
		if w.MayBeRemoved() && !w.HasPhoto() && !w.Ambiguous && !w.Reserved {
			missing = append(missing, w)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := j.readUnread(ctx, c, missing); err != nil {
		return err
	}
	in := plan.InterestOf(missing, seen)
	listed := plan.InterestOf(nil, nil)
	err := j.eachListed(people, c.work, func(l listedPerson) error {
		if !l.hasPhoto {
			return nil
		}
		for _, addresses := range [...][]string{l.Own, l.Aliases} {
			for _, e := range addresses {
				if in.Addresses[e] {
					listed.Addresses[e] = true
				}
			}
		}
		for _, x := range l.Candidates {
			k := [2]string{j.Sources[x.Source].Name, x.Ref.Key}
			if in.Keys[k] && x.HasPhoto != sources.Absent {
				listed.Keys[k] = true
			}
		}
		if h, err := l.hash(); err != nil {
			return err
		} else if in.Hashes[h] {
			listed.Hashes[h] = true
		}
		return nil
	})
	for _, w := range missing {
		w.Removal = w.RemovalOf(listed, seen)
	}
	return err
}

// readUnread reads the photos of people who are not in Smartsheet, when initials may
// take the place of a photo in this run: one of theirs may be the same picture.
func (j *Job) readUnread(ctx context.Context, c *changes, missing []*plan.Work) error {
	due := false
	for _, w := range missing {
		due = due || j.Policy.RemovedAfter > 0 && w.Former.Missing+1 >= j.Policy.RemovedAfter
	}
	if !due {
		return nil
	}
	var unread []*plan.Work
	for _, w := range c.work {
		if w.HasPhoto() && w.SHA256() == "" && w.Photo == nil && !w.Ambiguous {
			unread = append(unread, w)
		}
	}
	return j.readPhotos(ctx, unread)
}

// listedPerson is somebody listed, with what is known of the photo.
type listedPerson struct {
	sources.Joined
	hasPhoto bool // or may have one
	hash     func() (string, error)
}

// eachListed calls each for everybody listed, with what this run or the last look knows
// of the photo.
func (j *Job) eachListed(people *sources.People, ws []*plan.Work, each func(listedPerson) error) error {
	byKey := make(map[string]*plan.Work, len(ws))
	for _, w := range ws {
		if !w.Gone() {
			byKey[w.Key()] = w
		}
	}
	return j.State.View(func(v *state.Snapshot) error {
		return everybody(people, v, func(p sources.Joined, row *state.Row) error {
			l := listedPerson{Joined: p, hasPhoto: true, hash: func() (string, error) { return "", nil }}
			if w := byKey[p.Own[0]]; w != nil {
				l.hasPhoto = w.HasPhoto()
				l.hash = func() (string, error) { return w.SHA256(), nil }
			} else if row != nil {
				l.hasPhoto = plan.ReasonOf(row.Note) != outcome.NoPhoto
				l.hash = func() (string, error) {
					r, err := row.Person()
					return r.SourceSHA256, err
				}
			}
			return each(l)
		}, func(*state.Row) error { return nil })
	})
}
