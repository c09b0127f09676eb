package sources

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Joined is a person as all sources together know them.
type Joined struct {
	Own         []string // sorted; the first is the person's key in the state and in reports
	Aliases     []string // other addresses that the person holds, sorted
	DisplayName string
	Candidates  []Candidate // by precedence, at least one: the first that has a photo wins
	// Ambiguous: nobody can say whose the own addresses are, and no photo may be
	// taken. The candidates are the entries of one source that own them.
	Ambiguous bool
	Reserved  bool // all own addresses are, so the person is excluded
}

// Candidate is a person in one source, as listed, with a digest of the Stamp.
type Candidate struct {
	Source int // index into the sources given to Join
	Person
}

// Claimant is an entry that claims an address.
type Claimant struct{ Source, Ref string } // the names of both

func (c Claimant) String() string { return fmt.Sprintf("%q of source %q", c.Ref, c.Source) }

// LostClaim is an address that an entry lists and does not hold.
type LostClaim struct {
	Address string
	Loser   Claimant
	Holder  Claimant // who holds the address, or the other one who claims it; zero: it is reserved
	Why     Why
}

// Why is the rule by which a claim was lost, in words that follow the holder.
type Why string

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
	instead := fmt.Sprintf(" but for %v", l.Holder)
	switch l.Why {
	case WhyShared:
		instead = fmt.Sprintf(", nor for %v", l.Holder)
	case WhyReserved:
		instead = ""
	}
	return fmt.Sprintf("%s is not counted for %v%s: %s", l.Address, l.Loser, instead, l.Why)
}

// People are those of all sources, joined. All methods are safe for concurrent use.
type People struct {
	names    []string // of the sources
	claims   []claim  // after Join: who holds which address, sorted by address
	reserved map[string]bool
	lost     []LostClaim
}

// All yields everybody, sorted by key.
func (p *People) All() iter.Seq[Joined] {
	return func(yield func(Joined) bool) {
		for _, c := range p.claims {
			if c.entry.hasKey(c.address) && !yield(c.entry.joined()) {
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
		c := e.candidate()
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
	if !found || p.reserved[address] {
		return Joined{}, false
	}
	return p.claims[i].entry.joined(), true
}

// Reserved reports whether exclude_filter leaves out the entry with an address.
func (p *People) Reserved(address string) bool { return p.reserved[address] }

// Lost returns the claims that were lost, sorted by address, for reading only.
func (p *People) Lost() []LostClaim { return p.lost }
