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
	Emails      []string // preferred first; the first is the key
	DisplayName string   // may be empty
	Candidates  []Candidate
	Ambiguous   bool          // the candidates are rivals
	Sought      bool          // in Smartsheet, by all addresses
	Remembered  *state.Record // by the state; nil: nothing
	Users       []User        // of Smartsheet, by the order of the addresses; see Meet
	Look        *Look         // what reading the photo showed; nil when it was not read
}

// Candidate is a person's photo in one source.
type Candidate struct {
	Source   int // index into Options.Sources
	Ref      sources.Ref
	Stamp    string
	HasPhoto sources.Presence
}

// About returns what the sources know of a person. It shares no slice with j.
func About(j sources.Joined) *Subject {
	s := &Subject{Emails: slices.Clone(j.Emails), DisplayName: j.DisplayName, Ambiguous: j.Ambiguous, Candidates: make([]Candidate, len(j.Candidates))}
	for i, c := range j.Candidates {
		s.Candidates[i] = Candidate{c.Source, c.Ref, c.Stamp, c.HasPhoto}
	}
	return s
}

// nothing is the record of those of whom nothing is remembered.
var nothing state.Record

// Record is what the state remembers, empty if nothing. Nobody may change it.
func (s *Subject) Record() *state.Record {
	if s.Remembered == nil {
		return &nothing
	}
	return s.Remembered
}

// Key is the address under which the state and the report know the person.
func (s *Subject) Key() string { return s.Emails[0] }

// Meet adds a user who has one of the person's addresses, once.
func (s *Subject) Meet(u User) {
	if slices.ContainsFunc(s.Users, func(o User) bool { return o.ID == u.ID }) {
		return
	}
	if i := slices.Index(s.Emails, u.Email); i >= 0 {
		u.Email = s.Emails[i] // one text for both
	}
	if u.Name == s.DisplayName {
		u.Name = s.DisplayName
	}
	s.Users = append(s.Users, u)
	rank := func(u User) int { return slices.Index(s.Emails, u.Address()) }
	slices.SortStableFunc(s.Users, func(a, b User) int { return cmp.Compare(rank(a), rank(b)) })
}

// found returns the users that may be the person: the remembered one, or else those
// with the most preferred address that any has.
func (s *Subject) found() []User {
	n := 0
	for i, u := range s.Users {
		if u.ID == s.Record().UserID && u.ID != 0 {
			return s.Users[i : i+1]
		}
		if u.Address() == s.Users[0].Address() {
			n = i + 1
		}
	}
	return s.Users[:n]
}

// Look is the result of reading a person's candidates in order until one holds a
// photo.
type Look struct {
	Candidate int    // the one that holds the photo, or failed
	Sum       string // SHA-256 of the source bytes as state.Sum has it; empty: no candidate has a photo, or Err
	Err       error  // the photo is there and could not be read
}

// User is what a plan needs to know of a Smartsheet user.
type User struct {
	ID        int64
	Email     string // canonical
	Name      string
	ImageID   string     // of the picture in Smartsheet; empty: none
	Alternate *Alternate // nil: Email is an address of the person
	Active    bool
}

// Alternate is how a user was found who is listed under another address than the
// person's.
type Alternate struct {
	Email string // the person's, and an alternate one of the user
	// Claims are further addresses of this user that other people in the sources
	// have: then only a human can tell whose user it is.
	Claims []string
}

// Address is the address of the person by which u was found.
func (u User) Address() string {
	if u.Alternate != nil {
		return u.Alternate.Email
	}
	return u.Email
}

// claims are those of u's alternate addresses that other people have.
func (u User) claims() []string {
	if u.Alternate == nil {
		return nil
	}
	return u.Alternate.Claims
}

// Action is what a run does for one person. The order of actions is by email. On a
// first run there is one for everybody in the company.
type Action struct {
	*Subject
	Reason  Reason
	Outcome Outcome // Planned: to be uploaded; otherwise final

	Missing int // complete runs in a row without a photo, this one included

	// Settle: nothing is uploaded, but the state has something to learn. Lost: the
	// picture that we uploaded is not in Smartsheet any more.
	Settle, Lost bool
	// Drift: the picture in Smartsheet is known not to be the one that we uploaded.
	Drift bool

	seen   bool     // the photo, now or before
	at     uint16   // the candidate's place
	user   *User    // nil: the remembered one
	detail *Detail  // nil: none
	rules  *Options // of the plan
}

// Detail is what only a few actions have.
type Detail struct {
	Rivals []string // of an ambiguous person: every candidate, "source: ref"
	Shared int      // people with this picture, of one held for it

	// Of a plan that is applied from a File:
	Exact    bool   // the photo must be the one that was planned
	Promised string // SHA-256 of the picture that was planned; empty: it was not prepared
	Why      string // it was left out
}

// Detail is empty for most.
func (a Action) Detail() Detail {
	if a.detail == nil {
		return Detail{}
	}
	return *a.detail
}

// Pin demands that the photo is the one that was seen for the plan.
func (a *Action) Pin() { a.detail = &Detail{Exact: true} }

// SourceSHA256 is the hash of the photo, hex; empty when there is none, or it was not
// read for the plan.
func (a Action) SourceSHA256() string {
	switch {
	case !a.seen:
		return ""
	case a.Look != nil:
		return state.SHA256(a.Look.Sum)
	}
	return a.Record().SourceSHA256
}

// sum is SourceSHA256 as state.Sum has it.
func (a Action) sum() string {
	if a.seen && a.Look != nil {
		return a.Look.Sum
	}
	return state.Sum(a.SourceSHA256())
}

// hasPhoto tells whether there is a SourceSHA256.
func (a Action) hasPhoto() bool {
	if a.Look != nil {
		return a.seen && a.Look.Sum != ""
	}
	return a.seen && a.Record().SourceSHA256 != ""
}

// User is the Smartsheet user of a; ID 0: none is known yet.
func (a Action) User() User {
	if a.user != nil {
		return *a.user
	}
	return User{ID: a.Record().UserID, Email: a.Key(), Active: true}
}

// For returns a for another user.
func (a Action) For(u User) Action {
	a.user = &u
	return a
}

// Gone tells whether the person is in no source any more.
func (a Action) Gone() bool { return len(a.Candidates) == 0 }

// Candidate is the one whose photo counts; of somebody who is gone, what is remembered
// of it.
func (a Action) Candidate() (c Candidate) {
	if a.Gone() {
		c.Ref.Name = a.Record().Ref
		return c
	}
	return a.Candidates[a.at]
}

// Source is the name of the candidate's source.
func (a Action) Source() string {
	if a.Gone() {
		return a.Record().Source
	}
	return a.rules.Sources[a.Candidates[a.at].Source]
}

// Stamp is the change mark of the whole chain of candidates up to the one that counts.
func (a Action) Stamp() string {
	if a.Gone() {
		return ""
	}
	return chainStamp(a.Subject, a.rules, int(a.at))
}

// Err is why the photo could not be read.
func (a Action) Err() error {
	if a.Look == nil {
		return nil
	}
	return a.Look.Err
}

// Anew tells whether the picture is uploaded even if it is the same as last time.
func (a Action) Anew() bool { return a.Reason == Forced || a.Reason == Placeholder || a.Drift }

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

// Left is an upload that is left to a later run, in little memory.
type Left struct {
	Email, Source, Ref string
	UserID             int64
	Reason             Reason
}

// Limit leaves the n most urgent uploads in the plan; 0: all.
func (p *Plan) Limit(n int) {
	up := p.Uploads()
	if n == 0 || len(up) <= n {
		return
	}
	for _, a := range up[n:] {
		a.Outcome = Unfinished
	}
	p.Left = make([]Left, 0, len(up)-n)
	rest := make([]Action, 0, len(p.Actions)-len(up)+n)
	for i, a := range p.Actions {
		if a.Outcome == Unfinished {
			p.Left = append(p.Left, Left{a.Key(), a.Source(), a.Candidate().Ref.Name, a.User().ID, a.Reason})
		} else {
			rest = append(rest, a)
		}
		p.Actions[i] = Action{} // who is left is forgotten as soon as possible
	}
	p.Actions = rest
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
