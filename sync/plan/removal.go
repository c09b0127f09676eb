package plan

import (
	"fmt"
	"path"
	"slices"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// Smartsheet has no call that removes a picture. Instead a placeholder can be uploaded, if
// the photo was missing in several complete runs in a row, and the user still shows the
// picture that we put there.

// Removal says whether a photo that we uploaded, and that is not listed any more, was
// removed: if it was, Kept and Stays are empty.
type Removal struct {
	Kept     string // where its entry or its address is listed: the picture is that person's concern now
	Stays    string // why nothing takes its place, though nobody is known to have the photo
	Lost     bool   // its source is not configured any more
	Nameless bool   // its entry or file is there, and names nobody
}

// MayBeRemoved reports whether we uploaded a photo to the last user. For such
// a person without a photo, Removal is needed before the plan can be built.
func (w *Work) MayBeRemoved() bool {
	f := w.Former
	return w.Row != nil && f != nil && (f.Intent != nil || f.Sent != nil && !f.Sent.Placeholder)
}

// HasPhoto reports whether a listed person has a photo, or may have one that was not
// read or is hidden. It asks what reading showed first, and then the listing.
func (w *Work) HasPhoto() bool {
	listed := Presence(&w.Joined)
	switch {
	case listed == sources.Absent:
		return false
	case w.Photo != nil:
		return w.Photo.SHA256 != "" || w.Photo.Err != nil
	}
	return w.Moved() || w.Row.SourceSHA256 != "" || listed == sources.Hidden
}

// removed decides about a person of whom no source has a photo.
func (r *Rules) removed(s Step) Step {
	w, after := s.Work, r.Policy.RemovedAfter
	switch {
	case !w.MayBeRemoved():
		s.Forget, s.WriteRow = w.Gone(), !w.Gone()
		return s.skip(outcome.NoPhoto)
	case r.Scope.Source != "" || w.Removal == nil: // such a run cannot know who is missing
		return s.skip(outcome.NoPhoto)
	case w.Photo != nil && Presence(&w.Joined) == sources.Present && !slices.Contains(r.Policy.Ignored, w.SHA256()):
		s.Why = "the photo was listed, and was gone when it was to be read; the next run tries again"
		return s.skip(outcome.NoPhoto)
	case w.Removal.Kept != "" && w.Gone():
		s.Why, s.Forget = w.Removal.Kept, true
		return s.skip(outcome.Unchanged) // there is nothing to say of this address
	case w.Removal.Kept != "":
		s.Why = w.Removal.Kept
		return s.skipFromNow(outcome.NoPhoto) // the picture is somebody else's concern now
	}
	s.Record = w.Former
	if w.Removal.Stays != "" {
		s.Why, s.NewlyMissing = w.Removal.Stays, w.Removal.Nameless && w.Row.SourceSHA256 != ""
		return s.skip(outcome.NoPhoto)
	}
	s.Missing = min(w.Former.Missing+1, max(after, 1))
	s.NewlyMissing = w.Row.SourceSHA256 != ""
	why := "no source has a photo any more"
	if s.Gone() {
		why = "in no source any more"
	}
	switch {
	case after == 0:
		s.Why = why + "; the picture in Smartsheet stays"
		return s.skipFromNow(outcome.NoPhoto)
	case s.Missing < after: // it is looked at in every run
		s.Why = fmt.Sprintf("%s, for %d of %d complete runs; then a placeholder replaces the picture in Smartsheet", why, s.Missing, after)
		return s.skip(outcome.NoPhoto)
	case r.refused(w.Former, "") && !r.Scope.RetryFailed:
		return s.skip(outcome.KnownBad)
	}
	return r.replace(s)
}

// replace decides whether a placeholder may take the place of the photo: the last user
// must still have one of the person's addresses and show our picture.
func (r *Rules) replace(s Step) Step {
	at := slices.IndexFunc(s.Work.Users, func(u User) bool { return u.ID == s.Work.LastUser() })
	if at < 0 {
		s.Why = r.formerUser(s.Work)
		return s.release(outcome.NotInSmartsheet)
	}
	found := &s.Work.Users[at]
	switch {
	case s.Record.Intent != nil && found.ImageID != sentOf(s.Record).ImageID:
		s.Why = "the photo was removed at its source; nobody confirmed that the picture in Smartsheet is ours, and it stays"
		return s.release(outcome.UserChanged)
	case !Ours(s.Record, *found):
		s.Why = "the photo was removed at its source; the picture in Smartsheet is not the one that we uploaded, and stays"
		return s.release(outcome.UserChanged)
	}
	s.To = found
	switch {
	case r.Policy.leavesOutUser(found.Email):
		return s.skip(outcome.Excluded)
	case !found.Active:
		return s.skip(outcome.InactiveUser) // it is looked up again: the user may come back
	}
	return s.upload(outcome.Placeholder)
}

// Listed counts the listed people with a photo by the traces by which we recognise our
// pictures: hashes, the source's own keys of entries, and addresses. It has only those that
// are asked for: of photos that may have been removed, and the hashes of uploads.
type Listed map[string]int

func keyOf(source, key string) string      { return "key of " + source + "\x00" + key }
func addressOf(email string) string        { return "address " + email }
func namelessOf(source, key string) string { return "nameless " + keyOf(source, key) }

// traces are what shows that the photo of w is still listed: the entry for which we
// uploaded it (without a key: its address), and the one that had it the last time; the
// user's address; the hashes of what the user may show of us; and the entry, the file or
// a folder above it among those that name nobody.
func (r *Rules) traces(w *Work) (entry []string, user string, hashes, nameless []string) {
	o := lastOrigin(w.Former)
	nameless = append(nameless, namelessOf(o.Source, o.Key), namelessOf(w.Row.Source, w.Row.Key))
	for name := w.Row.Ref; name != "." && name != "/"; name = path.Dir(name) {
		nameless = append(nameless, namelessOf(w.Row.Source, name))
	}
	entry = []string{keyOf(o.Source, o.Key), keyOf(w.Row.Source, w.Row.Key)}
	if o.Key == "" {
		entry[0] = addressOf(o.Email)
	}
	hashes = append(hashes, sentOf(w.Former).SourceSHA256)
	if w.Former.Intent != nil {
		hashes = append(hashes, w.Former.Intent.SourceSHA256)
	}
	if seen, ok := r.Seen[w.LastUser()]; ok {
		user = addressOf(seen.Email)
	}
	return entry, user, hashes, nameless
}

// NewListed asks for the traces of missing, and, if shared, for the hashes of ws.
func (r *Rules) NewListed(ws, missing []*Work, shared bool) Listed {
	l := Listed{}
	for _, w := range missing {
		entry, user, hashes, _ := r.traces(w)
		for _, t := range slices.Concat(entry, []string{user}, hashes) {
			l[t] = 0
		}
	}
	for _, w := range ws {
		if u, one := w.User(); shared && one && u.Active && w.SHA256() != "" {
			l[w.SHA256()] = 0
		}
	}
	return l
}

// Count counts a listed person with a photo of this hash; empty: it is not known.
func (r *Rules) Count(l Listed, p *sources.Joined, hash string) {
	seen := func(what string) {
		if n, asked := l[what]; asked && what != "" {
			l[what] = n + 1
		}
	}
	seen(hash)
	for _, addresses := range [...][]string{p.Own, p.Aliases} {
		for _, e := range addresses {
			seen(addressOf(e))
		}
	}
	for _, c := range p.Candidates {
		if c.Ref.Key != "" && c.HasPhoto != sources.Absent {
			seen(keyOf(r.Sources[c.Source].Name, c.Ref.Key))
		}
	}
}

// CountNameless counts what a source lists that names nobody, by key or name.
func (l Listed) CountNameless(source string, keys []string) {
	for _, key := range keys {
		l[namelessOf(source, key)]++
	}
}

// RemovalOf says whether the photo of w was removed. The first reason that keeps the
// picture counts.
func (r *Rules) RemovalOf(w *Work, listed Listed) *Removal {
	has := func(t string) bool { return t != "" && listed[t] > 0 }
	entry, user, hashes, nameless := r.traces(w)
	from, replaced := w.Row.Source, r.Policy.RemovedAfter > 0
	switch {
	case has(user):
		return &Removal{Kept: "the user has the address of somebody with a photo now"}
	case slices.ContainsFunc(entry, has):
		return &Removal{Kept: "its entry or its address is listed with a photo"}
	case slices.ContainsFunc(nameless, has):
		return &Removal{Stays: "its entry or file is still there, and names nobody; the picture in Smartsheet stays", Nameless: true}
	case replaced && from != "" && !slices.ContainsFunc(r.Sources, func(n sources.Named) bool { return n.Name == from }):
		return &Removal{Stays: fmt.Sprintf("source %q, which had the photo, is not configured any more; the picture in Smartsheet stays", from), Lost: true}
	case replaced && slices.ContainsFunc(hashes, has):
		return &Removal{Stays: "the same picture is listed for somebody else; it stays in Smartsheet"}
	}
	return &Removal{}
}

// Addresses are those by which the person's user is looked up first. For somebody who is
// not listed any more these are the key and the address for which the picture was sent.
func (w *Work) Addresses() []string {
	if !w.Gone() || w.Former == nil {
		return w.Own
	}
	sentFor := lastOrigin(w.Former).Email
	if sentFor == "" || sentFor == w.Key() {
		return w.Own
	}
	return []string{w.Key(), sentFor}
}

// lastOrigin is for whom the last picture was sent, or announced, to u.
func lastOrigin(u *state.User) state.Origin {
	if u.Intent != nil {
		return u.Intent.Origin
	}
	return sentOf(u).Origin
}
