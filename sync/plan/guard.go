package plan

import (
	"fmt"

	"photosync/state"
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

// Guards bound what one run may do to everybody's pictures. They look at the
// whole plan before the first write. First uploads of new people are never held,
// but for MaxShared.
type Guards struct {
	MaxReplaced Limit // people whose picture, uploaded by us, gets another one
	MaxRemoved  Limit // people whose photo is no longer in the sources, and placeholders
	MinListed   Limit // of a source, against its last complete listing
	MinPeople   int   // percentages hold nobody below this many people affected
	MaxShared   int   // people with one identical picture; 0: any number
}

// Past is what the state knew before the run.
type Past struct {
	People int            // with a picture that we uploaded
	Listed map[string]int // entries of the last listing that passed, by source
}

// Breach is a guard that holds a plan.
type Breach struct {
	Guard   string `json:"guard"` // its key in the configuration
	Message string `json:"message"`
}

// Check returns the guards that hold the plan. listed counts the entries of this
// run's listings, by source.
func (p *Plan) Check(g Guards, past Past, listed map[string]int) []Breach {
	var bs []Breach
	most := func(guard string, limit Limit, n int, what string) {
		if float64(n) <= limit.of(past.People) || limit.Percent && n < g.MinPeople {
			return
		}
		bs = append(bs, Breach{guard, fmt.Sprintf("%d of %d people known %s; at most %v may", n, past.People, what, limit)})
	}
	most("max_replaced", g.MaxReplaced, p.replaced(), "would get another picture")
	most("max_removed", g.MaxRemoved, p.removed(), "have no photo in the sources any more or would get a placeholder")
	for _, name := range p.sources {
		before, now := past.Listed[name], listed[name]
		few := g.MinListed.Percent && before-now < g.MinPeople && now > 0 // nothing at all is a share that is not mounted
		if before == 0 || few || float64(now) >= g.MinListed.of(before) {
			continue
		}
		bs = append(bs, Breach{"min_listed", fmt.Sprintf("source %q lists %d entries, and listed %d the last time; at least %v must be there",
			name, now, before, g.MinListed)})
	}
	return bs
}

func (p *Plan) replaced() (n int) {
	for _, a := range p.Actions {
		if a.Outcome == Planned && a.Reason != Placeholder && a.Record().UploadSHA256 != "" {
			n++
		}
	}
	return n
}

// removed counts people whose uploaded photo was there in the last run, and those
// who would get a placeholder. Between the two they are not counted again.
func (p *Plan) removed() (n int) {
	for _, a := range p.Actions {
		if a.Outcome == Planned && a.Reason == Placeholder || a.newlyMissing() {
			n++
		}
	}
	return n
}

// newlyMissing tells whether the last run still saw the photo that we uploaded.
func (a Action) newlyMissing() bool {
	return a.Reason == NoPhoto && a.Record().SourceSHA256 != "" && a.Record().UploadSHA256 != ""
}

// Hold holds every upload of the plan.
func (p *Plan) Hold() {
	for i := range p.Actions {
		if a := &p.Actions[i]; a.Outcome == Planned {
			a.Reason, a.Outcome = HeldBack, Held
		}
	}
}

// Sums returns the hashes of the pictures that are to be uploaded, for HoldShared, as
// state.Sum has them.
func (p *Plan) Sums() map[string]int {
	people := make(map[string]int, len(p.Actions))
	for _, a := range p.Actions {
		if a.Outcome == Planned && a.hasPhoto() {
			people[a.sum()] = 0
		}
	}
	return people
}

// HoldShared holds the uploads of a picture that more than most people have: a
// silhouette, a logo, a bad import. 0 holds nothing. people are Sums, with those
// counted who have the picture and are not among the subjects.
func (p *Plan) HoldShared(subjects []*Subject, people map[string]int, most int) {
	if most <= 0 {
		return
	}
	for _, s := range subjects {
		if len(s.Candidates) == 0 {
			continue // in no source any more
		}
		sum := state.Sum(s.Record().SourceSHA256)
		if s.Look != nil {
			sum = s.Look.Sum
		}
		if _, planned := people[sum]; planned {
			people[sum]++
		}
	}
	for i := range p.Actions {
		a := &p.Actions[i]
		if n := people[a.sum()]; a.Outcome == Planned && n > most {
			a.Reason, a.Outcome, a.detail = SharedImage, Held, &Detail{Shared: n}
		}
	}
}
