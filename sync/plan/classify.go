package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// Rules are what every decision of a run rests on.
type Rules struct {
	Sources []sources.Named
	Policy  *Policy
	Scope   *Scope
	Seen    map[int64]User // users that this run saw, by id; may be nil
	digest  [sha256.Size]byte
}

// NewRules returns the rules for what the sources list.
func NewRules(srcs []sources.Named, p *Policy, s *Scope) *Rules {
	return &Rules{Sources: srcs, Policy: p, Scope: s, digest: p.digest()}
}

// mark is how the next run sees that nothing changed at the sources. Zero: it has to read the photo.
type mark struct {
	stamp       string            // of the candidates up to the one that counts: their change marks
	fingerprint state.Fingerprint // of all that a decision rests on: the stamp, the addresses, the policy
}

// mark returns the mark of a person whose candidate at index winner counts.
func (r *Rules) mark(j *sources.Joined, winner int) mark {
	var room [512]byte
	b := room[:0]
	for _, c := range j.Candidates[:winner+1] {
		if c.Stamp == "" && c.HasPhoto != sources.Absent {
			return mark{}
		}
		b = appendText(b, r.Sources[c.Source].Name)
		b = appendText(b, cmp.Or(c.Ref.Key, c.Ref.Name))
		b = append(appendText(b, c.Stamp), byte(c.HasPhoto))
	}
	stamp := sha256.Sum256(b)
	b = append(append(b[:0], stamp[:]...), r.digest[:]...)
	for _, addresses := range [...][]string{j.Own, j.Aliases} {
		b = binary.AppendUvarint(b, uint64(len(addresses)))
		for _, a := range addresses {
			b = appendText(b, a)
		}
	}
	all := sha256.Sum256(b)
	return mark{stamp: hex.EncodeToString(stamp[:16]), fingerprint: state.Fingerprint(all[:])}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// winnerOf is the index of the candidate that a row names, among those listed now.
func winnerOf(winner uint8, cs []sources.Candidate) int {
	return min(int(winner), len(cs)-1)
}

// notes are the reasons for which there may be nothing to do. A row keeps the index.
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
	return row.Fingerprint != state.Fingerprint{} && !r.Scope.LooksAtAll() && !r.Policy.NeedsAllUsers() && !j.Ambiguous && !j.Reserved &&
		NoteOf(row.Note) != outcome.KnownBad && row.Fingerprint == r.mark(j, winnerOf(row.Winner, j.Candidates)).fingerprint && !r.Policy.LeavesOut(j)
}

// Work returns the work for a listed person; row may be nil.
func (r *Rules) Work(j sources.Joined, row *state.Person) *Work {
	w := &Work{Joined: j, Row: row}
	at := len(j.Candidates) - 1
	if row != nil {
		at = winnerOf(row.Winner, j.Candidates)
	}
	w.mark = r.mark(&w.Joined, at)
	isNew := row == nil
	w.LookUp = !j.Ambiguous && !j.Reserved && !(isNew && Presence(&j) == sources.Absent)
	return w
}

// NothingToDo reports whether there is nothing to do and nothing to remember for a person
// whose users are known, and why. Photos that have to be read are something to do.
func (r *Rules) NothingToDo(w *Work) (outcome.Reason, bool) {
	if w.Row == nil || r.NeedsRead(w) {
		return "", false
	}
	if w.MayBeRemoved() && !w.HasPhoto() { // it was reported, or has to be looked at
		reported := r.Policy.RemovedAfter == 0 && NoteOf(w.Row.Note) == outcome.NoPhoto && w.Row.Fingerprint == w.mark.fingerprint
		return outcome.NoPhoto, reported
	}
	s := r.decide(w)
	nothing := s.Outcome == outcome.Skipped && s.WriteRow && s.Reason != outcome.KnownBad && !r.enforced(&s) && !r.changesRow(&s)
	return s.Reason, nothing
}

// NeedsRead reports whether the photo must be read before anything is decided: only
// for a person who is one active user, and whom no rule leaves out.
func (r *Rules) NeedsRead(w *Work) bool {
	u, one := w.User()
	listed := Presence(&w.Joined)
	return one && u.Active && (listed == sources.Present || listed == sources.Unknown) && (r.Scope.Checksum || w.Moved()) &&
		!w.Ambiguous && !w.Reserved && !r.Policy.LeavesOut(&w.Joined) && !r.Policy.leavesOutUser(u.Email)
}

// changesRow reports whether s has something to write that is not in the state yet.
func (r *Rules) changesRow(s *Step) bool {
	return s.WriteRow && (s.Row == nil || r.row(s) != *s.Row) || s.Record != nil && s.Record.Missing > 0
}

// row is the row of people by s. As long as it stays there is nothing to do.
func (r *Rules) row(s *Step) state.Person {
	c, _ := s.Candidate()
	row := state.Person{
		Email: s.Key(), Source: r.Sources[c.Source].Name, Ref: c.Ref.Name, Key: c.Ref.Key,
		SourceSHA256: s.SHA256(), UserID: s.UserID(), Winner: uint8(s.winner()), Reported: s.reportDigest(),
	}
	at := s.winner()
	kept := s.WriteRow && (s.Reason == outcome.Hidden || s.Reason == outcome.UserChanged)
	if row.SourceSHA256 == "" && !kept {
		row.Winner, at = state.NoPhoto, len(s.Candidates)-1
	}
	m := r.mark(&s.Joined, at)
	if s.Photo != nil && (s.Photo.Moved || s.Photo.SHA256 == "" && s.Photo.Err != nil) {
		m = mark{}
	}
	row.Stamp = m.stamp
	if s.WriteRow && s.Outcome == outcome.Skipped {
		row.Fingerprint, row.Note = m.fingerprint, uint8(max(0, slices.Index(notes, s.Reason)))
	}
	return row
}
