package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"photosync/sources"
	"photosync/sync/outcome"
)

// Existing says what happens to the picture that a user has in Smartsheet already.
type Existing string

// Policies for existing pictures. A picture drifted if Smartsheet shows another image id than
// the one in the answer to our upload.
const (
	OnSourceChange Existing = "on_source_change" // upload when the source's photo changed
	Enforce        Existing = "enforce"          // and when the picture drifted: every run lists all users
	RespectUser    Existing = "respect_user"     // never touch a picture that is not ours
	FillEmpty      Existing = "fill_empty"       // only users without a picture
)

// Policy is the rules of a run. The zero value uploads what changed.
type Policy struct {
	Existing        Existing                // empty: OnSourceChange
	RemovedAfter    int                     // complete runs without a photo before a placeholder replaces our picture; 0: it stays
	Rendering       string                  // fingerprint of the image settings
	Excluded        func(email string) bool // match.exclude; nil: nobody
	Included        func(email string) bool // match.include; nil: everybody
	Ignored         []string                // SHA-256 of pictures that count as no photo, hex
	AlternateEmails bool                    // a user is also found by a confirmed alternate address
	Guards          *Guards                 // nil: none
	Refresh         time.Duration           // how often everybody's user is looked up anew; 0: every 7 days
	Patterns        []string                // of Excluded and Included: a part of the fingerprint
}

// Scope says whom a run is about, and what the command line adds. Zero: everybody, nothing.
type Scope struct {
	Only        func(email string) bool // nil: everyone
	Source      string                  // only photos of this source; empty: of all
	Shard       Shard                   // the part of all people that the run is about
	Limit       int                     // uploads at most; 0: all
	Force       bool                    // upload unchanged pictures too
	Checksum    bool                    // read every photo, whatever its stamp says
	RetryFailed bool                    // send again what was refused for good
}

// Everybody reports whether the run is about everybody, of all sources.
func (s *Scope) Everybody() bool { return s.Only == nil && s.Source == "" }

// IsAbout reports whether the run is about this person.
func (s *Scope) IsAbout(j *sources.Joined) bool {
	return s.Only == nil || j.Any(s.Only)
}

// LeavesOut reports whether match.exclude names one of the person's addresses.
func (p *Policy) LeavesOut(j *sources.Joined) bool {
	return p.Excluded != nil && j.Any(p.Excluded)
}

// Excludes reports whether match leaves the person out, whichever user they are. If alternate
// addresses count, match.include may name an address that only the user has.
func (p *Policy) Excludes(j *sources.Joined) bool {
	return p.LeavesOut(j) || p.Included != nil && !p.AlternateEmails && !j.Any(p.Included)
}

// leavesOutUser reports whether match leaves out the user with this address.
func (p *Policy) leavesOutUser(email string) bool {
	return p.Excluded != nil && p.Excluded(email) || p.Included != nil && !p.Included(email)
}

// Rules are what every decision of a run depends on.
type Rules struct {
	Sources []sources.Named
	Policy  *Policy
	Scope   *Scope
	Unended []string // runs whose reports do not count as read: they did not come to their end
	digest  []byte   // of everything in Policy that a decision about one person depends on
}

// NewRules returns the rules for what the sources list.
func NewRules(srcs []sources.Named, p *Policy, s *Scope) *Rules {
	decisive := []any{cmp.Or(p.Existing, OnSourceChange), p.RemovedAfter, p.Rendering, p.Ignored, p.AlternateEmails, p.Patterns}
	return &Rules{Sources: srcs, Policy: p, Scope: s, digest: digest(decisive)}
}

// Shard is one of Count equal parts of all people, Index from 0. Zero is everyone.
type Shard struct{ Index, Count int }

// maxShards is more shards than anybody has tokens for.
const maxShards = 1000

// ParseShard reads "i/n", such as 0/4 to 3/4.
func ParseShard(s string) (Shard, error) {
	i, n, found := strings.Cut(s, "/")
	index, err := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	switch {
	case !found || err != nil || err2 != nil || count < 1 || count > maxShards || index < 0:
		return Shard{}, fmt.Errorf("%q is not a shard: want i/n, such as 0/4", s)
	case index >= count:
		return Shard{}, fmt.Errorf("%q is not a shard: they count from 0, so the last of %d is %d/%d", s, count, count-1, count)
	}
	return Shard{index, count}, nil
}

func (s Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Has reports whether the person with this canonical email belongs to s.
func (s Shard) Has(email string) bool {
	if s.Count <= 1 {
		return true
	}
	sum := sha256.Sum256([]byte(email))
	return binary.BigEndian.Uint64(sum[:])%uint64(s.Count) == uint64(s.Index)
}

// Limit is a number of people, or a percentage of the people it is about.
type Limit struct {
	N       float64
	Percent bool
}

func (l Limit) String() string {
	if l.Percent {
		return fmt.Sprintf("%g %%", l.N)
	}
	return fmt.Sprintf("%g", l.N)
}

// of returns the limit as a number of people, of total people.
func (l Limit) of(total int) float64 {
	if l.Percent {
		return l.N * float64(total) / 100
	}
	return l.N
}

// Guards bound what one run may do to everybody's pictures. First uploads to new users
// are never held, except by MaxShared.
type Guards struct {
	MaxReplaced Limit // users whose picture, uploaded by us, is replaced by another
	MaxRemoved  Limit // people whose photo is newly missing, and placeholders
	MinListed   Limit // of a source, against its last complete listing
	MinPeople   int   // a percentage holds no plan that affects fewer people
	MaxShared   int   // people with one identical picture; 0: any number
}

// Check returns the guards that hold the plan. known counts the people known, which takes time.
// before and listed count each source's entries in the last run that passed and now; 0: they name nobody.
func (p *Plan) Check(g Guards, known func() int, before, listed map[string]int) (bs []outcome.Breach) {
	most := func(guard string, limit Limit, people int, what string) {
		small := limit.Percent && people < g.MinPeople
		if !small && float64(people) > limit.of(0) && float64(people) > limit.of(known()) {
			bs = append(bs, outcome.Breach{Guard: guard, Message: fmt.Sprintf("%s of %s people known %s; at most %v may",
				outcome.Number(people), outcome.Number(known()), what, limit)})
		}
	}
	replaced, removed := p.affected()
	most("max_replaced", g.MaxReplaced, replaced, "would get another picture")
	most("max_removed", g.MaxRemoved, removed, "have no photo in the sources any more or would get a placeholder")
	for _, s := range p.Sources {
		was, now := before[s.Name], listed[s.Name]
		least := g.MinListed.of(was)
		small := float64(was) < least || g.MinListed.Percent && was-now < g.MinPeople
		if was == 0 || float64(now) >= least || now > 0 && small { // nobody at all may mean a folder that is not mounted
			continue
		}
		bs = append(bs, outcome.Breach{Guard: "min_listed", Message: fmt.Sprintf("source %q lists %s entries and listed %s the last time; at least %v must be there",
			s.Name, outcome.Number(now), outcome.Number(was), g.MinListed)})
	}
	return bs
}

// affected counts the people whose picture is replaced by another photo, and those who lose their
// photo: a missing person counts in the first run, and again with the placeholder.
func (p *Plan) affected() (replaced, removed int) {
	for _, s := range p.Steps {
		planned := s.Outcome == outcome.Planned || s.Shared > 0
		switch {
		case s.NewlyMissing, planned && s.Reason == outcome.Placeholder:
			removed++
		case planned && !s.Dropped && s.Record.Sent != nil && !p.repeats(s):
			replaced++
		}
	}
	return replaced, removed
}

// HoldShared holds the uploads of a picture that more than limit listed people have, such as
// a silhouette, a logo or a bad import. Empty files are no picture.
func (p *Plan) HoldShared(listed Listed, limit int) {
	for _, s := range p.Planned() {
		if n := listed[s.SHA256()]; n > limit && s.Reason != outcome.Placeholder && s.SHA256() != Sum(nil) {
			s.Reason, s.Outcome, s.Shared = outcome.SharedImage, outcome.Held, n
			p.Facts.Waiting[s.Reason]++
		}
	}
}
