package sources

import (
	"hash/maphash"
	"slices"
)

var seed = maphash.MakeSeed()

func hash(email string) uint32 { return uint32(maphash.String(seed, email)) }

// claims are the addresses, by hash, that tangled people share with each other.
// Two addresses with one hash make more people tangled than are: that costs a
// little memory, and changes nothing.
type claims map[uint32]bool

func (c claims) has(emails []string) bool {
	return len(c) > 0 && slices.ContainsFunc(emails, func(e string) bool { return c[hash(e)] })
}

// untangle finds the people who share an address that is not the first one of all
// who have it, with everyone who shares any address with these, and reconciles
// them. The others need only their neighbours in the sorted listing.
func (p *People) untangle() {
	var aliases []uint32
	for _, r := range p.rosters {
		aliases = append(aliases, r.aliases...)
		r.aliases = nil
	}
	if len(aliases) == 0 {
		return
	}
	slices.Sort(aliases)
	p.claimed = p.contested(aliases)
	if len(p.claimed) == 0 {
		return
	}
	// Whatever else these people share is the first address of all who have it:
	// with it, all of them are found, and another round would find nobody.
	for c := range p.listed() {
		if p.claimed.has(c.Emails) {
			p.claimed[hash(c.Emails[0])] = true
		}
	}
	tangled := make([][]Person, len(p.rosters))
	for c := range p.listed() {
		if p.claimed.has(c.Emails) {
			c.Emails = slices.Clone(c.Emails)
			tangled[c.Source] = append(tangled[c.Source], c.Person)
		}
	}
	p.tangled = reconcile(tangled)
}

// contested returns the addresses that somebody has as an alias and somebody else
// has too, and the first addresses that two people of one source share if one of
// them has another. aliases are sorted.
func (p *People) contested(aliases []uint32) claims {
	found := claims{}
	for i := 1; i < len(aliases); i++ {
		if aliases[i] == aliases[i-1] {
			found[aliases[i]] = true
		}
	}
	source, several := -1, false // of those with this first address in the source at hand
	for c, last := range p.listed() {
		h := hash(c.Emails[0])
		if _, alias := slices.BinarySearch(aliases, h); alias {
			found[h] = true
		}
		again := c.Source == source
		several = again && several || len(c.Emails) > 1
		if again && several {
			found[h] = true
		}
		if source = c.Source; last {
			source = -1
		}
	}
	return found
}
