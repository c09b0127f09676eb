package plan

import (
	"errors"
	"fmt"
	"strings"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// decide is the way from all that is known of a person to a step. The rules stand in
// the order in which they count.
func (b *builder) decide(w *Work) Step {
	s := Step{Work: w}
	if _, one := w.User(); one {
		s.To = &w.Users[0]
	}
	switch {
	case w.Gone():
		return b.removed(s)
	case w.Ambiguous:
		return s.ambiguous(b.entries(w))
	case w.Reserved, b.policy.excluded(w.Own...), b.policy.excluded(w.Aliases...), b.elsewhere(w):
		return s.skip(outcome.Excluded)
	case b.knownBad(w):
		s.To, s.Sent = lastUser(w.Former), w.Former
		return s.settle(noteKnownBad).skip(outcome.KnownBad)
	case !w.HasPhoto():
		return b.removed(s)
	case w.allHidden():
		return s.settle(noteHidden).skip(outcome.Hidden)
	}
	return b.matched(s)
}

// matched goes on for a person who may have a photo, with Smartsheet's side.
func (b *builder) matched(s Step) Step {
	w := s.Work
	switch {
	case w.Tied:
		return s.ambiguous(users(w))
	case len(w.Users) == 0 && w.Unusable != "":
		s.Reason, s.Outcome, s.Why = newOrChanged(nil), outcome.Failed, "Smartsheet's entry for this address cannot be used: "+w.Unusable
		return s
	case len(w.Users) == 0 && !b.policy.AlternateEmails && !b.policy.included(append(w.Own, w.Aliases...)...):
		return s.skip(outcome.Excluded) // whoever the user is, its address is one of these
	case len(w.Users) == 0:
		s.Why = b.whereabouts(w)
		return s.skip(outcome.NotInSmartsheet)
	case b.policy.leavesOut(w, *s.To):
		return s.settle(noteExcluded).skip(outcome.Excluded)
	case !s.To.Active:
		return s.skip(outcome.InactiveUser)
	}
	s.Sent = w.Sent
	if p := w.Photo; p != nil {
		switch {
		case p.Elsewhere:
			return s.postpone("the entry's address changed while this run was under way; the next run looks at it")
		case errors.Is(p.Err, sources.ErrUnstable):
			s.Why = p.Err.Error()
			return s.skip(outcome.BeingWritten)
		case errors.Is(p.Err, sources.ErrDenied):
			s.Why = p.Err.Error()
			return s.skip(outcome.Hidden)
		case p.Err != nil && p.SHA256 == "":
			return s.upload(newOrChanged(s.Sent)) // it is read once more; then it fails
		}
	}
	if b.scope.Source != "" && b.source(w) != b.scope.Source {
		return s.skip(outcome.Excluded)
	}
	if b.policy.ignores(w.SHA256()) {
		return b.removed(s)
	}
	return b.existing(b.compare(s))
}

// compare compares the photo with what we put on the user: whether there is anything
// to send is always a question about the user.
func (b *builder) compare(s Step) Step {
	hash, sent := s.Work.SHA256(), sentOf(s.Sent)
	s = s.settle(noteUnchanged)
	switch {
	case b.scope.Force:
		return s.upload(outcome.Forced)
	case b.refused(s.Sent, hash) && !b.scope.RetryFailed:
		return s.settle(noteKnownBad).skip(outcome.KnownBad)
	case b.unsettled(s.Sent, hash):
		return s.upload(newOrChanged(s.Sent))
	case sent.SourceSHA256 != hash, sent.Placeholder:
		return s.upload(outcome.Changed)
	case sent.Rendering != b.policy.Rendering:
		return s.upload(outcome.RenderingChanged)
	case b.policy.existing() == Enforce && sent.ImageID != "" && s.To.ImageID != sent.ImageID:
		if s.Sent.Drifts >= maxDrifts {
			s.Why = fmt.Sprintf("after %d uploads of the same picture Smartsheet shows yet another image id; we stop enforcing for this user", s.Sent.Drifts)
			return s.skip(outcome.UserChanged)
		}
		return s.upload(outcome.Drifted)
	case b.policy.existing() == FillEmpty && sent.ImageID != "" && s.To.ImageID == "": // taken away: it is empty again
		return s.upload(outcome.Drifted)
	}
	return s.skip(outcome.Unchanged)
}

// maxDrifts is how many uploads of identical bytes in a row enforce policy.existing.
// When Smartsheet shows another image id even then, ids are not stable, or somebody
// insists on another picture.
const maxDrifts = 2

// unsettled reports whether what the user shows of us is not known, or was not taken
// well: nothing of ours was ever confirmed, an upload was announced and not answered,
// or the last one of these bytes failed and may be sent again.
func (b *builder) unsettled(sent *state.User, hash string) bool {
	if sent == nil || sent.Sent == nil || sent.Intent != nil {
		return true
	}
	f := sent.Failure
	return f != nil && f.Hash == hash && (!f.Final || b.scope.RetryFailed)
}

// refused reports whether the same bytes were refused for good before.
func (b *builder) refused(sent *state.User, hash string) bool {
	if sent == nil || sent.Failure == nil {
		return false
	}
	f := sent.Failure
	return f.Final && f.Hash == hash && f.Rendering == b.policy.Rendering
}

// knownBad reports whether the photo is the one that was refused for good, and nothing
// moved since: then nobody has to be looked up. In a run that saw everybody, another
// user may have the address.
func (b *builder) knownBad(w *Work) bool {
	if len(w.Users) > 0 && w.Users[0].ID != w.LastUser() {
		return false
	}
	return !w.LookUp && !b.scope.RetryFailed && !b.scope.Force && !w.Moved() && w.Row.SourceSHA256 != "" && b.refused(w.Former, w.Row.SourceSHA256)
}

// existing takes an upload that policy.existing forbids out of the plan. A placeholder
// of ours is no picture of anybody's: the photo that returns replaces it under every
// policy.
func (b *builder) existing(s Step) Step {
	if s.Outcome != outcome.Planned {
		return s
	}
	ours := Ours(s.Sent, *s.To)
	theirs := s.To.ImageID != "" && !ours
	open := s.Sent != nil && s.Sent.Intent != nil
	removed := s.To.ImageID == "" && sentOf(s.Sent).ImageID != "" && !open
	replaceable := ours && (open || sentOf(s.Sent).Placeholder)
	switch b.policy.existing() {
	case RespectUser:
		if theirs || removed {
			return s.settle(noteUserChanged).skip(outcome.UserChanged)
		}
	case FillEmpty:
		if s.To.ImageID != "" && !replaceable {
			return s.settle(noteUserChanged).skip(outcome.UserChanged)
		}
	}
	return s
}

// Ours reports whether the picture that u shows is one that we put there. After an
// upload that was announced and not answered, everything counts as ours but the
// picture that was there before.
func Ours(sent *state.User, u User) bool {
	switch {
	case sent == nil || u.ImageID == "":
		return false
	case sent.Intent != nil:
		return u.ImageID != sent.Intent.Foreign
	}
	return sent.Sent != nil && !sent.Sent.Adopted && sent.Sent.ImageID == u.ImageID
}

// sentOf is what an answer confirmed, empty if nothing.
func sentOf(u *state.User) state.Sent {
	if u == nil || u.Sent == nil {
		return state.Sent{}
	}
	return *u.Sent
}

func newOrChanged(sent *state.User) outcome.Reason {
	if sent == nil || sent.Sent == nil {
		return outcome.New
	}
	return outcome.Changed
}

// elsewhere reports whether no candidate is of the source that the run is limited to.
func (b *builder) elsewhere(w *Work) bool {
	if b.scope.Source == "" {
		return false
	}
	for _, c := range w.Candidates {
		if b.sources[c.Source].Name == b.scope.Source {
			return false
		}
	}
	return true
}

// source is the name of the source whose photo counts.
func (b *builder) source(w *Work) string {
	c, ok := w.Candidate()
	if !ok {
		return w.Row.Source
	}
	return b.sources[c.Source].Name
}

// lastUser is a user as the state knows it, not seen in this run.
func lastUser(u *state.User) *User { return &User{ID: u.ID, Email: u.Email, Active: true} }

// whereabouts says whom the person's address belonged to, as far as that is known.
func (b *builder) whereabouts(w *Work) string {
	if w.LastUser() == 0 {
		return ""
	}
	text := fmt.Sprintf("at the last look this was user %d", w.LastUser())
	if now, ok := b.seen[w.LastUser()]; ok {
		return fmt.Sprintf("%s, who is %s now", text, now.Email)
	}
	return text
}

// entries names the candidates of a person, "source: path or DN".
func (b *builder) entries(w *Work) []string {
	var names []string
	for _, c := range w.Candidates {
		names = append(names, entryName(b.sources[c.Source].Name, c.Ref.Name))
	}
	return names
}

// users names the users that a person may be.
func users(w *Work) []string {
	var names []string
	for _, u := range w.Users {
		name := fmt.Sprintf("smartsheet: user %d %s", u.ID, u.Email)
		if len(w.Claims) > 0 {
			name += ", who is also " + strings.Join(w.Claims, ", ") + ", somebody else in the sources"
		}
		names = append(names, name)
	}
	return names
}
