package sources

import (
	"maps"
	"slices"
)

// The rules of claims.
//
//  1. A source claims addresses in its Domains only.
//  2. Nobody holds a reserved address. A person with an entry that owns one is Reserved.
//  3. An own address goes before an alias, whatever the sources. Two sources that
//     list the same own address list the same person.
//  4. If several entries of one source own the same address, those that list it with another
//     domain (Rewrite) lose it to those that list it as it is. Of the rest, those without a
//     photo lose it to those that may have one. Of the rest, an entry with no other own
//     address holds it if all others have another. Otherwise these entries are one Ambiguous
//     person.
//  5. If entries of a later source conflict about an address that an earlier source lists,
//     the earlier source decides, never the later one. An entry that owns addresses of two
//     earlier people, and two entries that own addresses of the same earlier person, are
//     nobody's candidates: their other own addresses make an Ambiguous person.
//  6. The person whose entry comes from the earliest source holds an alias. If two people
//     of that source list it, nobody holds it.
//
// An entry without a photo holds its addresses like any other.

// matching decides about entries that own the same addresses.
type matching struct {
	*People
	own    map[*entry][]string // the own addresses that each entry still has
	holder map[string]*person
}

// match applies rules 2 to 5 to entries that own the same addresses.
func (p *People) match(entries []*entry) {
	slices.SortFunc(entries, (*entry).compare)
	m := matching{p, map[*entry][]string{}, map[string]*person{}}
	bySource := make([][]*entry, len(p.names))
	reserved := map[string]*person{} // by key
	for i, e := range entries {
		if i > 0 && e.source == entries[i-1].source && e.ref().Name == entries[i-1].ref().Name && e.ref().Key == entries[i-1].ref().Key {
			// A place that changes during the listing may list an entry twice.
			e.person = nobody
			continue
		}
		for _, a := range e.own() {
			if p.Reserved[a] {
				e.reserved = true
				p.report(a, e, nil, WhyExcluded)
			} else {
				m.own[e] = append(m.own[e], a)
			}
		}
		if len(m.own[e]) > 0 {
			bySource[e.source] = append(bySource[e.source], e)
			continue
		}
		own := e.own()
		if reserved[own[0]] == nil {
			reserved[own[0]] = &person{}
		}
		reserved[own[0]].add(own, e)
	}
	for _, es := range bySource {
		m.precedence(m.resolve(es))
	}
}

// add gives entries and own addresses to p.
func (p *person) add(own []string, entries ...*entry) {
	for _, e := range entries {
		e.person = p
	}
	p.entries = append(p.entries, entries...)
	p.own, _ = Addresses(append(p.own, own...), nil)
}

// report records that loser does not hold an address; holder nil: the address is reserved.
func (p *People) report(address string, loser, holder *entry, why Why) {
	l := LostClaim{Address: address, Loser: Claimant{p.names[loser.source], loser.part(partName)}, Why: why}
	if holder != nil {
		l.Holder = Claimant{p.names[holder.source], holder.part(partName)}
	}
	p.Lost = append(p.Lost, l)
}

// resolve applies rule 4 to the entries of one source, and returns its people.
func (m *matching) resolve(entries []*entry) (people []*person) {
	owners := map[string][]*entry{}
	for _, e := range entries {
		e.person = &person{entries: []*entry{e}}
		for _, a := range m.own[e] {
			owners[a] = append(owners[a], e)
		}
	}
	left := map[*entry][]string{}
	for _, a := range slices.Sorted(maps.Keys(owners)) {
		winners := m.winners(a, owners[a])
		for _, e := range owners[a] {
			switch {
			case slices.Contains(winners, e):
				left[e] = append(left[e], a)
				winners[0].person.unite(e.person)
			case e.rewrote(a) && !winners[0].rewrote(a):
				m.report(a, e, winners[0], WhyRewritten)
			case e.photo == Absent && winners[0].photo != Absent:
				m.report(a, e, winners[0], WhyNoPhoto)
			default:
				m.report(a, e, winners[0], WhyOnly)
			}
		}
	}
	for _, e := range entries {
		if m.own[e] = left[e]; len(left[e]) == 0 {
			e.person = nobody
			continue
		}
		if e == e.person.entries[0] {
			people = append(people, e.person)
		}
		e.person.own = append(e.person.own, left[e]...)
	}
	for _, u := range people {
		u.own, _ = Addresses(u.own, nil)
		u.ambiguous = len(u.entries) > 1
		slices.SortFunc(u.entries, (*entry).compare)
	}
	return people
}

// unite makes one person of two. The entries of the person with fewer go to the other.
func (p *person) unite(o *person) {
	if p == o {
		return
	}
	if len(p.entries) < len(o.entries) {
		p, o = o, p
	}
	p.add(nil, o.entries...)
}

// winners returns those owners of an address, entries of one source, that keep it by rule 4.
func (m *matching) winners(address string, owners []*entry) []*entry {
	if listed := only(owners, func(e *entry) bool { return !e.rewrote(address) }); len(listed) > 0 {
		owners = listed
	}
	if may := only(owners, func(e *entry) bool { return e.photo != Absent }); len(may) > 0 {
		owners = may
	}
	if one := only(owners, func(e *entry) bool { return len(m.own[e]) == 1 }); len(one) == 1 {
		return one
	}
	return owners
}

func only[T any](all []T, is func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(t T) bool { return !is(t) })
}

// precedence applies rule 5: it decides which people of a source are people of earlier sources.
func (m *matching) precedence(people []*person) {
	holders := make([][]*person, len(people)) // the earlier people with an address of each
	joins := map[*person]int{}                // how many people would join an earlier person
	for i, u := range people {
		for _, a := range u.own {
			if h := m.holder[a]; h != nil && !slices.Contains(holders[i], h) {
				holders[i] = append(holders[i], h)
			}
		}
		if len(holders[i]) == 1 && !u.ambiguous {
			joins[holders[i][0]]++
		}
	}
	for i, u := range people {
		h := holders[i]
		switch {
		case len(h) == 0:
		case u.ambiguous:
			u = m.rest(u, WhyEarlier)
		case len(h) > 1:
			u = m.rest(u, WhySpans)
		case h[0].ambiguous:
			u = m.rest(u, WhyAmbiguous)
		case joins[h[0]] > 1:
			u = m.rest(u, WhyBoth)
		default:
			h[0].add(u.own, u.entries...)
			u = h[0]
		}
		for _, a := range u.own {
			m.holder[a] = u
		}
	}
}

// rest takes from u the addresses that people of earlier sources hold. Whoever is left is ambiguous.
func (m *matching) rest(u *person, why Why) *person {
	rest, entries := &person{ambiguous: true}, []*entry(nil)
	for _, e := range u.entries {
		before := len(rest.own)
		for _, a := range m.own[e] {
			if h := m.holder[a]; h != nil {
				m.report(a, e, h.entries[0], why)
			} else {
				rest.own = append(rest.own, a)
			}
		}
		if e.person = nobody; len(rest.own) > before {
			entries = append(entries, e)
		}
	}
	rest.add(nil, entries...)
	return rest
}

// decide returns the entry of the person who holds an address, nil if nobody does, and takes the
// address from the others who list it as an alias (rules 2, 3 and 6).
func (p *People) decide(address string, group []claim) (holder *entry) {
	slices.SortFunc(group, func(a, b claim) int { return a.entry.compare(b.entry) })
	var aliases []*entry // of people, by precedence
	for _, c := range group {
		e, own := c.entry, c.entry.held()
		_, holds := slices.BinarySearch(own, address)
		switch {
		case e.person == nobody:
		case holds:
			if holder == nil || own[0] == address { // several reserved people may own the address
				holder = e
			}
		case !e.owns(address):
			aliases = append(aliases, e)
		}
	}
	switch {
	case p.Reserved[address]:
		p.deny(address, aliases, nil, WhyReserved)
	case holder != nil:
		p.deny(address, aliases, holder, WhyOwn)
	case len(aliases) > 0:
		first := aliases[0]
		other := slices.IndexFunc(aliases, func(e *entry) bool { return e.source == first.source && !e.with(first) })
		if other < 0 {
			p.deny(address, aliases, first, WhyEarlier)
			return first
		}
		p.deny(address, aliases, first, WhyShared)
		p.deny(address, only(aliases, first.with), aliases[other], WhyShared)
	}
	return holder
}

// deny takes an alias from the entries that list it, but not from those of the same person as against.
func (p *People) deny(address string, entries []*entry, against *entry, why Why) {
	for _, e := range entries {
		if against != nil && e.with(against) {
			continue
		}
		p.report(address, e, against, why)
		if e.person == nil {
			(&person{}).add(e.own(), e)
		}
		e.person.lost = append(e.person.lost, address)
	}
}
