package sources

import (
	"maps"
	"slices"
)

// The rules of claims.
//
//  1. A source claims addresses in its Domains only.
//  2. Reserved addresses are nobody's. Who has no other own address is Reserved.
//  3. An own address goes before an alias, whatever the sources. Two sources that
//     list the same own address list the same person.
//  4. Several entries of one source own one address: those without a photo lose it
//     to those that may have one. Of the rest, one that owns nothing else holds it
//     if all others own something else. Else these entries are one Ambiguous person.
//  5. An earlier source decides what a later one contests; a later one decides
//     nothing that an earlier one contests. An entry that owns addresses of two
//     earlier people, and two entries that own addresses of the same one, are
//     nobody's candidates: what they own beside these addresses is Ambiguous.
//  6. An alias is held by the person whose entry comes from the earliest source. If
//     two people of that source list it, nobody holds it.
//
// An entry without a photo holds its addresses, too.

// match decides rules 2 to 5 for entries that own addresses together.
func (p *People) match(entries []*entry) {
	slices.SortFunc(entries, (*entry).compare)
	m := matching{People: p, own: map[*entry][]string{}, holder: map[string]*person{}}
	var listed []*entry
	reserved := map[string]*person{}
	for i, e := range entries {
		if i > 0 && e.same(entries[i-1]) { // a place that changes under the listing may list it twice
			e.person = nobody
			entries[i] = entries[i-1]
			continue
		}
		for _, a := range e.ownAddresses() {
			if !p.reserved[a] {
				m.own[e] = append(m.own[e], a)
				continue
			}
			m.report(a, e, nil, WhyReserved)
		}
		if len(m.own[e]) == 0 {
			m.reserve(e, reserved)
			continue
		}
		listed = append(listed, e)
	}
	for _, r := range reserved {
		r.own, _ = Addresses(r.own, nil)
	}
	for len(listed) > 0 {
		n := 1
		for n < len(listed) && listed[n].source == listed[0].source {
			n++
		}
		m.precedence(m.contest(listed[:n]))
		listed = listed[n:]
	}
}

// matching is the work on entries that own addresses together.
type matching struct {
	*People
	own    map[*entry][]string // what is left to each entry
	holder map[string]*person
}

// report records that an entry does not hold an address; holder nil: it is reserved.
func (p *People) report(address string, loser, holder *entry, why Why) {
	l := LostClaim{Address: address, Loser: loser.claimant(p.names), Why: why}
	if holder != nil {
		l.Holder = holder.claimant(p.names)
	}
	p.lost = append(p.lost, l)
}

// reserve makes e a reserved person, or a part of the one with the same key.
func (m *matching) reserve(e *entry, people map[string]*person) {
	own := e.ownAddresses()
	r := people[own[0]]
	if r == nil {
		r = &person{reserved: true}
		people[own[0]] = r
	}
	e.person = r
	r.entries, r.own = append(r.entries, e), append(r.own, own...)
}

// contest decides rule 4 for the entries of one source, and returns its people.
func (m *matching) contest(entries []*entry) (people []*person) {
	owners := map[string][]*entry{}
	for _, e := range entries {
		for _, a := range m.own[e] {
			owners[a] = append(owners[a], e)
		}
	}
	left, ambiguous := map[*entry][]string{}, links{}
	for _, a := range slices.Sorted(maps.Keys(owners)) {
		winners, contends := m.contenders(owners[a])
		for _, e := range owners[a] {
			switch {
			case len(winners) > 1 && contends(e), e == winners[0]:
				left[e] = append(left[e], a)
			case contends(e):
				m.report(a, e, winners[0], WhyOnly)
			default:
				m.report(a, e, winners[0], WhyNoPhoto)
			}
		}
		if len(winners) > 1 {
			ambiguous.add(winners)
		}
	}
	together := map[*entry]*person{}
	for _, e := range entries {
		if m.own[e] = left[e]; len(left[e]) == 0 {
			e.person = nobody
			continue
		}
		first := ambiguous.first(e)
		u := together[first]
		if u == nil {
			u = &person{}
			together[first] = u
			people = append(people, u)
		}
		u.entries, u.own = append(u.entries, e), append(u.own, left[e]...)
	}
	for _, u := range people {
		u.own, _ = Addresses(u.own, nil)
		u.ambiguous = len(u.entries) > 1
	}
	return people
}

// contenders returns those of one source's owners of an address that do not lose
// it to another one, and which of the others lose it although they may have a photo.
func (m *matching) contenders(owners []*entry) (winners []*entry, contends func(*entry) bool) {
	mayHave := func(e *entry) bool { return e.photo != Absent }
	contends = func(*entry) bool { return true }
	if slices.ContainsFunc(owners, mayHave) {
		contends = mayHave
	}
	var only []*entry // own nothing else
	for _, e := range owners {
		if contends(e) {
			winners = append(winners, e)
			if len(m.own[e]) == 1 {
				only = append(only, e)
			}
		}
	}
	if len(only) == 1 {
		winners = only
	}
	return winners, contends
}

// precedence decides rule 5: which of a source's people are people of the sources
// before it.
func (m *matching) precedence(people []*person) {
	holders := make([][]*person, len(people)) // the earlier people with an address of each
	joins := map[*person]int{}                // how many would be candidates of an earlier one
	for i, u := range people {
		for _, a := range u.own {
			h := m.holder[a]
			if h == nil || slices.Contains(holders[i], h) {
				continue
			}
			if holders[i] = append(holders[i], h); u.ambiguous {
				break // one is enough
			}
		}
		if len(holders[i]) == 1 && !u.ambiguous {
			joins[holders[i][0]]++
		}
	}
	for i, u := range people {
		why := WhySpans
		switch h := holders[i]; {
		case len(h) == 0:
			m.assign(u, u)
			continue
		case u.ambiguous:
			why = WhyEarlier
		case len(h) > 1:
		case h[0].ambiguous:
			why = WhyAmbiguous
		case joins[h[0]] > 1:
			why = WhyBoth
		default:
			h[0].entries = append(h[0].entries, u.entries...)
			h[0].own, _ = Addresses(append(h[0].own, u.own...), nil)
			m.assign(u, h[0])
			continue
		}
		m.conflict(u, why)
	}
}

// assign makes the entries and addresses of u those of p.
func (m *matching) assign(u, p *person) {
	for _, e := range u.entries {
		e.person = p
	}
	for _, a := range u.own {
		m.holder[a] = p
	}
}

// conflict takes from u what people of earlier sources hold. The rest is ambiguous.
func (m *matching) conflict(u *person, why Why) {
	rest := &person{ambiguous: true}
	for _, e := range u.entries {
		n := len(rest.own)
		for _, a := range m.own[e] {
			if h := m.holder[a]; h != nil {
				m.report(a, e, h.entries[0], why)
			} else {
				rest.own = append(rest.own, a)
			}
		}
		if e.person = nobody; len(rest.own) > n {
			rest.entries = append(rest.entries, e)
		}
	}
	rest.own, _ = Addresses(rest.own, nil)
	m.assign(rest, rest)
}

// decide returns the claim of the person who holds an address, if anybody does, and
// takes it from those who list it as an alias (rules 2, 3 and 6).
func (p *People) decide(address string, group []claim) (holder claim, ok bool) {
	slices.SortFunc(group, func(a, b claim) int { return a.entry.compare(b.entry) })
	var aliases []claim // of people, by precedence
	for _, c := range group {
		switch e := c.entry; {
		case e.person == nobody:
		case e.holdsOwn(address):
			if !ok || e.isKey(address) { // several reserved people may own it
				holder, ok = c, true
			}
		case !e.owns(address):
			aliases = append(aliases, c)
		}
	}
	why, other := WhyOwn, (*entry)(nil)
	switch {
	case p.reserved[address]:
		why = WhyReserved
	case !ok && len(aliases) > 0:
		holder, ok, why = aliases[0], true, WhyEarlier
		first := holder.entry
		i := slices.IndexFunc(aliases, func(c claim) bool { return c.entry.source == first.source && !c.entry.with(first) })
		if i > 0 {
			ok, why, other = false, WhyShared, aliases[i].entry
		}
	}
	for _, c := range aliases {
		switch {
		case why == WhyReserved:
			p.loseAlias(address, c.entry, nil, why)
		case !c.entry.with(holder.entry):
			p.loseAlias(address, c.entry, holder.entry, why)
		case why == WhyShared:
			p.loseAlias(address, c.entry, other, why)
		}
	}
	return holder, ok
}

// holdsOwn reports whether an address is an own one of the entry's person.
func (e *entry) holdsOwn(address string) bool {
	if e.person == nil {
		return e.owns(address)
	}
	_, found := slices.BinarySearch(e.person.own, address)
	return found
}

// with reports whether two entries belong to the same person.
func (e *entry) with(o *entry) bool { return e == o || e.person != nil && e.person == o.person }

// loseAlias takes an alias from the person of e.
func (p *People) loseAlias(address string, e, holder *entry, why Why) {
	p.report(address, e, holder, why)
	if e.person == nil {
		e.person = &person{own: e.ownAddresses(), entries: []*entry{e}}
	}
	e.person.lost = append(e.person.lost, address)
}
