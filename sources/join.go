package sources

import (
	"context"
	"fmt"
	"iter"
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

// Clone returns a copy that shares no slice with j.
func (j Joined) Clone() Joined {
	j.Emails, j.Candidates = slices.Clone(j.Emails), slices.Clone(j.Candidates)
	for i := range j.Candidates {
		if es := &j.Candidates[i].Emails; slices.Equal(*es, j.Emails) {
			*es = j.Emails
		} else {
			*es = slices.Clone(*es)
		}
	}
	return j
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
// An incomplete listing is a *ListError: acting on the rest could give a person
// the photo of a source that does not come first. The listings are returned in
// every case, as far as they got.
func Join(ctx context.Context, srcs []Named) (*People, []Listing, error) {
	p := &People{}
	listings := make([]Listing, 0, len(srcs))
	for _, src := range srcs {
		r := &roster{}
		l, err := src.List(ctx, func(p Person) error {
			r.add(p)
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
		r.finish()
		p.rosters = append(p.rosters, r)
	}
	p.untangle()
	return p, listings, nil
}

// People are those of all sources, joined. A million of them take some fifty
// bytes each: they are kept packed, in sorted runs, and unpacked one by one.
type People struct {
	rosters []*roster // by source
	// tangled are those who share an address that is not the first one of them all,
	// sorted by key; claimed holds what they are known by.
	tangled []Joined
	claimed claims
}

// All yields everyone, sorted by key. The slices of a Joined are good until the
// next step; Clone keeps them.
func (p *People) All() iter.Seq[Joined] {
	return func(yield func(Joined) bool) {
		tangled := p.tangled
		for j := range p.plain() {
			for len(tangled) > 0 && tangled[0].Emails[0] < j.Emails[0] {
				if !yield(tangled[0]) {
					return
				}
				tangled = tangled[1:]
			}
			if !yield(j) {
				return
			}
		}
		for _, j := range tangled {
			if !yield(j) {
				return
			}
		}
	}
}

// plain yields those who share at most the first address of each of them: all that
// belong together come in a row.
func (p *People) plain() iter.Seq[Joined] {
	return func(yield func(Joined) bool) {
		var group []Candidate
		var emails []string
		for c, last := range p.listed() {
			if !p.claimed.has(c.Emails) {
				group = append(group, c)
			}
			if !last || len(group) == 0 {
				continue
			}
			j := joinGroup(group, emails)
			if !yield(j) {
				return
			}
			group, emails = group[:0], j.Emails[:0]
		}
	}
}

// joinGroup joins people with the same first address, who share no other; they are
// sorted by source. The addresses go into emails.
func joinGroup(group []Candidate, emails []string) Joined {
	j := Joined{Emails: emails[:0], Candidates: group[:0]}
	for len(group) > 0 {
		n := 1
		for n < len(group) && group[n].Source == group[0].Source {
			n++
		}
		same := group[:n]
		group = group[n:]
		if n > 1 { // a folder that changes while it is listed may give a name twice
			slices.SortFunc(same, func(a, b Candidate) int { return strings.Compare(a.Ref.Name, b.Ref.Name) })
			same = slices.CompactFunc(same, func(a, b Candidate) bool { return a.Ref == b.Ref })
		}
		switch {
		case j.Ambiguous, len(same) > 1 && len(j.Candidates) > 0:
			continue // an earlier source settles it, or leaves it open
		case len(same) > 1:
			j.Ambiguous = true
		}
		j.Candidates = append(j.Candidates, same...) // in place: never beyond what was read
		if j.DisplayName == "" {
			j.DisplayName = same[0].DisplayName
		}
		for i, e := range same[0].Emails {
			if i > 0 || len(j.Emails) == 0 {
				j.Emails = append(j.Emails, e)
			}
		}
	}
	return j
}
