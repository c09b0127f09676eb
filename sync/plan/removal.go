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
func (b *builder) removed(s Step) Step {
	w := s.Work
	switch {
	case !w.MayBeRemoved():
		s.Forget = w.Gone()
		if !w.Gone() {
			s = s.settle(noteNoPhoto)
		}
		return s.skip(outcome.NoPhoto)
	case b.scope.Source != "" || w.Removal == nil: // it says nothing about who is missing
		return s.skip(outcome.NoPhoto)
	case w.Photo != nil && w.listed(sources.Present) && !b.policy.ignores(w.SHA256()):
		s.Why = "the photo was listed, and was gone when it was to be read; the next run looks again"
		return s.skip(outcome.NoPhoto)
	case w.Removal.Kept != "":
		if !w.Gone() { // the picture is somebody else's concern now
			s = s.settle(noteNoPhoto)
		}
		if s.Why = w.Removal.Kept; w.Gone() {
			s.Forget = true
			return s.skip(outcome.Unchanged) // there is nothing to say of this address
		}
		return s.skip(outcome.NoPhoto)
	}
	if s.Sent = w.Former; w.Removal.Shown && b.policy.RemovedAfter > 0 {
		s.Why = "the same picture is listed for somebody else; it stays in Smartsheet"
		return s.skip(outcome.NoPhoto)
	}
	s.Missing = min(w.Former.Missing+1, max(b.policy.RemovedAfter, 1))
	s.NewlyMissing = w.Row.SourceSHA256 != ""
	if b.policy.RemovedAfter == 0 { // else it is looked at in every run, until it is done
		s = s.settle(noteNoPhoto)
	}
	switch {
	case b.policy.RemovedAfter == 0 || s.Missing < b.policy.RemovedAfter:
		s.Why = b.missingText(s)
		return s.skip(outcome.NoPhoto)
	case b.refused(w.Former, "") && !b.scope.RetryFailed:
		return s.skip(outcome.KnownBad)
	}
	return b.replace(s)
}

// replace decides whether a placeholder may take the place of the photo: the user of
// the last look must still have one of the person's addresses and show our picture.
func (b *builder) replace(s Step) Step {
	var found *User
	for i := range s.Work.Users {
		if s.Work.Users[i].ID == s.Work.LastUser() {
			found = &s.Work.Users[i]
		}
	}
	switch {
	case found == nil:
		s.Why = b.whereabouts(s.Work)
		return s.lose(outcome.NotInSmartsheet)
	case s.Sent.Intent != nil && found.ImageID != sentOf(s.Sent).ImageID:
		s.Why = "the photo was removed at its source; nobody confirmed that the picture in Smartsheet is ours, and it stays"
		return s.lose(outcome.UserChanged)
	case !Ours(s.Sent, *found):
		s.Why = "the photo was removed at its source; the picture in Smartsheet is not the one that we uploaded, and stays"
		return s.lose(outcome.UserChanged)
	}
	s.To = found
	switch {
	case b.policy.excluded(found.Email), !b.policy.included(found.Email):
		return s.skip(outcome.Excluded)
	case !found.Active:
		return s.skip(outcome.InactiveUser) // it is looked up again: the user may come back
	}
	return s.upload(outcome.Placeholder)
}

// lose ends the care for a picture that is not ours any more.
func (s Step) lose(r outcome.Reason) Step {
	s.Lost, s.Missing, s.Forget = true, 0, s.Work.Gone()
	return s.skip(r)
}

// missingText says what becomes of a picture whose photo is missing.
func (b *builder) missingText(s Step) string {
	text := "no source has a photo any more"
	if s.Work.Gone() {
		text = "in no source any more"
	}
	if b.policy.RemovedAfter > 0 {
		return fmt.Sprintf("%s, for %d of %d complete runs; then a placeholder replaces the picture in Smartsheet", text, s.Missing, b.policy.RemovedAfter)
	}
	return text + "; the picture in Smartsheet stays"
}

// Interest is what has to be known of the listing before anything is taken for
// removed: entries, addresses and hashes of pictures that we uploaded.
type Interest struct {
	Keys      map[[2]string]bool // source and the source's own key
	Addresses map[string]bool
	Hashes    map[string]bool
}

// InterestOf collects what Kept asks about the people among ws whose photo may have
// been removed. seen are the users that this run saw.
func InterestOf(ws []*Work, seen map[int64]User) Interest {
	in := Interest{map[[2]string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, w := range ws {
		for _, k := range w.keys() {
			in.Keys[k] = true
		}
		if o := origin(w.Former); o.Key == "" {
			in.Addresses[o.Email] = true
		}
		if u, ok := seen[w.LastUser()]; ok {
			in.Addresses[u.Email] = true
		}
		for _, h := range hashes(w.Former) {
			in.Hashes[h] = true
		}
	}
	return in
}

// Empty reports whether nothing has to be known.
func (in Interest) Empty() bool { return len(in.Keys)+len(in.Addresses)+len(in.Hashes) == 0 }

// RemovalOf says whether the photo of w was removed. listed holds what of
// InterestOf(w) people with a photo have.
func (w *Work) RemovalOf(listed Interest, seen map[int64]User) *Removal {
	r := &Removal{}
	for _, h := range hashes(w.Former) {
		r.Shown = r.Shown || listed.Hashes[h]
	}
	switch o := origin(w.Former); {
	case slices.ContainsFunc(w.keys(), func(k [2]string) bool { return listed.Keys[k] }):
		r.Kept = "its entry is listed with a photo, under another address"
	case o.Key == "" && listed.Addresses[o.Email]:
		r.Kept = "its address is listed with a photo"
	}
	if u, ok := seen[w.LastUser()]; ok && listed.Addresses[u.Email] {
		r.Kept = "the user has the address of somebody with a photo now"
	}
	return r
}

// keys are the source and the source's own key of the entry whose photo we uploaded,
// and of the one that had it at the last look: it may have been created anew.
func (w *Work) keys() (ks [][2]string) {
	o := origin(w.Former)
	for _, k := range [][2]string{{o.Source, o.Key}, {w.Row.Source, w.Row.Key}} {
		if k[1] != "" {
			ks = append(ks, k)
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

// Origins are the addresses for which the user of the last look got a picture of ours.
func (w *Work) Origins() []string {
	if w.Former == nil || w.Former.Intent == nil && w.Former.Sent == nil {
		return nil
	}
	return []string{origin(w.Former).Email}
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
