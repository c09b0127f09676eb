package sources

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Joined is a person as all sources together know them.
type Joined struct {
	Own         []string // sorted; the first is the person's key in the state and in reports
	Aliases     []string // other addresses that the person holds, sorted
	DisplayName string
	Candidates  []Candidate // by precedence, at least one: the first that has a photo wins
	// Ambiguous: it is not known who has the own addresses, so no photo may be used. The
	// candidates are the entries of one source that own them.
	Ambiguous bool
	Reserved  bool // an own address of a candidate is reserved, so the person is excluded
}

// Candidate is a person in one source, as listed, with a digest of a long Stamp.
type Candidate struct {
	Source int // index into the sources given to Join
	Person
	Rewritten []string // own addresses that the source lists with another domain
}

// Claimant is an entry that claims an address.
type Claimant struct{ Source, Ref string } // the names of both

func (c Claimant) String() string { return fmt.Sprintf("%q of source %q", c.Ref, c.Source) }

// LostClaim is an address that an entry lists, but does not hold.
type LostClaim struct {
	Address string
	Loser   Claimant
	Holder  Claimant // who holds the address, or else also claims it; zero: it is reserved
	Why     Why
}

// Why is the rule by which a claim was lost, as the end of a sentence.
type Why string

const (
	WhyReserved  Why = "it belongs to an entry that exclude_filter leaves out"
	WhyExcluded  Why = "exclude_filter leaves this person out, by another entry"
	WhyOwn       Why = "an own address goes before an alias"
	WhyRewritten Why = "the holder is listed with this address, and match.domains made it of another one"
	WhyNoPhoto   Why = "an entry that may have a photo goes before one without"
	WhyOnly      Why = "the holder has no other own address"
	WhyEarlier   Why = "the source that comes first decides"
	WhyAmbiguous Why = "the holder is ambiguous, and a later source does not decide that"
	WhySpans     Why = "the entry's own addresses belong to two people"
	WhyBoth      Why = "two entries of one source have addresses of this one person"
	WhyShared    Why = "two people of one source list it as an alias, so nobody holds it"
)

// String returns the claim as a sentence without its full stop.
func (l LostClaim) String() string {
	switch l.Why {
	case WhyShared:
		return fmt.Sprintf("%s counts neither for %v nor for %v: %s", l.Address, l.Loser, l.Holder, l.Why)
	case WhyReserved, WhyExcluded:
		return fmt.Sprintf("%s does not count for %v: %s", l.Address, l.Loser, l.Why)
	}
	return fmt.Sprintf("%s counts for %v, not for %v: %s", l.Address, l.Holder, l.Loser, l.Why)
}

// People are the people of all sources, joined. Several goroutines may read them.
type People struct {
	Reserved map[string]bool // addresses of entries that exclude_filter leaves out
	Lost     []LostClaim     // sorted by address

	names   []string        // of the sources
	claims  []claim         // after Join: who holds which address, sorted by address
	entries []entry         // room for the next entries, see newEntry
	texts   strings.Builder // and for their texts
}

// All returns everybody, sorted by key.
func (p *People) All() iter.Seq[Joined] {
	return func(yield func(Joined) bool) {
		for _, c := range p.claims {
			if c.key && !yield(c.entry.joined(Joined{})) {
				return
			}
		}
	}
}

// Pull returns a function that returns the people of All one by one. The slices of a person are
// valid until the next call; Clone copies them.
func (p *People) Pull() (next func() (Joined, bool)) {
	left, j := p.claims, Joined{}
	return func() (Joined, bool) {
		for len(left) > 0 {
			c := left[0]
			if left = left[1:]; c.key {
				j = c.entry.joined(j)
				return j, true
			}
		}
		return Joined{}, false
	}
}

// Any reports whether is holds for one of the person's own addresses or aliases.
func (j Joined) Any(is func(email string) bool) bool {
	return slices.ContainsFunc(j.Own, is) || slices.ContainsFunc(j.Aliases, is)
}

// Clone returns a deep copy of j.
func (j Joined) Clone() Joined {
	j.Own, j.Aliases, j.Candidates = slices.Clone(j.Own), slices.Clone(j.Aliases), slices.Clone(j.Candidates)
	for i := range j.Candidates {
		c := &j.Candidates[i]
		c.Own, c.Aliases = slices.Clone(c.Own), slices.Clone(c.Aliases)
	}
	return j
}

// joined returns the entry's person. It reuses the slices of room.
func (e *entry) joined(room Joined) Joined {
	j, p := Joined{Own: room.Own[:0], Aliases: room.Aliases[:0], Candidates: room.Candidates[:0]}, e.person
	if p == nil { // nearly everybody
		c := e.candidate(j.Own, j.Aliases)
		return Joined{Own: c.Own, Aliases: c.Aliases, DisplayName: c.DisplayName, Candidates: append(j.Candidates, c)}
	}
	j.Own, j.Ambiguous = append(j.Own, p.own...), p.ambiguous
	for _, e := range p.entries {
		j.Reserved = j.Reserved || e.reserved
		c := e.candidate(nil, nil)
		j.Candidates = append(j.Candidates, c)
		j.DisplayName = cmp.Or(j.DisplayName, c.DisplayName)
		j.Aliases = append(j.Aliases, c.Aliases...)
	}
	_, j.Aliases = Addresses(j.Own, j.Aliases)
	j.Aliases = slices.DeleteFunc(j.Aliases, func(a string) bool { return slices.Contains(p.lost, a) })
	return j
}

// Holder returns the person who holds a canonical address, as an own one or as an
// alias. Ambiguous people hold their addresses too. Nobody holds a reserved one.
func (p *People) Holder(address string) (Joined, bool) {
	i, found := slices.BinarySearchFunc(p.claims, claim{address: address}, claim.compare)
	if !found || p.Reserved[address] {
		return Joined{}, false
	}
	return p.claims[i].entry.joined(Joined{}), true
}

// entry is a Person of one source as People stores it. There are as many as
// employees: all texts are one string, and a digest stands for a long stamp.
type entry struct {
	text     string
	bounds   [partStamp + 2]uint32 // of the parts of text
	source   uint16
	photo    Presence
	reserved bool    // one of its own addresses is reserved
	person   *person // who it belongs to; nil: the entry alone is a person, and holds all its addresses
}

// The parts of an entry's text. Addresses have a space between two.
const (
	partName = iota // of the reference, like the next two
	partKey
	partMark
	partOwn
	partRewritten // own addresses that the entry lists with another domain
	partAliases
	partDisplayName
	partStamp
)

// newEntry stores an entry; rewritten are those of its own addresses that it lists with another
// domain. Many entries share one piece of memory, to spare the garbage collector.
func (ps *People) newEntry(source int, p *Person, rewritten []string) *entry {
	parts := [...]string{
		partName: p.Ref.Name, partKey: p.Ref.Key, partMark: p.Ref.Mark, partOwn: strings.Join(p.Own, " "),
		partRewritten: strings.Join(rewritten, " "), partAliases: strings.Join(p.Aliases, " "),
		partDisplayName: p.DisplayName, partStamp: p.Stamp,
	}
	if len(p.Stamp) > 16 {
		sum := sha256.Sum256([]byte(p.Stamp))
		parts[partStamp] = string(sum[:16])
	}
	if ps.texts.Cap()-ps.texts.Len() < 4<<10 {
		ps.texts.Reset()
		ps.texts.Grow(64 << 10)
	}
	if len(ps.entries) == cap(ps.entries) {
		ps.entries = make([]entry, 0, 512)
	}
	ps.entries = append(ps.entries, entry{source: uint16(source), photo: p.HasPhoto})
	e, from := &ps.entries[len(ps.entries)-1], ps.texts.Len()
	for i, part := range parts {
		ps.texts.WriteString(part)
		e.bounds[i+1] = uint32(ps.texts.Len() - from)
	}
	e.text = ps.texts.String()[from:]
	return e
}

func (e *entry) part(i int) string { return e.text[e.bounds[i]:e.bounds[i+1]] }

func (e *entry) own() []string { return strings.Fields(e.part(partOwn)) }
func (e *entry) ref() Ref      { return Ref{e.part(partName), e.part(partKey), e.part(partMark)} }

// owns reports whether address is an own address of the entry.
func (e *entry) owns(address string) bool {
	return e.part(partOwn) == address || slices.Contains(e.own(), address)
}

// rewrote reports whether the entry lists address with another domain.
func (e *entry) rewrote(address string) bool {
	return slices.Contains(strings.Fields(e.part(partRewritten)), address)
}

// held returns the own addresses of the entry's person; the first is the person's key.
func (e *entry) held() []string {
	if e.person != nil {
		return e.person.own
	}
	return e.own()
}

// compare orders entries by source and reference. The order in which a source lists them does not matter.
func (e *entry) compare(o *entry) int {
	return cmp.Or(cmp.Compare(e.source, o.source), strings.Compare(e.part(partName), o.part(partName)), strings.Compare(e.text, o.text))
}

// with reports whether two entries belong to the same person.
func (e *entry) with(o *entry) bool { return e == o || e.person != nil && e.person == o.person }

// candidate returns the entry as a Candidate. It appends the addresses to own and aliases.
func (e *entry) candidate(own, aliases []string) Candidate {
	own = slices.AppendSeq(own, strings.FieldsSeq(e.part(partOwn)))
	aliases = slices.AppendSeq(aliases, strings.FieldsSeq(e.part(partAliases)))
	person := Person{own, aliases, e.part(partDisplayName), e.ref(), e.part(partStamp), e.photo}
	return Candidate{int(e.source), person, strings.Fields(e.part(partRewritten))}
}

// person is a person of several entries, or of one entry that lost an address.
type person struct {
	own       []string // sorted
	lost      []string // sorted: aliases of the entries that somebody else holds, or nobody
	entries   []*entry // by precedence
	ambiguous bool
}

// nobody is the person of entries that have no own address left, or are listed twice.
var nobody = &person{own: []string{""}}

// claim is an address that an entry lists.
type claim struct {
	address string
	entry   *entry
	key     bool // the address is the key of the entry's person
}

func (c claim) compare(o claim) int { return strings.Compare(c.address, o.address) }
