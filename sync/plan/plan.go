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
// gives the same plan, in the same order. decide.go is the file to read first.
package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"photosync/sync/outcome"
)

// Plan is what a run does: one step for each person who is not simply unchanged.
type Plan struct {
	*Rules
	Steps []*Step // by address

	// ID is the same for the same uploads of the same bytes over the same pictures. Every run that
	// writes changes the state's generation, which is a part of it, so an ID is good for one run.
	ID string

	Facts     *Facts   // who was counted
	Forget    []string // addresses whose rows are no longer needed
	Unchanged []*Step  // of people for whom there is nothing to do

	generation uint64
}

// Build decides about everybody in ws, and counts them in f. Before that, the users must be
// looked up, and the photos that NeedsRead names be read. generation is that of the state.
func Build(r *Rules, ws []*Work, f *Facts, generation uint64) *Plan {
	p := &Plan{Rules: r, Facts: f, generation: generation}
	for _, w := range ws {
		s := r.decide(w)
		if s.Reason == outcome.Unchanged && s.Released { // nobody has this address any more
			p.Forget = append(p.Forget, s.Key())
			if u := s.User(); u != nil && u.ID == s.LastUser() { // the entry is listed by another address now
				f.Lost++
			}
			continue
		}
		f.step(r, &s)
		if s.Reason == outcome.Unchanged {
			f.NothingToDo[outcome.Unchanged]++
			p.Unchanged = append(p.Unchanged, &s)
		} else {
			p.Steps = append(p.Steps, &s)
		}
	}
	slices.SortFunc(p.Steps, byKey)
	p.resolveConflicts()
	h := sha256.New()
	fmt.Fprintln(h, p.generation, r.Scope.Limit, r.Policy.Rendering)
	for _, s := range r.Sources {
		fmt.Fprintf(h, "source %q\n", s.Name)
	}
	for _, s := range p.Steps {
		if s.Outcome == outcome.Planned || s.NewlyMissing {
			o, ref := p.Origin(s)
			to := cmp.Or(s.To, &User{})
			fmt.Fprintf(h, "%q %d %t %t %s %q %q %s\n", s.Key(), to.ID, to.ImageID == "", Ours(s.Record, *to), s.Reason, o.Source, ref, s.SHA256())
		}
	}
	p.ID = hex.EncodeToString(h.Sum(nil)[:6])
	return p
}

func byKey(a, b *Step) int { return strings.Compare(a.Key(), b.Key()) }

// Planned returns the planned steps by address.
func (p *Plan) Planned() []*Step {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s *Step) bool { return s.Outcome != outcome.Planned })
}

// Uploads returns the planned steps, the most urgent first.
func (p *Plan) Uploads() []*Step {
	up := p.Planned()
	slices.SortStableFunc(up, func(a, b *Step) int {
		x, xTried := a.urgency()
		y, yTried := b.urgency()
		return cmp.Or(cmp.Compare(x, y), xTried.Compare(yTried))
	})
	return up
}

// Limit leaves all but the n most urgent uploads to a later run. With 0 there is no limit.
func (p *Plan) Limit(n int) {
	if up := p.Uploads(); n > 0 && n < len(up) {
		for _, s := range up[n:] {
			s.Outcome, s.Why = outcome.Unfinished, "left for a later run by --limit"
		}
	}
}

// Renew decides about a planned step again, with its user as Smartsheet shows it now. The zero
// User means that nobody, or somebody else, has the address; with NoAnswer, that this is not known.
func (p *Plan) Renew(s *Step, u User) {
	switch {
	case s.Outcome != outcome.Planned:
	case u.NoAnswer != "":
		s.Outcome, s.Why = outcome.Failed, "the user could not be looked up again: "+u.NoAnswer
	case u.ID == 0 && s.To.Alternate: // the user no longer has the alternate address
		*s = s.skip(outcome.NotInSmartsheet)
	case u.ID != s.To.ID:
		*s = s.postpone("the user lost the address while this run was under way")
	case !u.Active:
		*s = s.skip(outcome.InactiveUser)
	case s.Reason == outcome.RenderingChanged && !Ours(s.Record, u):
		*s = s.skip(outcome.UserChanged)
	case s.Reason == outcome.Placeholder:
		s.Users = []User{u}
		*s = p.replace(*s)
	case p.Policy.leavesOutUser(u.Email):
		*s = s.skip(outcome.Excluded)
	default:
		s.To = &u
		*s = p.existing(*s)
	}
}

// resolveConflicts makes steps ambiguous that upload to the same user for different people. A
// placeholder gives way to anybody else.
func (p *Plan) resolveConflicts() {
	byUser := map[int64][]*Step{}
	for _, s := range p.Steps {
		if s.Outcome == outcome.Planned {
			byUser[s.To.ID] = append(byUser[s.To.ID], s)
		}
	}
	for _, same := range byUser {
		if len(same) == 1 {
			continue
		}
		var photos []*Step
		var names []string
		for _, s := range same {
			if s.Reason == outcome.Placeholder {
				*s = s.release(outcome.UserChanged)
				continue
			}
			o, ref := p.Origin(s)
			photos, names = append(photos, s), append(names, entryName(o.Source, ref))
		}
		for _, s := range photos {
			if len(photos) > 1 {
				*s = s.ambiguous(names)
			}
		}
	}
}
