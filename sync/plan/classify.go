package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// mark is what a look at the sources is recognised by in the next run. The zero mark
// stands for nothing: only reading tells.
type mark struct {
	// stamp stands for the change marks of the candidates up to the one that counts.
	// As long as it is the same, so is the photo. A photo that appears at a source of
	// higher precedence changes it too.
	stamp [16]byte
	// fingerprint stands for everything that a decision rests on: the stamp, the
	// addresses and the policy. As long as it is the same, there is nothing to do.
	fingerprint state.Fingerprint
}

// text is the stamp as a row keeps it; empty: only reading tells.
func (m mark) text() string {
	if m == (mark{}) {
		return ""
	}
	return hex.EncodeToString(m.stamp[:])
}

// Marker recognises people of whom there is nothing to do, for the sources and the
// policy of one run. It is not for concurrent use.
type Marker struct {
	sources []sources.Named
	policy  [sha256.Size]byte
	buf     []byte
}

// NewMarker returns a Marker.
func NewMarker(srcs []sources.Named, p *Policy) *Marker {
	return &Marker{sources: srcs, policy: p.digest()}
}

// mark returns the mark of a person whose candidate at index winner counts.
func (m *Marker) mark(j *sources.Joined, winner int) mark {
	b := m.buf[:0]
	for _, c := range j.Candidates[:winner+1] {
		if c.Stamp == "" && c.HasPhoto != sources.Absent {
			return mark{}
		}
		b = appendText(b, m.sources[c.Source].Name)
		if c.Ref.Key != "" {
			b = appendText(b, c.Ref.Key)
		} else {
			b = appendText(b, c.Ref.Name)
		}
		b = append(appendText(b, c.Stamp), byte(c.HasPhoto))
	}
	stamp := sha256.Sum256(b)
	b = append(append(b[:0], stamp[:]...), m.policy[:]...)
	for _, addresses := range [...][]string{j.Own, j.Aliases} {
		b = binary.AppendUvarint(b, uint64(len(addresses)))
		for _, a := range addresses {
			b = appendText(b, a)
		}
	}
	all := sha256.Sum256(b)
	m.buf = b
	return mark{stamp: [16]byte(stamp[:]), fingerprint: state.Fingerprint(all[:])}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Unchanged reports whether there is nothing to do for a listed person, by the row of
// the last look alone.
func (m *Marker) Unchanged(j *sources.Joined, r *state.Row) bool {
	return r.Fingerprint != state.Fingerprint{} && !j.Ambiguous && !j.Reserved &&
		r.Note != noteKnownBad && r.Fingerprint == m.mark(j, winnerOf(r.Winner, j.Candidates)).fingerprint
}

// winnerOf is the index of the candidate that a row names, among those listed now.
func winnerOf(winner uint8, cs []sources.Candidate) int {
	return min(int(winner), len(cs)-1)
}

// Work returns the work for a listed person; row may be nil.
func (m *Marker) Work(j sources.Joined, row *state.Person, s *Scope) *Work {
	w := &Work{Joined: j, Row: row}
	at := len(j.Candidates) - 1
	if row != nil {
		at = winnerOf(row.Winner, j.Candidates)
	}
	w.mark = m.mark(&w.Joined, at)
	bad := row != nil && !s.RetryFailed && !s.LooksAtAll() && row.Note == noteKnownBad && !w.Moved() && row.Fingerprint == w.mark.fingerprint
	w.LookUp = !j.Ambiguous && !j.Reserved && !bad && !(w.HasNone() && row == nil)
	return w
}

// Nothing reports whether there is nothing to do and nothing to remember for a person
// whose users are known, and why. Photos that have to be read are something to do.
func (m *Marker) Nothing(w *Work, p *Policy, s *Scope) (outcome.Reason, bool) {
	if w.Row == nil || w.NeedsRead(p, s) {
		return "", false
	}
	if w.MayBeRemoved() && !w.HasPhoto() { // it was reported, or has to be looked at
		reported := p.RemovedAfter == 0 && w.Row.Note == noteNoPhoto && w.Row.Fingerprint == w.mark.fingerprint
		return outcome.NoPhoto, reported
	}
	b := &builder{policy: p, scope: s, sources: m.sources}
	step := b.decide(w)
	pl := &Plan{sources: m.sources, policy: p, marker: m}
	quiet := step.Outcome == outcome.Skipped && step.Settle && step.Final && step.note != noteKnownBad && !step.enforced(p) && !pl.changesRow(&step)
	return step.Reason, quiet
}

// ReasonOf is the reason that the note of a row stands for.
func ReasonOf(note uint8) outcome.Reason {
	switch note {
	case noteNoPhoto:
		return outcome.NoPhoto
	case noteUserChanged:
		return outcome.UserChanged
	case noteHidden:
		return outcome.Hidden
	case noteExcluded:
		return outcome.Excluded
	}
	return outcome.Unchanged
}

// Why a row of people says that there is nothing to do.
const (
	noteUnchanged uint8 = iota
	noteNoPhoto
	noteUserChanged
	noteKnownBad
	noteHidden
	noteExcluded
)
