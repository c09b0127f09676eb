package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// stamp shows the next run whether anything changed at the sources: a digest, in hex, of the
// change marks of the candidates up to the winner. Empty: the next run has to read the photo.
func (r *Rules) stamp(j *sources.Joined, winner int) string {
	if b := r.appendListing(nil, j, winner); b != nil {
		return Sum(b)[:32]
	}
	return ""
}

// fingerprint is a digest of all that a decision depends on: what the stamp is made of, the
// addresses, and the policy. Zero: there is no stamp.
func (r *Rules) fingerprint(j *sources.Joined, winner int) state.Fingerprint {
	var room [512]byte // no allocation for nearly everybody
	b := r.appendListing(room[:0], j, winner)
	if b == nil {
		return state.Fingerprint{}
	}
	b = append(b, r.digest...)
	for _, addresses := range [...][]string{j.Own, j.Aliases} {
		b = binary.AppendUvarint(b, uint64(len(addresses)))
		for _, a := range addresses {
			b = appendText(b, a)
		}
	}
	sum := sha256.Sum256(b)
	return state.Fingerprint(sum[:])
}

// appendListing appends the listed candidates up to winner; nil: one has no change mark.
func (r *Rules) appendListing(b []byte, j *sources.Joined, winner int) []byte {
	b = binary.AppendUvarint(b, uint64(winner+1))
	for _, c := range j.Candidates[:winner+1] {
		if c.Stamp == "" && c.HasPhoto != sources.Absent {
			return nil
		}
		b = appendText(b, r.Sources[c.Source].Name)
		b = appendText(b, cmp.Or(c.Ref.Key, c.Ref.Name))
		b = append(appendText(b, c.Stamp), byte(c.HasPhoto))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// winnerOf is the index of the candidate that a row names, among those listed now.
func winnerOf(winner uint8, cs []sources.Candidate) int {
	return min(int(winner), len(cs)-1)
}

// notes are the reasons that a row can give why there is nothing to do. Each keeps its place: the
// row stores the index. Hidden is not written any more.
var notes = []outcome.Reason{
	outcome.Unchanged, outcome.NoPhoto, outcome.UserChanged, outcome.KnownBad, outcome.Hidden, outcome.Excluded,
}

// NoteOf is the reason that the note of a row stands for.
func NoteOf(note uint8) outcome.Reason {
	if int(note) >= len(notes) {
		return outcome.Unchanged
	}
	return notes[note]
}

// Unchanged reports whether there is nothing to do for a listed person, by the row alone.
func (r *Rules) Unchanged(j *sources.Joined, row *state.Row) bool {
	if r.Scope.Force || r.Scope.Checksum || !r.Scope.Everybody() || r.Policy.Existing == Enforce {
		return false // such a run looks at everybody it is about
	}
	return row.Fingerprint != state.Fingerprint{} && !j.Ambiguous && !j.Reserved && NoteOf(row.Note) != outcome.KnownBad &&
		row.Fingerprint == r.fingerprint(j, winnerOf(row.Winner, j.Candidates)) && !r.Policy.LeavesOut(j)
}

// NothingToDo reports whether there is nothing to do and nothing to record for a person whose
// users are known, and why. A photo that has to be read is something to do.
func (r *Rules) NothingToDo(w *Work) (outcome.Reason, bool) {
	if w.Row == nil || r.NeedsRead(w) {
		return "", false
	}
	if w.MayBeRemoved() && !w.HasPhoto() { // unless this was reported, the run has to look for the photo
		reported := r.Policy.RemovedAfter == 0 && NoteOf(w.Row.Note) == outcome.NoPhoto
		return outcome.NoPhoto, reported && w.Row.Fingerprint == r.fingerprint(&w.Joined, winnerOf(w.Row.Winner, w.Candidates))
	}
	s := r.decide(w)
	unchanged := s.done() != "" && s.Reason != outcome.KnownBad && !r.stopsEnforcing(&s) && !s.notArrived() && s.Record.Missing == 0
	return s.Reason, unchanged && r.row(&s, s.done()) == *w.Row
}

// done says why the next run has nothing to do for the person; empty: it looks again.
func (s *Step) done() outcome.Reason {
	if s.WriteRow && s.Outcome == outcome.Skipped {
		return s.Reason
	}
	return ""
}

// row returns the person's row as s leaves it; done is as of Step.done.
func (r *Rules) row(s *Step, done outcome.Reason) state.Person {
	c, at := s.Candidate(), s.winner()
	row := state.Person{
		Email: s.Key(), Source: r.Sources[c.Source].Name, Ref: c.Ref.Name, Key: c.Ref.Key,
		SourceSHA256: s.SHA256(), UserID: cmp.Or(s.To, &User{}).ID, Winner: uint8(at), Reported: s.reportDigest(),
	}
	if row.SourceSHA256 == "" && done != outcome.UserChanged {
		row.Winner, at = state.NoPhoto, len(s.Candidates)-1
	}
	row.Stamp = r.stamp(&s.Joined, at)
	if done != "" {
		row.Fingerprint = r.fingerprint(&s.Joined, at)
		row.Note = uint8(max(0, slices.Index(notes, done)))
	}
	if p := s.Photo; p != nil && (p.Moved || p.SHA256 == "" && (p.Err != nil || Presence(&s.Joined) == sources.Present)) {
		row.Stamp, row.Fingerprint = "", state.Fingerprint{} // the next run reads the photo
	}
	return row
}

// FirstRows returns what the state learns of steps before the first upload, however the run ends: the
// next run looks at everybody who is to get a picture, until they have it.
func (p *Plan) FirstRows(steps []*Step) (c state.Change) {
	for _, s := range steps {
		if !s.unreported() {
			p.addRow(&c, s)
		}
		if s.notArrived() {
			s.Current.Intent = nil // what the user sets later is not ours
			c.Users = append(c.Users, *s.Current)
		}
		u := s.Record
		if u == nothing {
			u = s.Former
		}
		listed := s.WriteRow || s.Outcome == outcome.Planned || s.HasPhoto()
		if u != nil && u.Missing > 0 && s.Missing == 0 && !s.Released && listed { // the count ends: a photo is listed again
			ended := *u
			ended.Missing = 0
			c.Users = append(c.Users, ended)
		}
	}
	return c
}

// addRow adds to c the person's row, if s changes it.
func (p *Plan) addRow(c *state.Change, s *Step) {
	var row state.Person
	switch digest := s.reportDigest(); {
	case s.Gone(), s.Missing > 0, s.Released:
		return // see FinalRows
	case s.WriteRow && (s.Outcome == outcome.Skipped || s.Outcome == outcome.Held):
		row = p.row(s, s.done())
	case s.Outcome == outcome.Planned && s.Row == nil: // or nobody would notice if the person left before the answer
		row = p.row(s, "")
		row.Stamp = ""
	case s.Row == nil && digest != "", s.Unsearched() && s.Reason == outcome.NotInSmartsheet && p.Policy.AlternateEmails:
		row = state.Person{Email: s.Key(), Winner: state.NoPhoto, Reported: digest}
	case s.Row != nil && (digest != "" || s.Row.Fingerprint != state.Fingerprint{}):
		row = *s.Row
		row.Fingerprint, row.Reported = state.Fingerprint{}, digest
	default:
		return
	}
	if s.Row == nil || row != *s.Row {
		c.People = append(c.People, row)
	}
}

// notArrived reports whether an announced picture did not arrive, by a later look-up, and is not sent now.
func (s *Step) notArrived() bool {
	u, r := s.User(), s.Current
	return u != nil && r != nil && r.Intent != nil && s.Outcome != outcome.Planned && u.Seen.Sub(r.Intent.At) > MaxAge &&
		(u.ImageID == "" || u.ImageID == r.Intent.Foreign || u.ImageID == sentOf(r).ImageID)
}

// Superseded is the address of somebody whose picture the upload replaces, so that their row no longer holds.
func (s *Step) Superseded() string {
	if s.Outcome != outcome.Planned || s.Current == nil || lastOrigin(s.Current).Email == s.Key() {
		return ""
	}
	return lastOrigin(s.Current).Email
}

// FinalRows returns what the state learns only when the run has come to its end: what was
// reported, who was missing for one run more, and whose rows are no longer needed.
func (p *Plan) FinalRows() (c state.Change) {
	c.ForgetPeople = p.Forget
	sentTo := map[int64]bool{} // users of uploads: their rows have the answers, and stay
	for _, s := range p.Planned() {
		sentTo[s.To.ID] = true
	}
	for _, s := range p.Steps {
		ended := s.Reason == outcome.NoPhoto && !s.WriteRow && s.Record.Missing > 0 // the count, though there is no photo
		switch {
		case s.unreported():
			p.addRow(&c, s)
		case s.Released && s.Gone():
			c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
		case s.Outcome == outcome.Skipped && (s.Released || s.Missing > 0 || s.NewlyMissing || ended):
			c.People = append(c.People, p.missingRow(s))
			if u := s.Former; u != nil && u.Missing != s.Missing && !sentTo[u.ID] {
				counted := *u
				counted.Missing = s.Missing
				c.Users = append(c.Users, counted)
			}
		}
	}
	return c
}

// missingRow returns the row of a person without a photo. It still names the file or DN that had one,
// and the key of the entry that lists the person now. The user's Origin has the key for which it was sent.
func (p *Plan) missingRow(s *Step) state.Person {
	row := *s.Row
	if s.Gone() { // the old stamp may come back with the photo
		row.SourceSHA256, row.Stamp, row.Winner, row.Fingerprint = "", "", state.NoPhoto, state.Fingerprint{}
	} else {
		row = p.row(s, s.done())
		row.UserID, row.Source, row.Ref, row.Key = s.Row.UserID, s.Row.Source, s.Row.Ref, s.Row.Key
		for _, c := range s.Candidates {
			if p.Sources[c.Source].Name == row.Source {
				row.Key = cmp.Or(c.Ref.Key, row.Key)
			}
		}
	}
	if s.Released {
		row.UserID = 0
	}
	return row
}

// ResultRow adds to c the person's row after the picture of s was to be sent. done says why the
// next run has nothing to do: Unchanged (the user has the picture), KnownBad (it would be refused
// again), or empty (the next run looks at the person). It is safe for concurrent use.
func (p *Plan) ResultRow(c *state.Change, s *Step, done outcome.Reason) {
	switch {
	case !s.Gone():
		if done == outcome.Unchanged && s.Reason == outcome.Placeholder {
			done = outcome.NoPhoto
		}
		c.People = append(c.People, p.row(s, done))
	case done == outcome.Unchanged && s.Row != nil: // a person who is no longer listed needs no row
		c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
	}
}
