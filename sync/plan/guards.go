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

// Guards bound what one run may do to everybody's pictures. First uploads to new users
// are never held, but for MaxShared.
type Guards struct {
	MaxReplaced Limit // users whose picture, uploaded by us, gets another one
	MaxRemoved  Limit // people whose photo is newly missing, and placeholders
	MinListed   Limit // of a source, against its last complete listing
	MinPeople   int   // percentages hold nobody below this many people affected
	MaxShared   int   // people with one identical picture; 0: any number
}

// Check returns the guards that hold the plan. users have a picture of ours; before and
// listed count the entries of each source, when guards last let a run pass and now.
func (p *Plan) Check(g Guards, users int, before, listed map[string]int) []outcome.Breach {
	var bs []outcome.Breach
	most := func(guard string, limit Limit, n int, what string) {
		if float64(n) <= limit.of(users) || limit.Percent && n < g.MinPeople {
			return
		}
		bs = append(bs, outcome.Breach{Guard: guard, Message: fmt.Sprintf("%s of %s people known %s; at most %v may",
			outcome.Number(n), outcome.Number(users), what, limit)})
	}
	replaced, removed := 0, 0 // between the two a missing person is not counted again
	for i := range p.Steps {
		switch s := &p.Steps[i]; {
		case s.Outcome == outcome.Planned && s.replaces():
			replaced++
		case s.Outcome == outcome.Planned && s.Reason == outcome.Placeholder, s.NewlyMissing:
			removed++
		}
	}
	most("max_replaced", g.MaxReplaced, replaced, "would get another picture")
	most("max_removed", g.MaxRemoved, removed, "have no photo in the sources any more or would get a placeholder")
	for _, s := range p.rules.Sources {
		was, now := before[s.Name], listed[s.Name]
		few := g.MinListed.Percent && was-now < g.MinPeople && now > 0 // a source that lists nobody at all is not mounted
		if was == 0 || few || float64(now) >= g.MinListed.of(was) {
			continue
		}
		bs = append(bs, outcome.Breach{Guard: "min_listed", Message: fmt.Sprintf("source %q lists %s entries and listed %s the last time; at least %v must be there",
			s.Name, outcome.Number(now), outcome.Number(was), g.MinListed)})
	}
	return bs
}

// HoldShared holds the uploads of a picture that more than most people among those
// listed have: a silhouette, a logo, a bad import. 0 holds nothing.
func (p *Plan) HoldShared(listed Listed, most int) {
	for i := range p.Steps {
		s := &p.Steps[i]
		if n := listed[s.SHA256()]; most > 0 && n > most && s.Outcome == outcome.Planned && s.Reason != outcome.Placeholder {
			s.Reason, s.Outcome, s.Shared = outcome.SharedImage, outcome.Held, n
		}
	}
}
