package plan

import (
	"fmt"

	"photosync/sync/outcome"
)

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

// of is the limit for a whole of total people.
func (l Limit) of(total int) float64 {
	if l.Percent {
		return l.N * float64(total) / 100
	}
	return l.N
}

// Guards bound what one run may do to everybody's pictures. They look at the whole
// plan before the first write. First uploads to new users are never held, but for
// MaxShared.
type Guards struct {
	MaxReplaced Limit // users whose picture, uploaded by us, gets another one
	MaxRemoved  Limit // people whose photo is newly missing, and placeholders
	MinListed   Limit // of a source, against its last complete listing
	MinPeople   int   // percentages hold nobody below this many people affected
	MaxShared   int   // people with one identical picture; 0: any number
}

// Past is what the state knew before the run.
type Past struct {
	Users  int            // with a picture that we uploaded
	Listed map[string]int // entries of the last listing that passed, by source
}

// Check returns the guards that hold the plan. listed counts the entries of this run's
// listings, by source.
func (p *Plan) Check(g Guards, past Past, listed map[string]int) []outcome.Breach {
	var bs []outcome.Breach
	most := func(guard string, limit Limit, n int, what string) {
		if float64(n) <= limit.of(past.Users) || limit.Percent && n < g.MinPeople {
			return
		}
		bs = append(bs, outcome.Breach{Guard: guard, Message: fmt.Sprintf("%s of %s people known %s; at most %v may",
			outcome.Number(n), outcome.Number(past.Users), what, limit)})
	}
	replaced, removed := p.affected()
	most("max_replaced", g.MaxReplaced, replaced, "would get another picture")
	most("max_removed", g.MaxRemoved, removed, "have no photo in the sources any more or would get a placeholder")
	for _, s := range p.sources {
		before, now := past.Listed[s.Name], listed[s.Name]
		few := g.MinListed.Percent && before-now < g.MinPeople && now > 0 // a source that lists nobody at all is not mounted
		if before == 0 || few || float64(now) >= g.MinListed.of(before) {
			continue
		}
		bs = append(bs, outcome.Breach{Guard: "min_listed", Message: fmt.Sprintf("source %q lists %s entries and listed %s the last time; at least %v must be there",
			s.Name, outcome.Number(now), outcome.Number(before), g.MinListed)})
	}
	return bs
}

// affected counts the users whose picture of ours gets another one, and the people
// whose photo is newly missing or who get a placeholder. Between the two a missing
// person is not counted again.
func (p *Plan) affected() (replaced, removed int) {
	for i := range p.Steps {
		switch s := &p.Steps[i]; {
		case s.Outcome == outcome.Planned && s.Replaces():
			replaced++
		case s.Outcome == outcome.Planned && s.Reason == outcome.Placeholder, s.NewlyMissing:
			removed++
		}
	}
	return replaced, removed
}

// Hashes returns the hashes of the photos that are to be uploaded, for HoldShared.
func (p *Plan) Hashes() map[string]int {
	people := make(map[string]int, len(p.Steps))
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Outcome == outcome.Planned && s.Reason != outcome.Placeholder && s.SHA256() != "" {
			people[s.SHA256()] = 0
		}
	}
	return people
}

// HoldShared holds the uploads of a picture that more than most people have: a
// silhouette, a logo, a bad import. people are Hashes, with everybody counted who has
// the picture. 0 holds nothing.
func (p *Plan) HoldShared(people map[string]int, most int) {
	if most <= 0 {
		return
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if n := people[s.SHA256()]; s.Outcome == outcome.Planned && s.Reason != outcome.Placeholder && n > most {
			s.Reason, s.Outcome, s.Shared = outcome.SharedImage, outcome.Held, n
			s.Reported = s.Row != nil && s.Row.Reported == s.reportDigest()
		}
	}
}
