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

// notes are the reasons that a row can give why there is nothing to do. It stores the index,
// so each keeps its place. Hidden is not written any more.
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
	looksAtAll := r.Scope.Force || r.Scope.Checksum || !r.Scope.Everybody() || r.Policy.Existing == Enforce
	return row.Fingerprint != state.Fingerprint{} && !looksAtAll && !j.Ambiguous && !j.Reserved &&
		NoteOf(row.Note) != outcome.KnownBad && row.Fingerprint == r.fingerprint(j, winnerOf(row.Winner, j.Candidates)) && !r.Policy.LeavesOut(j)
}

// NothingToDo reports whether there is nothing to do and nothing to record for a person whose
// users are known, and why. A photo that has to be read is something to do.
func (r *Rules) NothingToDo(w *Work) (outcome.Reason, bool) {
	if w.Row == nil || r.NeedsRead(w) {
		return "", false
	}
	if w.MayBeRemoved() && !w.HasPhoto() { // unless this was reported, the run has to look for the photo
		reported := r.Policy.RemovedAfter == 0 && NoteOf(w.Row.Note) == outcome.NoPhoto && w.Row.Fingerprint == r.fingerprint(&w.Joined, winnerOf(w.Row.Winner, w.Candidates))
		return outcome.NoPhoto, reported
	}
	s := r.decide(w)
	nothing := s.Outcome == outcome.Skipped && s.WriteRow && s.Reason != outcome.KnownBad && !r.stopsEnforcing(&s) && !r.changesRow(&s) && !s.notArrived()
	return s.Reason, nothing
}

// changesRow reports whether s has something to write that is not in the state yet.
func (r *Rules) changesRow(s *Step) bool {
	return s.WriteRow && (s.Row == nil || r.row(s) != *s.Row) || s.Record != nil && s.Record.Missing > 0
}

// row returns the person's row as s leaves it. As long as it stays the same, there is nothing to do.
func (r *Rules) row(s *Step) state.Person {
	c, _ := s.Candidate()
	row := state.Person{
		Email: s.Key(), Source: r.Sources[c.Source].Name, Ref: c.Ref.Name, Key: c.Ref.Key,
		SourceSHA256: s.SHA256(), UserID: cmp.Or(s.To, &User{}).ID, Winner: uint8(s.winner()), Reported: s.reportDigest(),
	}
	at := s.winner()
	if row.SourceSHA256 == "" && !(s.WriteRow && s.Reason == outcome.UserChanged) {
		row.Winner, at = state.NoPhoto, len(s.Candidates)-1
	}
	row.Stamp = r.stamp(&s.Joined, at)
	if s.WriteRow && s.Outcome == outcome.Skipped {
		row.Fingerprint, row.Note = r.fingerprint(&s.Joined, at), uint8(max(0, slices.Index(notes, s.Reason)))
	}
	if s.Photo != nil && (s.Photo.Moved || s.Photo.SHA256 == "" && (s.Photo.Err != nil || Presence(&s.Joined) == sources.Present)) {
		row.Stamp, row.Fingerprint = "", state.Fingerprint{}
	}
	return row
}

// SkippedRows returns what the state learns from the listing, and from the steps before an
// upload: the next run looks at everybody who is to get a picture, until they have it. None
// of it depends on how the rest of the run ends.
func (p *Plan) SkippedRows() state.Change {
	c := p.rows
	for i := range p.Steps {
		s := &p.Steps[i]
		if !s.unreported() {
			p.addRow(&c, s)
		}
		s.endIntent(&c) // what Build found to be sent may be held, or left out by --limit
		s.endMissing(&c)
	}
	return c
}

// notArrived reports whether an announced picture did not arrive, by a later look-up, and is not sent now.
func (s *Step) notArrived() bool {
	u, one := s.User()
	r := s.Current
	return one && r != nil && r.Intent != nil && s.Outcome != outcome.Planned && u.Seen.Sub(r.Intent.At) > MaxAge &&
		(u.ImageID == "" || u.ImageID == r.Intent.Foreign || u.ImageID == sentOf(r).ImageID)
}

// endIntent ends the intent of a picture that did not arrive: what the user sets later is not ours.
func (s *Step) endIntent(c *state.Change) {
	if s.notArrived() {
		s.Current.Intent = nil
		c.Users = append(c.Users, *s.Current)
	}
}

// endMissing ends the count of runs without a photo if one is listed, even if it is not sent.
func (s *Step) endMissing(c *state.Change) {
	u := cmp.Or(s.Record, s.Former)
	if u != nil && u.Missing > 0 && s.Missing == 0 && !s.Released && (s.WriteRow || s.Outcome == outcome.Planned || s.HasPhoto()) {
		back := *u
		back.Missing = 0
		c.Users = append(c.Users, back)
	}
}

// Superseded returns the people whose picture was last sent to a user who gets somebody else's
// now, with the id of that user: what their rows remember no longer holds.
func (p *Plan) Superseded() map[string]int64 {
	people := map[string]int64{}
	for _, s := range p.Uploads() {
		if u := s.Current; u != nil && lastOrigin(u).Email != "" && lastOrigin(u).Email != s.Key() {
			people[lastOrigin(u).Email] = s.To.ID
		}
	}
	return people
}

// unreported reports whether the step says something that no earlier report said. It counts as
// reported once a run comes to its end: until then the exit code may be about something else.
func (s *Step) unreported() bool { return s.reportDigest() != "" && !s.Reported() }

func (p *Plan) addRow(c *state.Change, s *Step) {
	switch {
	case s.Gone(), s.Missing > 0, s.Released:
		return // see FinalRows
	case s.WriteRow && (s.Outcome == outcome.Skipped || s.Outcome == outcome.Held):
		c.People = append(c.People, p.rules.row(s))
	case s.reportDigest() != "" || s.Row != nil && s.Row.Fingerprint != (state.Fingerprint{}) ||
		s.Row == nil && s.Reason == outcome.NotInSmartsheet && p.rules.Policy.AlternateEmails: // no longer new to a search
		r := state.Person{Email: s.Key(), Winner: state.NoPhoto}
		if s.Row != nil {
			r = *s.Row
		}
		r.Fingerprint, r.Reported = state.Fingerprint{}, s.reportDigest()
		c.People = append(c.People, r)
	}
}

// FinalRows returns what the state learns only when the run has come to its end: what was
// reported, who was missing for one run more, and whose rows are no longer needed.
func (p *Plan) FinalRows() (c state.Change) {
	c.ForgetPeople = p.forget
	sentTo := map[int64]bool{} // users of uploads: their rows have the answers, and stay
	for _, s := range p.Uploads() {
		sentTo[s.To.ID] = true
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.unreported() {
			p.addRow(&c, s)
			continue
		}
		if s.Forget && s.Row != nil {
			c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
		}
		counted := s.Missing > 0 || s.NewlyMissing || s.Reason == outcome.NoPhoto && !s.WriteRow && s.Record != nil && s.Record.Missing > 0
		if s.Forget || s.Outcome != outcome.Skipped || !counted && !s.Released {
			continue
		}
		r := *s.Row
		if s.Gone() { // the old stamp may come back with the photo
			r.SourceSHA256, r.Stamp, r.Winner, r.Fingerprint = "", "", state.NoPhoto, state.Fingerprint{}
		} else {
			r = p.rules.row(s) // but the entry that had the photo is remembered
			r.UserID, r.Source, r.Ref, r.Key = s.Row.UserID, s.Row.Source, s.Row.Ref, s.Row.Key
		}
		if s.Released {
			r.UserID = 0
		}
		c.People = append(c.People, r)
		if u := s.Former; u != nil && u.Missing != s.Missing && !sentTo[u.ID] {
			n := *u
			n.Missing = s.Missing
			c.Users = append(c.Users, n)
		}
	}
	return c
}

// ResultRow adds to c the person's row after the picture of s was to be sent. nothing says
// why the next run has nothing to do: Unchanged (the user has the picture), KnownBad (it would
// be refused again), or empty (the next run looks at the person). It is safe for concurrent use.
func (p *Plan) ResultRow(c *state.Change, s *Step, nothing outcome.Reason) {
	if s.Gone() { // a person who is no longer listed needs no row
		if nothing == outcome.Unchanged && s.Row != nil {
			c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
		}
		return
	}
	t := *s
	if s.Reason == outcome.Placeholder { // the person has no photo, or one that is ignored
		w := *s.Work
		w.Photo, t.Work = &Photo{Candidate: s.winner()}, &w
	}
	t = t.skipFromNow(nothing)
	switch {
	case nothing == "":
		t.WriteRow = false
	case nothing == outcome.Unchanged && s.Reason == outcome.Placeholder:
		t.Reason = outcome.NoPhoto
	}
	c.People = append(c.People, p.rules.row(&t))
}
