// Package plan decides what a run does: the diff of the people in the sources,
// what the state remembers of them, and Smartsheet's users. It is plain data and
// pure functions: no I/O, no logging, no clock. The same input gives the same
// plan, in the same order.
package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// Reason says why a person's picture is uploaded, or why not. The values are
// stable: they stand in reports, logs and metrics.
type Reason string

// Reasons to upload.
const (
	New              Reason = "new"
	Changed          Reason = "changed"
	RenderingChanged Reason = "rendering_changed" // the image settings changed
	Drifted          Reason = "drifted"           // the picture in Smartsheet is not the one we uploaded
	Forced           Reason = "forced"
	Placeholder      Reason = "placeholder" // the photo was removed at its source
)

// Reasons not to upload.
const (
	Unchanged       Reason = "unchanged"
	SamePicture     Reason = "same_picture" // the source changed, what would be sent did not
	NoPhoto         Reason = "no_photo"
	NotInSmartsheet Reason = "not_in_smartsheet"
	InactiveUser    Reason = "inactive_user"
	Excluded        Reason = "excluded"
	Ambiguous       Reason = "ambiguous"
	KnownBad        Reason = "known_bad"    // the same bytes were refused before
	UserChanged     Reason = "user_changed" // the policy leaves the picture in Smartsheet alone
	SharedImage     Reason = "shared_image" // one picture for many people
	HeldBack        Reason = "held"         // by a guard
	InvalidImage    Reason = "invalid_image"
	BeingWritten    Reason = "being_written" // its file is being copied: the next run reads it
	OutOfShard      Reason = "out_of_shard"  // another run's part of the people
)

// Outcome is what became, or will become, of a person in a run.
type Outcome string

// Outcomes.
const (
	Planned        Outcome = "planned"
	Uploaded       Outcome = "uploaded"
	PartialSuccess Outcome = "partial_success"
	Failed         Outcome = "failed"
	Skipped        Outcome = "skipped"
	Held           Outcome = "held"
	Unfinished     Outcome = "unfinished"
)

// Options are the rules of a plan.
type Options struct {
	Rendering   string // fingerprint of the image settings
	Force       bool   // upload even what is unchanged
	Checksum    bool   // do not trust stamps: read everything
	RetryFailed bool   // send again what was refused for good
	Existing    Policy // empty: OnSourceChange
	// RemovedAfter is how many complete runs in a row a person must be without a
	// photo before a placeholder replaces the one that we uploaded; 0: never.
	RemovedAfter int
	Afresh       bool              // users are looked up for every upload, also those who are remembered
	Source       string            // only photos of this source; empty: of all
	Generation   uint64            // of the state that the plan rests on
	Excluded     func(string) bool // by email; nil: nobody
	Sources      []string          // names, by Candidate.Source
}

// Plan is the list of actions of a run.
type Plan struct {
	Actions   []Action // everyone who is not simply unchanged
	Settled   []Action // unchanged, with a new stamp to remember
	Left      []Left   // uploads that Limit took out
	Unchanged int
	WithPhoto []int // people with a photo, by source

	// ID names the plan by what it would do and what it rests on: the same uploads
	// of the same bytes to the same users, on the same state, have the same ID. As
	// every run that writes moves the state on, an ID is good for one run.
	ID string

	sources    []string
	generation uint64
}

func (p *Plan) id() string {
	h := sha256.New()
	fmt.Fprintln(h, p.generation)
	var line []byte
	for _, a := range p.Actions {
		if a.Outcome == Planned || a.newlyMissing() {
			line = append(append(line[:0], a.Key()...), 0)
			line = append(strconv.AppendInt(line, a.User().ID, 10), 0)
			for _, part := range [...]string{string(a.Reason), a.Source(), a.Candidate().Ref.Name} {
				line = append(append(line, part...), 0)
			}
			h.Write(append(hex.AppendEncode(line, []byte(a.sum())), '\n'))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Uploads returns the actions that upload something, the most urgent first: new
// people, then other photos, then placeholders; among equals those for whom nothing
// was tried for the longest time. So what fails every time keeps nobody waiting.
func (p *Plan) Uploads() []*Action {
	var up []*Action
	for i := range p.Actions {
		if a := &p.Actions[i]; a.Outcome == Planned {
			up = append(up, a)
		}
	}
	slices.SortStableFunc(up, func(a, b *Action) int {
		return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), a.tried().Compare(b.tried()))
	})
	return up
}

// Planned counts the uploads, those that Limit took out among them.
func (p *Plan) Planned() int {
	n := len(p.Left)
	for i := range p.Actions {
		if p.Actions[i].Outcome == Planned {
			n++
		}
	}
	return n
}

func (a Action) urgency() int {
	switch {
	case a.Reason == Placeholder:
		return 2
	case a.Record().UploadSHA256 != "":
		return 1
	}
	return 0
}

// tried is when something was last sent for the person; zero: never.
func (a Action) tried() time.Time {
	if f := a.Record().Failure; f != nil && f.At.After(a.Record().UploadedAt) {
		return f.At
	}
	return a.Record().UploadedAt
}

// Build decides for every subject. Subjects for whom NeedsLook holds must have
// their Look, and those for whom NeedsUser holds their Users.
func Build(subjects []*Subject, o *Options) *Plan {
	p := &Plan{WithPhoto: make([]int, len(o.Sources)), sources: o.Sources, generation: o.Generation, Actions: make([]Action, 0, len(subjects))}
	for _, s := range subjects {
		a := settleUser(decide(s, o), o)
		if a.hasPhoto() {
			p.WithPhoto[a.Candidate().Source]++
		}
		switch {
		case a.Reason != Unchanged:
			p.Actions = append(p.Actions, a)
		default:
			p.Unchanged++
			if a.Settle {
				p.Settled = append(p.Settled, a)
			}
		}
	}
	slices.SortFunc(p.Actions, byEmail)
	contest(p.Actions)
	p.ID = p.id()
	return p
}

func byEmail(a, b Action) int { return cmp.Compare(a.Key(), b.Key()) }

// settleUser completes a decision with Smartsheet's side.
func settleUser(a Action, o *Options) Action {
	switch {
	case a.Reason == Unchanged && o.Existing == Enforce:
		return a.enforce()
	case a.Outcome != Planned:
		return a
	case a.Reason == Placeholder:
		return a.replace()
	}
	a = assign(a, o)
	if a.Outcome == Planned {
		a = a.respect(o.Existing)
	}
	return a
}

// assign finds the Smartsheet user of an action.
func assign(a Action, o *Options) Action {
	if a.User().ID != 0 && !o.Existing.sees() && !o.Afresh { // remembered
		return a
	}
	found := a.found()
	switch {
	case len(found) == 0:
		return a.unsettle().skip(NotInSmartsheet)
	case len(found) > 1:
		var rivals []string
		for _, u := range found {
			rivals = append(rivals, fmt.Sprintf("smartsheet: user %d %s", u.ID, u.Email))
		}
		return a.dispute(rivals)
	case len(found[0].claims()) > 0:
		return a.dispute([]string{a.rival(), fmt.Sprintf("smartsheet: user %d %s, who is also %s, somebody else in the sources",
			found[0].ID, found[0].Email, strings.Join(found[0].claims(), ", "))})
	}
	a.user = &found[0]
	a.Drift = o.Existing.sees() && !a.ours(found[0])
	if !found[0].Active {
		return a.unsettle().skip(InactiveUser)
	}
	return a
}

// dispute leaves the choice among rivals to a human.
func (a Action) dispute(rivals []string) Action {
	a.Settle, a.detail = false, &Detail{Rivals: rivals}
	return a.skip(Ambiguous)
}

// unsettle keeps what was uploaded for a person who cannot be reached now: what
// changed meanwhile must still be new when they are back.
func (a Action) unsettle() Action {
	a.Settle = a.Settle && a.Record().UploadSHA256 == ""
	return a
}

// contest takes the uploads of different people to one Smartsheet user out of the
// plan: only a human can tell whose picture it is. A placeholder only gives way: the
// person whose photo is there has the user now.
func contest(actions []Action) {
	var up []int
	for i, a := range actions {
		if a.Outcome == Planned {
			up = append(up, i)
		}
	}
	user := func(i int) int64 { return actions[i].User().ID }
	slices.SortStableFunc(up, func(i, j int) int { return cmp.Compare(user(i), user(j)) })
	for len(up) > 0 {
		n := 1
		for n < len(up) && user(up[n]) == user(up[0]) {
			n++
		}
		if n > 1 {
			contestOne(actions, up[:n])
		}
		up = up[n:]
	}
}

// contestOne is contest for one user, whom the actions at same are about.
func contestOne(actions []Action, same []int) {
	if same = yield(actions, same); len(same) < 2 {
		return
	}
	var rivals []string
	for _, i := range same {
		rivals = append(rivals, actions[i].rival())
	}
	for _, i := range same {
		actions[i] = actions[i].dispute(rivals)
	}
}

// yield takes the placeholders among the actions at same out of the plan, and
// returns the others.
func yield(actions []Action, same []int) (rest []int) {
	for _, i := range same {
		if a := &actions[i]; a.Reason == Placeholder {
			*a = a.lose(UserChanged)
		} else {
			rest = append(rest, i)
		}
	}
	return rest
}

func (a Action) rival() string { return rival(a.Source(), a.Candidate()) }

func rival(source string, c Candidate) string {
	name := c.Ref.Name
	if !norm.NFC.IsNormalString(name) { // it may look like another's
		name = strconv.QuoteToASCII(name)
	}
	return source + ": " + name
}
