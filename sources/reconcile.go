package sources

import (
	"slices"
	"strings"
)

// reconcile joins people who share addresses in every way they can: the rules of
// Join in full, with everybody in memory. people are those of each source.
func reconcile(people [][]Person) []Joined {
	j := joiner{owner: map[string]int{}}
	for i, ps := range people {
		j.add(i, ps)
	}
	slices.SortFunc(j.people, func(a, b Joined) int { return strings.Compare(a.Emails[0], b.Emails[0]) })
	return j.people
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
	people = slices.CompactFunc(people, func(a, b Person) bool { return a.Ref == b.Ref })
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
