package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// Removal says what became of a photo that we uploaded, and that the person no longer has. The
// zero value: it was removed at its source. Smartsheet has no call that removes a picture: after
// several runs without the photo, a placeholder can replace the picture that we put there.
type Removal struct {
	Listed    string // who has its entry or its address now: rules for that person decide about the picture
	Stays     string // why the picture stays in Smartsheet, though nobody has the entry or the address
	Doubtful  bool   // with Stays: something may be wrong at the source; the guard max_removed counts the person
	Uncounted bool   // with Stays: this run does not count as one without the photo, and does not end the count
}

// MayBeRemoved reports whether we uploaded a photo to the last user.
func (w *Work) MayBeRemoved() bool {
	f := w.Former
	return w.Row != nil && f != nil && (f.Intent != nil || f.Sent != nil && !f.Sent.Placeholder)
}

// NeedsRemoval reports whether Removal must be known before anything is decided.
func (r *Rules) NeedsRemoval(w *Work) bool {
	return w.MayBeRemoved() && !w.HasPhoto() && !w.Ambiguous && !w.Reserved &&
		r.Scope.Source == "" // a run of one source cannot know who is missing
}

// HasPhoto reports whether a listed person has, or may have, a photo. Reading counts before listing.
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
		if r.otherOwner(w) { // or the picture would count as this person's from the next run on
			s.To = nil
		}
		return s.skipFromNow(outcome.NoPhoto)
	case w.Removal == nil:
		return s.skip(outcome.NoPhoto)
	case w.Photo != nil && Presence(&w.Joined) == sources.Present:
		return s.because("the photo was listed, and was gone when it was to be read; the next run tries again").skip(outcome.NoPhoto)
	case w.Removal.Listed != "" && w.Gone():
		return s.because(w.Removal.Listed).release(outcome.Unchanged) // the report has nothing to say about this address
	case w.Removal.Listed != "":
		return s.because(w.Removal.Listed).skipFromNow(outcome.NoPhoto)
	}
	s.Record = w.Former
	s.NewlyMissing = w.Row.SourceSHA256 != ""
	if w.Removal.Stays != "" {
		s.NewlyMissing = s.NewlyMissing && w.Removal.Doubtful
		if w.Removal.Uncounted {
			s.Missing = w.Former.Missing
		}
		return s.because(w.Removal.Stays).skip(outcome.NoPhoto)
	}
	s.Missing = min(w.Former.Missing+1, max(after, 1))
	why := "no source has a photo any more"
	if s.Gone() {
		why = "in no source any more"
	}
	switch {
	case after == 0:
		return s.because(why + "; the picture in Smartsheet stays").skipFromNow(outcome.NoPhoto)
	case s.Missing < after: // every run looks at the person again
		return s.because(fmt.Sprintf("%s, for %d of %d complete runs; then a placeholder replaces the picture in Smartsheet", why, s.Missing, after)).skip(outcome.NoPhoto)
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
		return s.because(s.formerUser()).release(outcome.NotInSmartsheet)
	}
	found := &s.Work.Users[at]
	if !Ours(s.Record, *found) || s.Record.Intent != nil && found.ImageID != sentOf(s.Record).ImageID {
		return s.because("the photo was removed at its source; the picture in Smartsheet is not the one that we uploaded, or nobody confirmed that it is, and stays").
			release(outcome.UserChanged)
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

// Listed counts the listed people with a photo by the traces of photos that may have been removed
// (hashes, the sources' own keys of entries, addresses), and by the hashes of uploads.
type Listed map[string]int

func keyOf(source, key string) string        { return "key of " + source + "\x00" + key }
func addressOf(email string) string          { return "address " + email }
func notRemovedOf(source, key string) string { return "not removed " + keyOf(source, key) }

// balancesOf names the balance of a source, and of each folder above ref: how many photos are listed
// there, less those that are newly missing.
func balancesOf(source, ref string) []string {
	all := []string{"balance of " + source}
	for dir := path.Dir(unquoted(ref)); dir != "." && dir != "/"; dir = path.Dir(dir) {
		all = append(all, all[0]+"\x00"+dir)
	}
	return all
}

// unquoted returns a name as it is: a source quotes names that are not printable.
func unquoted(ref string) string {
	if name, err := strconv.Unquote(ref); err == nil {
		return name
	}
	return ref
}

// traces are what shows that a photo is still listed.
type traces struct {
	entries    []string // for which we uploaded it (its address, if it has no key), and which had it the last time
	users      []string // the address that the user has now, and how each source would list it
	hashes     []string // of our pictures that the user may show
	notRemoved []string // the entries, the file and the folders above it, if they are listed without a usable address
}

func (r *Rules) tracesOf(w *Work) (t traces) {
	o, row := lastOrigin(w.Former), w.Row
	t.entries = []string{keyOf(o.Source, o.Key), keyOf(row.Source, row.Key)}
	if o.Key == "" {
		t.entries[0] = addressOf(o.Email)
	}
	if row.Key != "" { // the source may show no keys any more
		t.entries = append(t.entries, keyOf(row.Source, row.Ref))
	}
	t.notRemoved = append(t.notRemoved, notRemovedOf(o.Source, o.Key), notRemovedOf(row.Source, row.Key))
	for name := unquoted(row.Ref); name != "." && name != "/"; name = path.Dir(name) {
		t.notRemoved = append(t.notRemoved, notRemovedOf(row.Source, name), notRemovedOf(row.Source, strconv.Quote(name)))
	}
	t.hashes = []string{sentOf(w.Former).SourceSHA256, cmp.Or(w.Former.Intent, &state.Intent{}).SourceSHA256}
	t.users = []string{addressOf(w.LastEmail)}
	for _, src := range r.Sources {
		t.users = append(t.users, addressOf(src.Rewriter()([]string{w.LastEmail})[0]))
	}
	return t
}

// NewListed begins to count the traces of photos that may have been removed and, if shared, all hashes of ws.
func (r *Rules) NewListed(ws []*Work, shared bool) Listed {
	l := Listed{}
	for _, w := range ws {
		if r.NeedsRemoval(w) {
			t := r.tracesOf(w)
			for _, trace := range slices.Concat(t.entries, t.hashes, t.users) {
				l[trace] = 0
			}
			if w.Former.Missing < r.Policy.RemovedAfter { // whoever is gone for longer stays gone
				for _, b := range balancesOf(w.Row.Source, w.Row.Ref) {
					l[b]--
				}
			}
		} else if u := w.User(); shared && u != nil && u.Active && w.SHA256() != "" {
			l[w.SHA256()] = 0
		}
	}
	return l
}

// Count counts a listed person whose photo has this hash; empty: the hash is not known.
func (r *Rules) Count(l Listed, p *sources.Joined, hash string) {
	seen := func(trace string) {
		if n, wanted := l[trace]; wanted && trace != "" {
			l[trace] = n + 1
		}
	}
	seen(hash)
	for _, e := range slices.Concat(p.Own, p.Aliases) {
		seen(addressOf(e))
	}
	for _, c := range p.Candidates {
		if source := r.Sources[c.Source].Name; c.HasPhoto != sources.Absent {
			if r.Policy.RemovedAfter > 0 && r.Scope.Shard.Has(p.Own[0]) { // of the shard, as the missing are
				for _, b := range balancesOf(source, c.Ref.Name) {
					seen(b)
				}
			}
			seen(keyOf(source, cmp.Or(c.Ref.Key, c.Ref.Name)))
		}
	}
}

// CountNotRemoved counts entries and files of a source without a usable address, by key or name.
func (l Listed) CountNotRemoved(source string, keys []string) {
	for _, key := range keys {
		l[notRemovedOf(source, key)]++
	}
}

// RemovalOf says whether the photo of w was removed. unread: some photos could not be read in this run.
func (r *Rules) RemovalOf(w *Work, listed Listed, unread bool) *Removal {
	has := func(trace string) bool { return trace != "" && listed[trace] > 0 }
	t, from := r.tracesOf(w), w.Row.Source
	switch {
	case has(t.users[0]):
		return &Removal{Listed: "the user has the address of somebody with a photo now"}
	case slices.ContainsFunc(t.entries, has):
		return &Removal{Listed: "its entry or its address is listed with a photo"}
	case slices.ContainsFunc(t.users, has):
		return &Removal{Stays: "the user's address is listed, and match.domains rewrites it; the picture in Smartsheet stays", Doubtful: true}
	case slices.ContainsFunc(t.notRemoved, has):
		return &Removal{Stays: "its entry or file is still there, and names nobody, or its folder is there and has no photo; the picture in Smartsheet stays", Doubtful: true}
	case r.Policy.RemovedAfter == 0: // the picture stays in any case
		return &Removal{}
	}
	at := slices.IndexFunc(r.Sources, func(n sources.Named) bool { return n.Name == from })
	balances := balancesOf(from, w.Row.Ref)
	least := -1 // a folder of one person may go with the photo
	if r.Scope.Shard.Count > 1 || !r.Scope.Everybody() {
		least = 0 // it may have been a folder of others too, whom the run is not about
	}
	emptied := slices.ContainsFunc(balances, func(b string) bool { return listed[b] < least })
	switch {
	case from != "" && at < 0:
		return &Removal{Stays: fmt.Sprintf("source %q, which had the photo, is not configured any more; the picture in Smartsheet stays", from), Doubtful: true}
	case at >= 0 && !r.Sources[at].MayBeEmpty && emptied:
		return &Removal{Stays: fmt.Sprintf("more photos went missing from source %q, or from the folder, than are left; the picture in Smartsheet stays", from), Doubtful: true, Uncounted: true}
	case slices.ContainsFunc(t.hashes, has):
		return &Removal{Stays: "the same picture is listed for somebody else; it stays in Smartsheet"}
	case unread:
		return &Removal{Stays: "somebody's photo could not be read in this run, and may be the same picture; the one in Smartsheet stays", Uncounted: true}
	}
	return &Removal{}
}

// Addresses returns the addresses by which the person's user is looked up first. For somebody
// who is no longer listed these are the key and the address for which the picture was sent.
func (w *Work) Addresses() []string {
	if w.Gone() && w.Former != nil {
		if sentFor := lastOrigin(w.Former).Email; sentFor != "" && sentFor != w.Key() {
			return []string{w.Key(), sentFor}
		}
	}
	return w.Own
}

// lastOrigin says for whom we last sent, or announced, a picture to u.
func lastOrigin(u *state.User) state.Origin {
	if u.Intent != nil {
		return u.Intent.Origin
	}
	return sentOf(u).Origin
}
