package sources

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Joined is a person as all sources together know them.
type Joined struct {
	// Own are the own addresses, sorted. The first is the person's key in the
	// state and in reports.
	Own []string
	// Aliases are the other addresses that the person holds, sorted.
	Aliases     []string
	DisplayName string
	// Candidates are the places of this person's photo by precedence: the first
	// one that holds a photo wins. There is at least one.
	Candidates []Candidate
	// Ambiguous: nobody can say whose the own addresses are, and no photo may be
	// taken. The candidates are the entries of one source that own them.
	Ambiguous bool
	// Reserved: all own addresses are reserved, so the person is excluded.
	Reserved bool
}

// Candidate is a person in one source, as it was listed. Its Stamp is a digest of
// the source's.
type Candidate struct {
	Source int // index into the sources given to Join
	Person
}

// Claimant is an entry that claims an address.
type Claimant struct {
	Source string // name of the source
	Ref    string // Ref.Name
}

func (c Claimant) String() string { return fmt.Sprintf("%q of source %q", c.Ref, c.Source) }

// LostClaim is an address that an entry lists and does not hold.
type LostClaim struct {
	Address string
	Loser   Claimant
	Holder  Claimant // who holds the address, or the other one who claims it; zero: it is reserved
	Why     Why
}

// Why is the rule by which a claim was lost.
type Why string

// The rules, in words that follow the holder.
const (
	WhyReserved  Why = "it belongs to an entry that exclude_filter leaves out"
	WhyOwn       Why = "an own address goes before an alias"
	WhyNoPhoto   Why = "an entry without a photo does not contest one that may have a photo"
	WhyOnly      Why = "the holder has no other own address"
	WhyEarlier   Why = "the source that comes first decides"
	WhyAmbiguous Why = "the holder is ambiguous, and a later source does not decide that"
	WhySpans     Why = "the entry's own addresses belong to two people"
	WhyBoth      Why = "two entries of one source have addresses of this one person"
	WhyShared    Why = "two people of one source list it as an alias, so nobody holds it"
)

// String is the claim as a sentence without its period.
func (l LostClaim) String() string {
	instead := ""
	switch {
	case l.Why == WhyShared:
		instead = fmt.Sprintf(", nor for %v", l.Holder)
	case l.Holder != Claimant{}:
		instead = fmt.Sprintf(" but for %v", l.Holder)
	}
	return fmt.Sprintf("%s is not counted for %v%s: %s", l.Address, l.Loser, instead, l.Why)
}

// People are those of all sources, joined. They do not change any more, and all
// methods are safe for concurrent use.
type People struct {
	names    []string // of the sources
	claims   []claim  // after Join: who holds which address, sorted by address
	reserved map[string]bool
	lost     []LostClaim
	count    int
}

// Len is the number of people.
func (p *People) Len() int { return p.count }

// All yields everybody, sorted by key.
func (p *People) All() iter.Seq[Joined] {
	return func(yield func(Joined) bool) {
		for _, c := range p.claims {
			if c.entry.isKey(c.address) && !yield(c.entry.joined()) {
				return
			}
		}
	}
}

func (e *entry) joined() Joined {
	p := e.person
	if p == nil {
		p = &person{own: e.own(), entries: []*entry{e}}
	}
	j := Joined{Own: slices.Clone(p.own), Ambiguous: p.ambiguous, Reserved: p.reserved}
	for _, e := range p.entries {
		j.Candidates = append(j.Candidates, e.candidate())
		j.DisplayName = cmp.Or(j.DisplayName, e.part(displayName))
		j.Aliases = append(j.Aliases, e.aliases()...)
	}
	_, j.Aliases = Addresses(j.Own, j.Aliases)
	j.Aliases = slices.DeleteFunc(j.Aliases, func(a string) bool { return slices.Contains(p.lost, a) })
	return j
}

// Holder returns the person who holds a canonical address, as an own one or as an
// alias. Ambiguous people hold their addresses too. Nobody holds a reserved one.
func (p *People) Holder(address string) (Joined, bool) {
	i, found := slices.BinarySearchFunc(p.claims, address, func(c claim, a string) int { return strings.Compare(c.address, a) })
	if !found || p.reserved[address] {
		return Joined{}, false
	}
	return p.claims[i].entry.joined(), true
}

// Reserved reports whether an address belongs to an entry that exclude_filter
// leaves out.
func (p *People) Reserved(address string) bool { return p.reserved[address] }

// Lost returns the claims that were lost, sorted by address. The caller must not
// change them.
func (p *People) Lost() []LostClaim { return p.lost }
