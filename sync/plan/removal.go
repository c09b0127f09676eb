package plan

import (
	"fmt"
	"slices"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// Smartsheet has no call that removes a picture. In the place of a photo that was
// removed at its source a placeholder can be uploaded: only where the user still shows
// the picture that we put there, and only after the photo was missing in several
// complete runs in a row.

// Removal says of a photo that we uploaded, and that the listing does not show any
// more, whether it was removed.
type Removal struct {
	// Kept says why it is not taken for removed: the entry or the address is listed
	// elsewhere. Empty: it was removed.
	Kept string
	// Shown says that the same picture is listed for somebody else: nothing takes its
	// place as long as it is.
	Shown bool
}

// MayBeRemoved reports whether a person without a photo had one that we uploaded to
// the user of the last look: then Removal is needed before the plan can be built.
func (w *Work) MayBeRemoved() bool {
	f := w.Former
	return w.Row != nil && f != nil && (f.Intent != nil || f.Sent != nil && !f.Sent.Placeholder)
}

// HasPhoto reports whether a listed person has a photo, or may have one that was not
// read or is hidden. It asks what reading showed first, and then the listing.
func (w *Work) HasPhoto() bool {
	switch {
	case w.Gone(), w.HasNone():
		return false
	case w.Photo != nil:
		return w.Photo.SHA256 != "" || w.Photo.Err != nil
	}
	return w.Moved() || w.Row.SourceSHA256 != "" || w.allHidden()
}

// removed goes on for a person of whom no source has a photo.
func (r *Rules) removed(s Step) Step {
	w, after := s.Work, r.Policy.RemovedAfter
	switch {
	case !w.MayBeRemoved():
		s.Forget = w.Gone()
		return s.noPhoto(!w.Gone())
	case r.Scope.Source != "" || w.Removal == nil: // it says nothing about who is missing
		return s.noPhoto(false)
	case w.Photo != nil && w.Listed() && !slices.Contains(r.Policy.Ignored, w.SHA256()):
		s.Why = "the photo was listed, and was gone when it was to be read; the next run looks again"
		return s.noPhoto(false)
	case w.Removal.Kept != "" && w.Gone():
		s.Why, s.Forget = w.Removal.Kept, true
		return s.skip(outcome.Unchanged) // there is nothing to say of this address
	case w.Removal.Kept != "":
		s.Why = w.Removal.Kept
		return s.noPhoto(true) // the picture is somebody else's concern now
	}
	if s.Sent = w.Former; w.Removal.Shown && after > 0 {
		s.Why = "the same picture is listed for somebody else; it stays in Smartsheet"
		return s.noPhoto(false)
	}
	s.Missing = min(w.Former.Missing+1, max(after, 1))
	s.NewlyMissing = w.Row.SourceSHA256 != ""
	switch {
	case after == 0 || s.Missing < after: // until then it is looked at in every run
		s.Why = missingText(&s, after)
		return s.noPhoto(after == 0)
	case r.refused(w.Former, "") && !r.Scope.RetryFailed:
		return s.skip(outcome.KnownBad)
	}
	return r.replace(s)
}

func (s Step) noPhoto(settled bool) Step {
	s.Settle = settled
	return s.skip(outcome.NoPhoto)
}

// replace decides whether a placeholder may take the place of the photo: the user of
// the last look must still have one of the person's addresses and show our picture.
func (r *Rules) replace(s Step) Step {
	var found *User
	for i := range s.Work.Users {
		if s.Work.Users[i].ID == s.Work.LastUser() {
			found = &s.Work.Users[i]
		}
	}
	switch {
	case found == nil:
		s.Why = r.whereabouts(s.Work)
		return s.lose(outcome.NotInSmartsheet)
	case s.Sent.Intent != nil && found.ImageID != sentOf(s.Sent).ImageID:
		s.Why = "the photo was removed at its source; nobody confirmed that the picture in Smartsheet is ours, and it stays"
		return s.lose(outcome.UserChanged)
	case !Ours(s.Sent, *found):
		s.Why = "the photo was removed at its source; the picture in Smartsheet is not the one that we uploaded, and stays"
		return s.lose(outcome.UserChanged)
	}
	switch s.To = found; {
	case r.Policy.leavesOutUser(found.Email):
		return s.skip(outcome.Excluded)
	case !found.Active:
		return s.skip(outcome.InactiveUser) // it is looked up again: the user may come back
	}
	return s.upload(outcome.Placeholder)
}

// missingText says what becomes of a picture whose photo is missing.
func missingText(s *Step, removedAfter int) string {
	text := "no source has a photo any more"
	if s.Gone() {
		text = "in no source any more"
	}
	if removedAfter > 0 {
		return fmt.Sprintf("%s, for %d of %d complete runs; then a placeholder replaces the picture in Smartsheet", text, s.Missing, removedAfter)
	}
	return text + "; the picture in Smartsheet stays"
}

// Listed counts the listed people with a photo by what a picture of ours is recognised
// by: its hash, the source's own key of its entry, and addresses. It has only what is
// asked for: that of photos which may have been removed, and the hashes of uploads.
type Listed map[string]int

func keyOf(source, key string) string { return "key of " + source + "\x00" + key }
func addressOf(email string) string   { return "address " + email }

// NewListed asks for what decides about missing, and, with shared, for the hashes of
// what may be uploaded to the people in ws.
func (r *Rules) NewListed(ws, missing []*Work, shared bool) Listed {
	l := Listed{}
	for _, w := range missing {
		for _, k := range w.keys() {
			l[k] = 0
		}
		if o := origin(w.Former); o.Key == "" {
			l[addressOf(o.Email)] = 0
		}
		if u, ok := r.Seen[w.LastUser()]; ok {
			l[addressOf(u.Email)] = 0
		}
		for _, h := range hashes(w.Former) {
			l[h] = 0
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
		if n, asked := l[what]; asked {
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

// RemovalOf says whether the photo of w was removed.
func (r *Rules) RemovalOf(w *Work, listed Listed) *Removal {
	m := &Removal{}
	for _, h := range hashes(w.Former) {
		m.Shown = m.Shown || listed[h] > 0
	}
	switch o := origin(w.Former); {
	case slices.ContainsFunc(w.keys(), func(k string) bool { return listed[k] > 0 }):
		m.Kept = "its entry is listed with a photo, under another address"
	case o.Key == "" && listed[addressOf(o.Email)] > 0:
		m.Kept = "its address is listed with a photo"
	}
	if u, ok := r.Seen[w.LastUser()]; ok && listed[addressOf(u.Email)] > 0 {
		m.Kept = "the user has the address of somebody with a photo now"
	}
	return m
}

// keys are those of the entry whose photo we uploaded, and of the one that had it at the
// last look: it may have been created anew.
func (w *Work) keys() (ks []string) {
	o := origin(w.Former)
	for _, k := range [][2]string{{o.Source, o.Key}, {w.Row.Source, w.Row.Key}} {
		if k[1] != "" {
			ks = append(ks, keyOf(k[0], k[1]))
		}
	}
	return ks
}

// origin is for whom we put a picture on a user, the last one that was announced.
func origin(u *state.User) state.Origin {
	if u.Intent != nil {
		return u.Intent.Origin
	}
	return sentOf(u).Origin
}

// Addresses are those by which the person's user is looked up first. For somebody who is
// not listed any more these are the key and the address for which the picture was sent.
func (w *Work) Addresses() []string {
	if w.Gone() && w.Former != nil && (w.Former.Intent != nil || w.Former.Sent != nil) {
		if sentFor := origin(w.Former).Email; sentFor != w.Key() {
			return []string{w.Key(), sentFor}
		}
	}
	return w.Own
}

// hashes are those of the photos that the user may show of us.
func hashes(u *state.User) (hs []string) {
	if s := sentOf(u); s.SourceSHA256 != "" {
		hs = append(hs, s.SourceSHA256)
	}
	if u.Intent != nil && u.Intent.SourceSHA256 != "" {
		hs = append(hs, u.Intent.SourceSHA256)
	}
	return hs
}
