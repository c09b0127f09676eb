// Package plan decides what a run does. It compares three things: the people that the
// sources list, what we put on Smartsheet's users (the state), and the users as
// Smartsheet shows them now. The result is a sorted list of steps with a reason each:
//
//	person         photo   we put on the user   Smartsheet shows   step
//	ann@x  = 101   h1      nothing              no picture         upload, new
//	bob@x  = 102   h2      h1, image i1         image i1           upload, changed
//	cyd@x  = 103   h3      h3, image i3         image i3           skip, unchanged
//	dan@x  = 104   none    h4, image i4         image i4           skip, no_photo
//	eve@x  : nobody has the address                                skip, not_in_smartsheet
//
// It is plain data and pure functions: no I/O, no logging, no clock. The same input
// gives the same plan, in the same order.
package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"photosync/state"
	"photosync/sync/outcome"
)

// Plan is what a run does, a step for everybody who is not simply unchanged.
type Plan struct {
	Steps []Step // by address

	// ID names the plan by what it would do and what it rests on: the same uploads of
	// the same bytes to the same users, on the same state, have the same ID. As every
	// run that writes moves the state on, an ID is good for one run.
	ID string

	rules      *Rules
	generation uint64
	rows       state.Change // of the unchanged people
	forget     []string     // rows of people that are not needed any more
}

// Build decides for everybody in ws, and adds them to f. The photos that NeedsRead asks
// for must have been read, and the users looked up. generation is that of the state.
func Build(r *Rules, ws []*Work, f *Facts, generation uint64) *Plan {
	p := &Plan{Steps: make([]Step, 0, len(ws)), rules: r, generation: generation}
	for _, w := range ws {
		s := r.decide(w)
		f.work(r, &s)
		switch {
		case s.Reason != outcome.Unchanged:
			p.Steps = append(p.Steps, s)
		case s.Forget:
			p.forget = append(p.forget, s.Key())
		default:
			f.NothingToDo[outcome.Unchanged]++
			if r.changesRow(&s) {
				p.addRow(&p.rows, &s)
			}
		}
	}
	slices.SortFunc(p.Steps, byKey)
	p.resolveConflicts()
	p.ID = p.id()
	return p
}

func byKey(a, b Step) int { return strings.Compare(a.Key(), b.Key()) }

// id is a digest of what the plan does and rests on.
func (p *Plan) id() string {
	h := sha256.New()
	fmt.Fprintln(h, p.generation)
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Outcome == outcome.Planned || s.NewlyMissing {
			o, ref := p.rules.Origin(s)
			fmt.Fprintf(h, "%q %d %s %q %q %s\n", s.Key(), s.UserID(), s.Reason, o.Source, ref, s.SHA256())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Uploads returns the steps that upload something, the most urgent first.
func (p *Plan) Uploads() []*Step {
	var up []*Step
	for i := range p.Steps {
		if p.Steps[i].Outcome == outcome.Planned {
			up = append(up, &p.Steps[i])
		}
	}
	slices.SortStableFunc(up, func(a, b *Step) int {
		x, xTried := a.urgency()
		y, yTried := b.urgency()
		return cmp.Or(cmp.Compare(x, y), xTried.Compare(yTried))
	})
	return up
}

// Limit leaves all but the n most urgent uploads to a later run; 0: all stay.
func (p *Plan) Limit(n int) {
	up := p.Uploads()
	if n == 0 || len(up) <= n {
		return
	}
	for _, s := range up[n:] {
		s.Outcome, s.Why = outcome.Unfinished, "left by --limit"
	}
}

// Renew decides a planned step once more, about a user who was looked at again; the
// zero User: nobody has the address any more, or somebody else.
func (p *Plan) Renew(s *Step, u User) {
	switch {
	case s.Outcome != outcome.Planned:
	case u.ID == 0 && s.To.Alternate: // it was remembered, and is not so any more
		*s = s.skip(outcome.NotInSmartsheet)
	case u.ID != s.To.ID:
		*s = s.postpone("the address passed to another user while this run was under way")
	case !u.Active:
		*s = s.skip(outcome.InactiveUser)
	case s.Reason == outcome.Placeholder && !Ours(s.Record, u):
		*s = s.release(outcome.UserChanged)
	case s.Reason == outcome.Placeholder:
		s.To = &u
	case p.rules.Policy.leavesOutUser(u.Email):
		*s = s.skip(outcome.Excluded)
	default:
		s.To = &u
		*s = p.rules.existing(*s)
	}
}

// resolveConflicts takes the uploads of different people to one user out of the plan. A
// placeholder only gives way to the person whose photo is there.
func (p *Plan) resolveConflicts() {
	byUser := map[int64][]*Step{}
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Outcome == outcome.Planned {
			byUser[s.To.ID] = append(byUser[s.To.ID], s)
		}
	}
	for _, same := range byUser {
		if len(same) < 2 {
			continue
		}
		same = slices.DeleteFunc(same, func(s *Step) bool {
			if s.Reason == outcome.Placeholder {
				*s = s.release(outcome.UserChanged)
			}
			return s.Reason == outcome.UserChanged
		})
		var names []string
		for _, s := range same {
			o, ref := p.rules.Origin(s)
			names = append(names, entryName(o.Source, ref))
		}
		for _, s := range same {
			if len(same) > 1 {
				*s = s.ambiguous(names)
			}
		}
	}
}

// SkippedRows is what the state learns from the steps of which nothing is uploaded: the looks
// that came to their end. Nothing of it depends on how the rest of the run ends.
func (p *Plan) SkippedRows() state.Change {
	c := p.rows
	for i := range p.Steps {
		p.addRow(&c, &p.Steps[i])
	}
	return c
}

func (p *Plan) addRow(c *state.Change, s *Step) {
	switch {
	case s.Outcome != outcome.Skipped && s.Outcome != outcome.Held, s.Gone(), s.Missing > 0, s.Released:
		return // see FinalRows
	case s.WriteRow:
		c.People = append(c.People, p.rules.row(s))
		if s.Record != nil && s.Record.Missing > 0 {
			u := *s.Record
			u.Missing = 0
			c.Users = append(c.Users, u)
		}
	case s.reportDigest() != "" || s.Row != nil && s.Row.Fingerprint != (state.Fingerprint{}) ||
		s.Row == nil && s.Reason == outcome.NotInSmartsheet && p.rules.Policy.AlternateEmails: // the next search knows them
		r := state.Person{Email: s.Key(), Winner: state.NoPhoto}
		if s.Row != nil {
			r = *s.Row
		}
		r.Fingerprint, r.Reported = state.Fingerprint{}, s.reportDigest()
		c.People = append(c.People, r)
	}
}

// FinalRows is what the state learns only when the run has come to its end: who is missing
// one run longer, and who is not our concern any more.
func (p *Plan) FinalRows() (c state.Change) {
	c.ForgetPeople = p.forget
	sentTo := map[int64]bool{} // by another step: what its answer recorded stays
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Outcome == outcome.Planned {
			sentTo[s.To.ID] = true
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Forget && s.Row != nil {
			c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
		}
		counted := s.Missing > 0 || s.Reason == outcome.NoPhoto && s.Record != nil && s.Record.Missing > 0
		if s.Forget || s.Outcome != outcome.Skipped || !counted && !s.Released {
			continue
		}
		r := *s.Row
		if s.Gone() { // the same stamp may come back: it does not stand for "no photo"
			r.SourceSHA256, r.Stamp, r.Winner, r.Fingerprint = "", "", state.NoPhoto, state.Fingerprint{}
		} else {
			r = p.rules.row(s)
			r.UserID = s.Row.UserID
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

// ResultRow adds to c the row of people after the photo of s was read to be sent. sha256 is
// of its bytes, empty for a placeholder. nothing says why the next run has nothing to
// do: Unchanged (the user has the picture), KnownBad (the same bytes would be refused
// again), or empty: it looks at the person. It is safe for concurrent use.
func (p *Plan) ResultRow(c *state.Change, s *Step, sha256 string, nothing outcome.Reason) {
	if s.Gone() { // they have no row any more
		if nothing == outcome.Unchanged && s.Row != nil {
			c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
		}
		return
	}
	t := *s
	if s.SHA256() != sha256 {
		// Bytes that are not those of the plan do not belong to its stamp.
		ph := Photo{Candidate: s.winner(), SHA256: sha256, Moved: sha256 != "" && s.SHA256() != ""}
		w := *s.Work
		w.Photo, t.Work = &ph, &w
	}
	t = t.skipFromNow(nothing)
	switch {
	case nothing == "":
		t.WriteRow = false
	case nothing == outcome.Unchanged && sha256 == "":
		t.Reason = outcome.NoPhoto
	}
	c.People = append(c.People, p.rules.row(&t))
}
