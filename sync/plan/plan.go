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
	"sync"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// Input is what a plan is made of. The photos that NeedsRead asks for must have been
// read, and the users looked up.
type Input struct {
	Work       []*Work
	Sources    []sources.Named
	Policy     *Policy
	Scope      *Scope
	Marker     *Marker
	Generation uint64         // of the state that the plan rests on
	Seen       map[int64]User // users that this run saw, by id; may be nil
}

// Plan is what a run does, a step for everybody who is not simply unchanged.
type Plan struct {
	Steps     []Step // by address
	Settled   []Step // unchanged, with a row to write
	Unchanged int    // people of Work for whom there is nothing to do
	WithPhoto []int  // people of Work with a photo, by source

	// ID names the plan by what it would do and what it rests on: the same uploads of
	// the same bytes to the same users, on the same state, have the same ID. As every
	// run that writes moves the state on, an ID is good for one run.
	ID string

	forget     []string // rows of people that are not needed any more
	sources    []sources.Named
	policy     *Policy
	generation uint64
	marker     *Marker
	mu         sync.Mutex
}

// builder holds what all decisions of a plan rest on.
type builder struct {
	policy  *Policy
	scope   *Scope
	sources []sources.Named
	seen    map[int64]User
}

// Build decides for everybody.
func Build(in Input) *Plan {
	p := &Plan{
		WithPhoto: make([]int, len(in.Sources)), Steps: make([]Step, 0, len(in.Work)),
		sources: in.Sources, policy: in.Policy, generation: in.Generation, marker: in.Marker,
	}
	b := &builder{policy: in.Policy, scope: in.Scope, sources: in.Sources, seen: in.Seen}
	for _, w := range in.Work {
		s := b.decide(w)
		if s.Forget && s.Reason == outcome.Unchanged {
			p.forget = append(p.forget, s.Key())
			continue
		}
		if c, ok := w.Candidate(); ok && w.HasPhoto() && s.Reason != outcome.NoPhoto {
			p.WithPhoto[c.Source]++
		}
		s.Reported = w.Row != nil && w.Row.Reported != "" && w.Row.Reported == s.reportDigest()
		if s.Reason != outcome.Unchanged {
			p.Steps = append(p.Steps, s)
			continue
		}
		p.Unchanged++
		if p.changesRow(&s) {
			p.Settled = append(p.Settled, s)
		}
	}
	slices.SortFunc(p.Steps, byKey)
	resolveConflicts(p)
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
			source, ref := p.Source(s)
			fmt.Fprintf(h, "%q %d %s %q %q %s\n", s.Key(), s.UserID(), s.Reason, source, ref, s.SHA256())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Uploads returns the steps that upload something, the most urgent first: users
// without a picture of ours, then other photos, then placeholders; among equals those
// for whom nothing was tried for the longest time. So what fails every time keeps
// nobody waiting.
func (p *Plan) Uploads() []*Step {
	var up []*Step
	for i := range p.Steps {
		if p.Steps[i].Outcome == outcome.Planned {
			up = append(up, &p.Steps[i])
		}
	}
	slices.SortStableFunc(up, func(a, b *Step) int {
		return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), a.tried().Compare(b.tried()))
	})
	return up
}

// Limit leaves the n most urgent uploads in the plan, and the others to a later run;
// 0: all stay.
func (p *Plan) Limit(n int) {
	up := p.Uploads()
	if n == 0 || len(up) <= n {
		return
	}
	for _, s := range up[n:] {
		s.Outcome, s.Why, s.Left = outcome.Unfinished, "left by --limit", true
	}
}

// enforced reports whether the picture of s drifts on although it was sent again and
// again, so that enforcing stops.
func (s *Step) enforced(p *Policy) bool {
	return p.existing() == Enforce && s.Reason == outcome.UserChanged && s.Sent != nil && s.Sent.Drifts >= maxDrifts
}

// Drifts counts the users for whom enforcing stops because Smartsheet shows another
// image id after every upload, and those whose picture drifted and is sent again.
func (p *Plan) Drifts() (stopped, drifted int) {
	for i := range p.Steps {
		switch s := &p.Steps[i]; {
		case s.Reason == outcome.Drifted:
			drifted++
		case s.enforced(p.policy):
			stopped++
		}
	}
	return stopped, drifted
}

// Renew decides a planned step once more, about a user who was looked at again; the
// zero User: nobody has the address any more, or somebody else.
func (p *Plan) Renew(s *Step, u User) {
	b := &builder{policy: p.policy, scope: &Scope{}, sources: p.sources}
	switch {
	case s.Outcome != outcome.Planned:
	case u.ID != s.To.ID:
		*s = s.postpone("the address passed to another user while this run was under way")
	case !u.Active:
		*s = s.skip(outcome.InactiveUser)
	case s.Reason == outcome.Placeholder && !Ours(s.Sent, u):
		*s = s.lose(outcome.UserChanged)
	case s.Reason == outcome.Placeholder:
		s.To = &u
	case b.policy.excluded(u.Email), !b.policy.included(u.Email):
		*s = s.skip(outcome.Excluded)
	default:
		s.To = &u
		*s = b.existing(*s)
	}
}

// resolveConflicts takes the uploads of different people to one user out of the plan:
// only a human can tell whose picture it is. A placeholder only gives way: the person
// whose photo is there has the user now.
func resolveConflicts(p *Plan) {
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
				*s = s.lose(outcome.UserChanged)
			}
			return s.Reason == outcome.UserChanged
		})
		if len(same) < 2 {
			continue
		}
		var names []string
		for _, s := range same {
			names = append(names, entryName(p.Source(s)))
		}
		for _, s := range same {
			*s = s.ambiguous(names)
		}
	}
}

// changesRow reports whether the row of people that s settles differs from what is
// remembered.
func (p *Plan) changesRow(s *Step) bool {
	return s.Settle && (s.Row == nil || p.row(s) != *s.Row) || s.Sent != nil && s.Sent.Missing > 0
}

// reportDigest is short for what a report says of a person whom only a human can help:
// as long as it is the same, it raises the exit code once.
func (s *Step) reportDigest() string {
	var about string
	switch s.Reason {
	case outcome.Ambiguous:
		about = strings.Join(s.Conflict, "\n")
	case outcome.SharedImage:
		about = s.SHA256()
	case outcome.Hidden:
	default:
		return ""
	}
	sum := sha256.Sum256([]byte(string(s.Reason) + "\n" + about))
	return hex.EncodeToString(sum[:8])
}

// Rows is what the state learns from the steps of which nothing is uploaded: the looks
// that came to their end. Nothing of it depends on how the rest of the run ends.
func (p *Plan) Rows() (c state.Change) {
	for _, steps := range [...][]Step{p.Settled, p.Steps} {
		for i := range steps {
			p.addRow(&c, &steps[i])
		}
	}
	return c
}

func (p *Plan) addRow(c *state.Change, s *Step) {
	switch {
	case s.Outcome != outcome.Skipped && s.Outcome != outcome.Held, s.Gone(), s.Missing > 0, s.Lost:
		return // see Ended
	case s.Settle:
		c.People = append(c.People, p.row(s))
		if s.Sent != nil && s.Sent.Missing > 0 {
			u := *s.Sent
			u.Missing = 0
			c.Users = append(c.Users, u)
		}
	case s.reportDigest() != "" || s.Row != nil && s.Row.Fingerprint != (state.Fingerprint{}) ||
		s.Row == nil && s.Reason == outcome.NotInSmartsheet && p.policy.AlternateEmails: // the next search knows them
		r := state.Person{Email: s.Key(), Winner: state.NoPhoto}
		if s.Row != nil {
			r = *s.Row
		}
		r.Fingerprint, r.Reported = state.Fingerprint{}, s.reportDigest()
		c.People = append(c.People, r)
	}
}

// Ended is what the state learns only when the run has come to its end: who is missing
// one run longer, and who is not our concern any more.
func (p *Plan) Ended() (c state.Change) {
	c.ForgetPeople = p.forget
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Forget && s.Row != nil {
			c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
		}
		if s.Forget || s.Outcome != outcome.Skipped || s.Missing == 0 && !s.Lost {
			continue
		}
		r := *s.Row
		if r.SourceSHA256, r.Winner, r.Fingerprint = "", state.NoPhoto, (state.Fingerprint{}); !s.Gone() {
			userID := r.UserID
			r = p.row(s)
			r.UserID = userID
		}
		if s.Lost {
			r.UserID = 0
		}
		c.People = append(c.People, r)
		if u := s.Former; u != nil && u.Missing != s.Missing {
			n := *u
			n.Missing = s.Missing
			c.Users = append(c.Users, n)
		}
	}
	return c
}

// End says how the try to send a photo ended.
type End int

// The ends.
const (
	Open    End = iota // the next run looks at it
	Done               // the user has it
	Refused            // the same bytes would be refused again
)

// Row is the row of people after the photo of s was read to be sent; sha256 is of its
// bytes, empty for a placeholder. It is safe for concurrent use.
func (p *Plan) Row(s *Step, sha256 string, end End) state.Person {
	p.mu.Lock() // of the marker
	defer p.mu.Unlock()
	c := *s
	if s.SHA256() != sha256 {
		// Bytes that are not those of the plan do not belong to its stamp.
		ph := Photo{Candidate: s.winner(), SHA256: sha256, Moved: sha256 != "" && s.SHA256() != ""}
		w := *s.Work
		w.Photo, c.Work = &ph, &w
	}
	c.Final, c.note = end != Open, noteUnchanged
	switch {
	case end == Refused:
		c.note = noteKnownBad
	case sha256 == "":
		c.note = noteNoPhoto
	}
	return p.row(&c)
}

func (p *Plan) row(s *Step) state.Person {
	c, _ := s.Candidate()
	r := state.Person{
		Email: s.Key(), Source: p.sources[c.Source].Name, Ref: c.Ref.Name, Key: c.Ref.Key,
		SourceSHA256: s.SHA256(), UserID: s.UserID(), Winner: uint8(s.winner()), Reported: s.reportDigest(),
	}
	at := s.winner()
	if r.SourceSHA256 == "" && s.note != noteHidden && s.note != noteUserChanged {
		r.Winner, at = state.NoPhoto, len(s.Candidates)-1
	}
	marker := *p.marker
	marker.buf = nil // several workers are here at the same time
	m := marker.mark(&s.Joined, at)
	if s.Photo != nil && (s.Photo.Moved || s.Photo.SHA256 == "" && s.Photo.Err != nil) {
		m = mark{}
	}
	r.Stamp = m.text()
	if s.Final {
		r.Fingerprint, r.Note = m.fingerprint, s.note
	}
	return r
}
