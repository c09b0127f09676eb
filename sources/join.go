package sources

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Joined is a person as all sources together know them.
type Joined struct {
	// Emails are the addresses that nobody else claims, preferred first. The
	// first is the person's key in the state and in reports.
	Emails      []string
	DisplayName string
	// Candidates are the places of this person's photo by precedence: the first
	// one that holds a photo wins. There is at least one.
	Candidates []Candidate
	// Ambiguous: the candidates are rivals of one source that claim the same
	// address, and none of them can be taken.
	Ambiguous bool
}

// Candidate is a person in one source.
type Candidate struct {
	Source int // index into the sources given to Join
	Person
}

// ListError is a source that could not be listed to its end.
type ListError struct {
	Source string
	Err    error
}

func (e *ListError) Error() string { return fmt.Sprintf("list source %q: %v", e.Source, e.Err) }
func (e *ListError) Unwrap() error { return e.Err }

// Join lists the sources in order of precedence and joins their people by email.
// Two entries of one source that claim an address both lose it; a person who has
// no other address left is Ambiguous. People of a later source who share an
// address with one of an earlier source are further candidates of that person.
// The result is sorted by key. An incomplete listing is a *ListError: acting on
// the rest could give a person the photo of a source that does not come first.
// The listings are returned in every case, as far as they got.
func Join(ctx context.Context, srcs []Named) ([]Joined, []Listing, error) {
	j := joiner{owner: map[string]int{}}
	listings := make([]Listing, 0, len(srcs))
	for i, src := range srcs {
		var people []Person
		l, err := src.List(ctx, func(p Person) error {
			people = append(people, p)
			return nil
		})
		if err == nil && !l.Complete {
			err = fmt.Errorf("the listing is not complete")
		}
		if err != nil {
			l.Complete = false
			return nil, append(listings, l), &ListError{Source: src.Name, Err: err}
		}
		listings = append(listings, l)
		j.add(i, people)
	}
	slices.SortFunc(j.people, func(a, b Joined) int { return strings.Compare(a.Emails[0], b.Emails[0]) })
	return j.people, listings, nil
}

// joiner collects people source by source.
type joiner struct {
	people []Joined
	owner  map[string]int // email -> index into people
}

// add joins the people of source i to those of the sources before it.
func (j *joiner) add(i int, people []Person) {
	// A fixed order: what a listing yields first must not decide anything.
	slices.SortFunc(people, func(a, b Person) int { return strings.Compare(a.Ref.Name, b.Ref.Name) })
	contested := contestedEmails(people)
	rivals := map[string][]Candidate{}
	before := len(j.people)
	for _, p := range people {
		var free []string
		for _, e := range p.Emails {
			if !contested[e] {
				free = append(free, e)
			}
		}
		c := Candidate{Source: i, Person: p}
		if len(free) == 0 {
			rivals[p.Emails[0]] = append(rivals[p.Emails[0]], c)
			continue
		}
		j.place(c, free, before)
	}
	for email, cs := range rivals {
		if _, taken := j.owner[email]; taken {
			continue // an earlier source settles it
		}
		if len(cs) == 1 { // the others keep another address; name them all the same
			cs = claimants(people, email, i)
		}
		j.owner[email] = len(j.people)
		j.people = append(j.people, Joined{Emails: []string{email}, DisplayName: cs[0].DisplayName, Candidates: cs, Ambiguous: true})
	}
}

// place adds c to the person of an earlier source who owns one of its addresses,
// or as a new person. People from index before on are of c's own source.
func (j *joiner) place(c Candidate, free []string, before int) {
	at := -1
	for _, e := range free {
		if o, ok := j.owner[e]; ok && o < before {
			at = o
			break
		}
	}
	if at < 0 {
		at = len(j.people)
		j.people = append(j.people, Joined{DisplayName: c.DisplayName})
	}
	p := &j.people[at]
	if p.Ambiguous {
		return // a later source does not settle what an earlier one contests
	}
	p.Candidates = append(p.Candidates, c)
	if p.DisplayName == "" {
		p.DisplayName = c.DisplayName
	}
	for _, e := range free {
		if _, ok := j.owner[e]; !ok {
			j.owner[e] = at
			p.Emails = append(p.Emails, e)
		}
	}
}

// contestedEmails returns the addresses that two or more of people claim.
func contestedEmails(people []Person) map[string]bool {
	seen := make(map[string]bool, len(people))
	contested := map[string]bool{}
	for _, p := range people {
		for _, e := range p.Emails {
			if seen[e] {
				contested[e] = true
			}
			seen[e] = true
		}
	}
	return contested
}

// claimants returns everyone who claims email.
func claimants(people []Person, email string, source int) []Candidate {
	var cs []Candidate
	for _, p := range people {
		if slices.Contains(p.Emails, email) {
			cs = append(cs, Candidate{Source: source, Person: p})
		}
	}
	return cs
}
