package plan

import (
	"fmt"
	"path"
	"slices"
	"strconv"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// Smartsheet has no call that removes a picture. Instead a placeholder can be uploaded, if
// the photo was missing in several complete runs in a row, and the user still shows the
// picture that we put there.

// Removal says whether a photo that we uploaded, and that the person no longer has, was removed
// at its source: if it was, Listed and Stays are empty.
type Removal struct {
	Listed   string // who has its entry or its address now: rules for that person decide about the picture
	Stays    string // why the picture stays in Smartsheet, though nobody has the entry or the address
	Doubtful bool   // something may be wrong at the source: the guard max_removed counts the person
	Missing  int    // runs without the photo, if Stays does not end their count
}

// MayBeRemoved reports whether we uploaded a photo to the last user. For such
// a person without a photo, Removal is needed before the plan can be built.
func (w *Work) MayBeRemoved() bool {
	f := w.Former
	return w.Row != nil && f != nil && (f.Intent != nil || f.Sent != nil && !f.Sent.Placeholder)
}

// HasPhoto reports whether a listed person has a photo, or may have one that was not
// read or is hidden. What was read counts before what was listed.
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
	case w.Removal.Listed != "" && w.Gone():
		s.Why, s.Forget = w.Removal.Listed, true
		return s.skip(outcome.Unchanged) // the report has nothing to say about this address
	case w.Removal.Listed != "":
		s.Why = w.Removal.Listed
		return s.skipFromNow(outcome.NoPhoto)
	}
	s.Record = w.Former
	if w.Removal.Stays != "" {
		s.Why, s.Missing, s.NewlyMissing = w.Removal.Stays, w.Removal.Missing, w.Removal.Doubtful && w.Row.SourceSHA256 != ""
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
	case s.Missing < after: // every run looks at the person again
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
	if !Ours(s.Record, *found) || s.Record.Intent != nil && found.ImageID != sentOf(s.Record).ImageID {
		s.Why = "the photo was removed at its source; the picture in Smartsheet is not the one that we uploaded, or nobody confirmed that it is, and stays"
		return s.release(outcome.UserChanged)
	}
	s.To = found
	switch {
	case r.Policy.leavesOutUser(found.Email):
		return s.skip(outcome.Excluded)
	case !found.Active:
		return s.skip(outcome.InactiveUser) // every run looks again: the user may become active
	}
	return s.upload(outcome.Placeholder)
}

// Listed counts the listed people with a photo by the traces that identify our pictures:
// hashes, the sources' own keys of entries, and addresses. It holds only the traces of photos
// that may have been removed, and the hashes of uploads.
type Listed map[string]int

func keyOf(source, key string) string      { return "key of " + source + "\x00" + key }
func addressOf(email string) string        { return "address " + email }
func namelessOf(source, key string) string { return "nameless " + keyOf(source, key) }

// balancesOf names the counts of how many more photos a source, and each folder above ref, has than
// are newly missing there.
func balancesOf(source, ref string) []string {
	all := []string{"balance of " + source}
	for dir := path.Dir(ref); dir != "." && dir != "/"; dir = path.Dir(dir) {
		all = append(all, all[0]+"\x00"+dir)
	}
	return all
}

// traces returns what shows that the photo of w is still listed: the entry for which we
// uploaded it (its address, if it has no key), and the entry that had it the last time; the
// user's address; the hashes of our pictures that the user may show; and the entry, the file
// or a folder above it, should a source list it without a usable address.
func (r *Rules) traces(w *Work) (entry []string, user string, hashes, nameless []string) {
	o := lastOrigin(w.Former)
	nameless = append(nameless, namelessOf(o.Source, o.Key), namelessOf(w.Row.Source, w.Row.Key))
	name, err := strconv.Unquote(w.Row.Ref) // a source quotes names that are not printable
	if err != nil {
		name = w.Row.Ref
	}
	for ; name != "." && name != "/"; name = path.Dir(name) {
		nameless = append(nameless, namelessOf(w.Row.Source, name), namelessOf(w.Row.Source, strconv.Quote(name)))
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

// NewListed begins to count the traces of missing and, if shared, the hashes of ws.
func (r *Rules) NewListed(ws, missing []*Work, shared bool) Listed {
	l := Listed{}
	for _, w := range missing {
		entry, user, hashes, _ := r.traces(w)
		for _, t := range slices.Concat(entry, []string{user}, hashes) {
			l[t] = 0
		}
		for _, b := range balancesOf(w.Row.Source, w.Row.Ref) {
			l[b] -= map[bool]int{true: 1}[w.Former.Missing < r.Policy.RemovedAfter] // whoever is gone for longer stays gone
		}
	}
	for _, w := range ws {
		if u, one := w.User(); shared && one && u.Active && w.SHA256() != "" {
			l[w.SHA256()] = 0
		}
	}
	return l
}

// Count counts a listed person whose photo has this hash; empty: the hash is not known.
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
		if source := r.Sources[c.Source].Name; c.HasPhoto != sources.Absent {
			for _, b := range balancesOf(source, c.Ref.Name) {
				seen(b)
			}
			if c.Ref.Key != "" {
				seen(keyOf(source, c.Ref.Key))
			}
		}
	}
}

// CountNameless counts entries and files of a source without a usable address, by key or name.
func (l Listed) CountNameless(source string, keys []string) {
	for _, key := range keys {
		l[namelessOf(source, key)]++
	}
}

// RemovalOf says whether the photo of w was removed. The first reason against it counts.
func (r *Rules) RemovalOf(w *Work, listed Listed) *Removal {
	has := func(t string) bool { return t != "" && listed[t] > 0 }
	entry, user, hashes, nameless := r.traces(w)
	from, replaced := w.Row.Source, r.Policy.RemovedAfter > 0
	at := slices.IndexFunc(r.Sources, func(n sources.Named) bool { return n.Name == from })
	balances, lost := balancesOf(from, w.Row.Ref), func(b string) bool { return listed[b] < -1 } // one person's own folder may be gone
	switch {
	case has(user):
		return &Removal{Listed: "the user has the address of somebody with a photo now"}
	case slices.ContainsFunc(entry, has):
		return &Removal{Listed: "its entry or its address is listed with a photo"}
	case slices.ContainsFunc(nameless, has):
		return &Removal{Stays: "its entry or file is still there, and names nobody; the picture in Smartsheet stays", Doubtful: true}
	case replaced && from != "" && at < 0:
		return &Removal{Stays: fmt.Sprintf("source %q, which had the photo, is not configured any more; the picture in Smartsheet stays", from), Doubtful: true}
	case replaced && at >= 0 && !r.Sources[at].MayBeEmpty && (slices.ContainsFunc(balances, lost) || !r.Scope.Everybody() && listed[balances[0]] < 0):
		return &Removal{Stays: fmt.Sprintf("more photos went missing from source %q, or from the folder, than are left; the picture in Smartsheet stays", from), Doubtful: true, Missing: w.Former.Missing}
	case replaced && slices.ContainsFunc(hashes, has):
		return &Removal{Stays: "the same picture is listed for somebody else; it stays in Smartsheet"}
	}
	return &Removal{}
}

// Addresses returns the addresses by which the person's user is looked up first. For somebody
// who is no longer listed these are the key and the address for which the picture was sent.
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

// lastOrigin says for whom we last sent, or announced, a picture to u.
func lastOrigin(u *state.User) state.Origin {
	if u.Intent != nil {
		return u.Intent.Origin
	}
	return sentOf(u).Origin
}
