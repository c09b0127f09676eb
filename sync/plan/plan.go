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
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"photosync/sources"
	"photosync/state"
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

// Subject is all that is known of one person before anything is decided. Someone
// who is in no source any more has no Candidates; see Misses.
type Subject struct {
	sources.Joined
	Record *state.Record // what the state remembers; nil: nothing
	Sought bool          // in Smartsheet, by all addresses
	Look   *Look         // what reading the photo showed; nil when it was not read
}

// record is Record, or an empty one.
func (s Subject) record() *state.Record {
	if s.Record == nil {
		return &state.Record{}
	}
	return s.Record
}

// Key is the address under which the state and the report know the person.
func (s Subject) Key() string { return s.Emails[0] }

// Look is the result of reading a person's candidates in order until one holds a
// photo.
type Look struct {
	Candidate int    // the one that holds the photo, or failed
	SHA256    string // of the source bytes, hex; empty: no candidate has a photo, or Err
	Err       error  // the photo is there and could not be read
}

// User is what a plan needs to know of a Smartsheet user.
type User struct {
	ID      int64
	Email   string // canonical
	Name    string
	Active  bool
	ImageID string // of the picture in Smartsheet; empty: none
	// Claims are further addresses of this user that other people in the sources
	// have: then only a human can tell whose user it is.
	Claims []string
}

// Action is what a run does for one person. The order of actions is by email.
type Action struct {
	Email   string
	Emails  []string // all addresses of the person, for another look-up
	Name    string   // to display; may be empty
	User    User
	Reason  Reason
	Outcome Outcome // Planned: to be uploaded; otherwise final

	Candidate    sources.Candidate
	Source       string // the candidate's source by name
	Stamp        string // of the whole chain of candidates up to this one
	SourceSHA256 string // empty when the photo was not read for the plan
	Record       state.Record
	Err          error    // why the photo could not be read
	Rivals       []string // of an ambiguous person: every candidate, "source: ref"
	Gone         bool     // in no source any more
	Missing      int      // complete runs in a row without a photo, this one included
	Shared       int      // people with this picture, of one held for it

	// Settle: nothing is uploaded, but the state has something to learn. Lost: the
	// picture that we uploaded is not in Smartsheet any more.
	Settle, Lost bool
	// Drift: the picture in Smartsheet is known not to be the one that we uploaded.
	Drift bool

	// Of a plan that is applied from a File:
	Exact    bool   // the photo must be the one that was planned
	Promised string // SHA-256 of the picture that was planned; empty: it was not prepared
	Why      string // it was left out
}

// Anew tells whether the picture is uploaded even if it is the same as last time.
func (a Action) Anew() bool { return a.Reason == Forced || a.Reason == Placeholder || a.Drift }

// Plan is the list of actions of a run.
type Plan struct {
	Actions   []Action // everyone who is not simply unchanged
	Settled   []Action // unchanged, with a new stamp to remember
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
	for _, a := range p.Actions {
		if a.Outcome == Planned || a.newlyMissing() {
			io.WriteString(h, strings.Join([]string{a.Email, fmt.Sprint(a.User.ID), string(a.Reason), a.Source, a.Candidate.Ref.Name, a.SourceSHA256}, "\x00")+"\n")
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

func (a Action) urgency() int {
	switch {
	case a.Reason == Placeholder:
		return 2
	case a.Record.UploadSHA256 != "":
		return 1
	}
	return 0
}

// tried is when something was last sent for the person; zero: never.
func (a Action) tried() time.Time {
	if f := a.Record.Failure; f != nil && f.At.After(a.Record.UploadedAt) {
		return f.At
	}
	return a.Record.UploadedAt
}

// Build decides for every subject. Subjects for whom NeedsLook holds must have
// their Look. users holds Smartsheet's users by canonical email, as far as they
// were looked up.
func Build(subjects []Subject, users map[string][]User, o Options) *Plan {
	p := &Plan{WithPhoto: make([]int, len(o.Sources)), sources: o.Sources, generation: o.Generation, Actions: make([]Action, 0, len(subjects))}
	for _, s := range subjects {
		a := settleUser(decide(s, o), users, o)
		if a.SourceSHA256 != "" {
			p.WithPhoto[a.Candidate.Source]++
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
	slices.SortFunc(p.Actions, func(a, b Action) int { return cmp.Compare(a.Email, b.Email) })
	contest(p.Actions)
	p.ID = p.id()
	return p
}

// settleUser completes a decision with Smartsheet's side.
func settleUser(a Action, users map[string][]User, o Options) Action {
	switch {
	case a.Reason == Unchanged && o.Existing == Enforce:
		return a.enforce(users)
	case a.Outcome != Planned:
		return a
	case a.Reason == Placeholder:
		return a.replace(users)
	}
	a = assign(a, users, o)
	if a.Outcome == Planned {
		a = a.respect(o.Existing)
	}
	return a
}

// assign finds the Smartsheet user of an action.
func assign(a Action, users map[string][]User, o Options) Action {
	if a.User.ID != 0 && !o.Existing.sees() && !o.Afresh { // remembered
		return a
	}
	found := a.found(users)
	switch {
	case len(found) == 0:
		return a.unsettle().skip(NotInSmartsheet)
	case len(found) > 1:
		for _, u := range found {
			a.Rivals = append(a.Rivals, fmt.Sprintf("smartsheet: user %d %s", u.ID, u.Email))
		}
		a.Settle = false
		return a.skip(Ambiguous)
	case len(found[0].Claims) > 0:
		a.Rivals = []string{rival(a.Source, a.Candidate), fmt.Sprintf("smartsheet: user %d %s, who is also %s, somebody else in the sources",
			found[0].ID, found[0].Email, strings.Join(found[0].Claims, ", "))}
		a.Settle = false
		return a.skip(Ambiguous)
	}
	a.User = found[0]
	a.Drift = o.Existing.sees() && !a.ours(a.User)
	if !a.User.Active {
		return a.unsettle().skip(InactiveUser)
	}
	return a
}

// found returns the Smartsheet users that may be the person: the remembered one,
// or else those with the most preferred address that any has.
func (a Action) found(users map[string][]User) []User {
	for _, e := range a.Emails {
		for _, u := range users[e] {
			if u.ID == a.Record.UserID && u.ID != 0 {
				return []User{u}
			}
		}
	}
	for _, e := range a.Emails {
		if len(users[e]) > 0 {
			return users[e]
		}
	}
	return nil
}

// unsettle keeps what was uploaded for a person who cannot be reached now: what
// changed meanwhile must still be new when they are back.
func (a Action) unsettle() Action {
	a.Settle = a.Settle && a.Record.UploadSHA256 == ""
	return a
}

// contest takes the uploads of different people to one Smartsheet user out of the
// plan: only a human can tell whose picture it is. A placeholder only gives way: the
// person whose photo is there has the user now.
func contest(actions []Action) {
	byUser := map[int64][]int{}
	for i, a := range actions {
		if a.Outcome == Planned {
			byUser[a.User.ID] = append(byUser[a.User.ID], i)
		}
	}
	for _, same := range byUser {
		if len(same) < 2 {
			continue
		}
		same = yield(actions, same)
		if len(same) < 2 {
			continue
		}
		var rivals []string
		for _, i := range same {
			rivals = append(rivals, rival(actions[i].Source, actions[i].Candidate))
		}
		for _, i := range same {
			a := &actions[i]
			a.Reason, a.Outcome, a.Settle, a.Rivals = Ambiguous, Skipped, false, rivals
		}
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

func rival(source string, c sources.Candidate) string {
	name := c.Ref.Name
	if !norm.NFC.IsNormalString(name) { // it may look like another's
		name = strconv.QuoteToASCII(name)
	}
	return source + ": " + name
}
