package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// nothing is the record of a user on whom we put nothing.
var nothing = &state.User{}

// decide decides about a person. The first rule that applies counts.
func (r *Rules) decide(w *Work) Step {
	s := Step{Work: w, To: w.User(), Record: nothing}
	switch {
	case w.Gone():
		return r.removed(s)
	case w.Ambiguous:
		return s.ambiguous(r.entries(w))
	case w.Reserved, r.Policy.LeavesOut(&w.Joined), !slices.ContainsFunc(w.Candidates, r.inScope):
		return s.skip(outcome.Excluded)
	case !w.HasPhoto():
		return r.removed(s)
	case Presence(&w.Joined) == sources.Hidden:
		return s.skip(outcome.Hidden)
	case w.Tied:
		return s.ambiguous(userNames(w))
	case len(w.Users) > 0:
		return r.matched(s)
	case w.Unusable != "":
		s.Reason, s.Outcome, s.Why = outcome.New, outcome.Failed, "Smartsheet's entry for this address cannot be used: "+w.Unusable
		return s
	case r.Policy.Excludes(&w.Joined):
		return s.skip(outcome.Excluded)
	}
	return s.because(s.formerUser()).skip(outcome.NotInSmartsheet)
}

// inScope reports whether the run may use the photo of this candidate.
func (r *Rules) inScope(c sources.Candidate) bool {
	return r.Scope.Source == "" || r.Scope.Source == r.Sources[c.Source].Name
}

// matched decides about a person who is exactly one user and may have a photo.
func (r *Rules) matched(s Step) Step {
	w := s.Work
	switch {
	case r.Policy.leavesOutUser(s.To.Email):
		return s.skipFromNow(outcome.Excluded)
	case !s.To.Active:
		return s.skip(outcome.InactiveUser)
	}
	s.Record = cmp.Or(w.Current, nothing)
	if r.otherOwner(w) { // the same photo proves nothing: it may be a silhouette
		return s.because("if the user is this person, list the user's address as the person's own (email_attributes, match.domains), or let photosync state forget EMAIL, with that address, free the user").
			ambiguous(append(r.entries(w), userNames(w)[0]+", who has the picture of another entry, "+lastOrigin(s.Record).Email))
	}
	if p := w.Photo; p != nil {
		switch {
		case p.Readdressed:
			return s.postpone("the entry's address changed while this run was under way; the next run checks it")
		case errors.Is(p.Err, sources.ErrUnstable):
			return s.because(p.Err.Error()).skip(outcome.BeingWritten)
		case errors.Is(p.Err, sources.ErrDenied):
			return s.because(p.Err.Error()).skip(outcome.Hidden)
		case p.Err != nil && p.SHA256 == "":
			return s.upload(newOrChanged(s.Record)) // the upload reads it once more, and reports the error
		}
	}
	if !r.inScope(w.Candidate()) {
		return s.skip(outcome.Excluded)
	}
	if slices.Contains(r.Policy.Ignored, w.SHA256()) {
		return r.removed(s)
	}
	return r.existing(r.compare(s))
}

// otherOwner reports whether the user has our picture of another entry, and only an alias leads to the
// user, or an address that match.domains made: the other entry was listed with it as it is.
// An entry without a key, such as a file, is not another one because its name changed.
func (r *Rules) otherOwner(w *Work) bool {
	u, o := w.User(), lastOrigin(cmp.Or(w.Current, nothing))
	if u == nil || o.Source == "" {
		return false
	}
	ofSource := func(c sources.Candidate) bool { return r.Sources[c.Source].Name == o.Source }
	if slices.Contains(w.Own, o.Email) || !u.Alternate && slices.Contains(w.Own, u.Via) {
		at := slices.IndexFunc(w.Candidates, ofSource)
		if o.Rewritten || at < 0 || !slices.Contains(w.Candidates[at].Rewritten, o.Email) {
			return false
		}
	}
	return !slices.ContainsFunc(w.Candidates, func(c sources.Candidate) bool {
		return ofSource(c) && (o.Key == "" || c.Ref.Key == "" || c.Ref.Key == o.Key)
	})
}

// compare compares the photo with what we put on the user, under whatever address that was.
func (r *Rules) compare(s Step) Step {
	hash, sent := s.Work.SHA256(), sentOf(s.Record)
	s.WriteRow = true
	switch {
	case r.Scope.Force:
		return s.upload(outcome.Forced)
	case r.refused(s.Record, hash) && !r.Scope.RetryFailed:
		return s.skip(outcome.KnownBad)
	case r.unconfirmed(s.Record, hash):
		if r.repeats(&s) {
			s.Why = "the last upload of this picture was not a whole success, so it is sent again"
		}
		return s.upload(newOrChanged(s.Record))
	case sent.SourceSHA256 != hash, sent.Placeholder:
		return s.upload(outcome.Changed)
	case sent.Rendering != r.Policy.Rendering && Ours(s.Record, *s.To):
		return s.upload(outcome.RenderingChanged)
	case r.Policy.Existing == Enforce && sent.ImageID != "" && s.To.ImageID != sent.ImageID:
		if s.Record.Drifts >= maxDrifts {
			return s.because(fmt.Sprintf("after %d uploads of the same picture Smartsheet shows yet another image id; we stop enforcing for this user", s.Record.Drifts)).skip(outcome.UserChanged)
		}
		return s.upload(outcome.Drifted)
	case r.Policy.Existing == FillEmpty && sent.ImageID != "" && s.To.ImageID == "": // somebody removed our picture
		return s.upload(outcome.Drifted)
	}
	return s.skip(outcome.Unchanged)
}

// maxDrifts is how often in a row the policy enforce uploads the same bytes. If the image id
// still differs, image ids are not stable, or the user insists on another picture.
const maxDrifts = 2

// stopsEnforcing reports whether the picture of s drifted too often for another upload.
func (r *Rules) stopsEnforcing(s *Step) bool {
	return r.Policy.Existing == Enforce && s.Reason == outcome.UserChanged && s.Record.Drifts >= maxDrifts
}

// unconfirmed reports whether no answer says that the user has our picture: none ever did, an
// announced upload has no answer, or the last one of these bytes failed and may be sent again.
func (r *Rules) unconfirmed(record *state.User, hash string) bool {
	f := record.Failure
	return record.Sent == nil || record.Intent != nil || f != nil && f.Hash == hash && (!f.Final || r.Scope.RetryFailed)
}

// repeats reports whether the same picture was sent before without an answer, or with a partial
// success, or is forced while the user shows it: sending it again replaces nothing.
func (r *Rules) repeats(s *Step) bool {
	u, hash := s.Record, s.SHA256()
	sent := sentOf(u).SourceSHA256 == hash && sentOf(u).Rendering == r.Policy.Rendering
	switch {
	case s.Reason == outcome.Drifted:
		return false
	case s.Reason == outcome.Forced:
		return sent && u.Intent == nil && Ours(u, *s.To)
	case u.Intent != nil:
		return u.Intent.SourceSHA256 == hash && u.Intent.Rendering == r.Policy.Rendering
	}
	return sent && u.Failure != nil && u.Failure.Hash == hash
}

// refused reports whether the same bytes were refused for good before.
func (r *Rules) refused(record *state.User, hash string) bool {
	f := record.Failure
	return f != nil && f.Final && f.Hash == hash && f.Rendering == r.Policy.Rendering
}

// existing skips an upload that policy.existing forbids. Any photo may replace our placeholder.
func (r *Rules) existing(s Step) Step {
	if s.Outcome != outcome.Planned {
		return s
	}
	ours := Ours(s.Record, *s.To)
	theirs := s.To.ImageID != "" && !ours
	unanswered := s.Record.Intent != nil
	removed := s.To.ImageID == "" && sentOf(s.Record).ImageID != "" && !unanswered
	replaceable := ours && (unanswered || sentOf(s.Record).Placeholder)
	respected := r.Policy.Existing == RespectUser && (theirs || removed)
	filled := r.Policy.Existing == FillEmpty && s.To.ImageID != "" && !replaceable
	if respected || filled {
		return s.skipFromNow(outcome.UserChanged)
	}
	return s
}

// Ours reports whether the picture that u shows is ours, by the record of u. After an upload
// without an answer, every picture counts as ours except the one that was there before.
func Ours(record *state.User, u User) bool {
	switch {
	case u.ImageID == "":
		return false
	case record.Intent != nil:
		return u.ImageID != record.Intent.Foreign
	}
	return record.Sent != nil && !record.Sent.Adopted && record.Sent.ImageID == u.ImageID
}

// sentOf returns the upload that an answer confirmed, empty if there is none.
func sentOf(u *state.User) state.Sent {
	return *cmp.Or(u.Sent, &state.Sent{})
}

// Pictures returns the SHA-256 of our pictures that u may show, confirmed or announced; empty texts for none.
func Pictures(u *state.User) []string {
	u = cmp.Or(u, nothing)
	return slices.Compact([]string{sentOf(u).UploadSHA256, cmp.Or(u.Intent, &state.Intent{}).UploadSHA256})
}

func newOrChanged(record *state.User) outcome.Reason {
	if record.Sent == nil {
		return outcome.New
	}
	return outcome.Changed
}

// formerUser says which user the person was, and what address it has now.
func (w *Work) formerUser() string {
	switch {
	case w.LastUser() == 0:
		return ""
	case w.LastEmail == "":
		return fmt.Sprintf("last time this was user %d", w.LastUser())
	}
	return fmt.Sprintf("last time this was user %d, who is %s now", w.LastUser(), w.LastEmail)
}

// entries names the candidates of a person.
func (r *Rules) entries(w *Work) (names []string) {
	for _, c := range w.Candidates {
		names = append(names, entryName(r.Sources[c.Source].Name, c.Ref.Name))
	}
	return names
}

// userNames names the users that a person may be.
func userNames(w *Work) (names []string) {
	for _, u := range w.Users {
		name := fmt.Sprintf("smartsheet: user %d %s", u.ID, u.Email)
		if len(w.Overlap) > 0 {
			name += ", who is also " + strings.Join(w.Overlap, ", ") + ", somebody else in the sources"
		}
		names = append(names, name)
	}
	return names
}
