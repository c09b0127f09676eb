package sources

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
)

// stampLength is the length of the digests that stand for stamps.
const stampLength = 16

// entry is a Person of one source as People keeps it. There are as many as
// employees: all texts are one string, and a stamp is a digest.
type entry struct {
	text    string  // the reference's name, key and mark, then what does not occur in its name
	person  *person // whom it belongs to; nil: it is a person alone and holds all its addresses
	stamp   [stampLength]byte
	key     uint32 // where the key begins in text
	mark    uint32 // where the mark does
	end     uint32 // of the mark
	at      uint32 // where the addresses begin: the own ones, then the aliases, with a space between two
	length  uint32 // of the addresses
	own     uint32 // of the own ones
	nameAt  uint32 // where the display name begins
	name    uint32 // its length
	source  uint16
	photo   Presence
	stamped bool
}

func newEntry(source int, p *Person) *entry {
	own := strings.Join(p.Own, " ")
	addresses := own
	if len(p.Aliases) > 0 {
		addresses += " " + strings.Join(p.Aliases, " ")
	}
	e := &entry{
		key: uint32(len(p.Ref.Name)), mark: uint32(len(p.Ref.Name) + len(p.Ref.Key)), own: uint32(len(own)), length: uint32(len(addresses)),
		name: uint32(len(p.DisplayName)), source: uint16(source), photo: p.HasPhoto, stamped: p.Stamp != "",
	}
	e.end = e.mark + uint32(len(p.Ref.Mark))
	end := e.end
	place := func(text string) (at uint32, rest string) {
		// A file's name holds the address, and a DN often the person's name.
		if i := strings.Index(p.Ref.Name, text); i >= 0 {
			return uint32(i), ""
		}
		at = end
		end += uint32(len(text))
		return at, text
	}
	var moreAddresses, moreName string
	e.at, moreAddresses = place(addresses)
	e.nameAt, moreName = place(p.DisplayName)
	e.text = p.Ref.Name + p.Ref.Key + p.Ref.Mark + moreAddresses + moreName
	if e.stamped {
		e.stamp = digest(p.Stamp)
	}
	return e
}

// digest is what stands for a stamp. One that has its form already stays as it is.
func digest(stamp string) (d [stampLength]byte) {
	if len(stamp) == stampLength {
		copy(d[:], stamp)
		return d
	}
	sum := sha256.Sum256([]byte(stamp))
	base64.RawURLEncoding.Encode(d[:], sum[:stampLength*3/4])
	return d
}

func split(addresses string) []string {
	switch {
	case addresses == "":
		return nil
	case strings.IndexByte(addresses, ' ') < 0:
		return []string{addresses} // nearly always
	}
	return strings.Split(addresses, " ")
}

func (e *entry) addresses() string      { return e.text[e.at:][:e.length] }
func (e *entry) ownAddresses() []string { return split(e.addresses()[:e.own]) }
func (e *entry) aliases() []string      { return split(strings.TrimPrefix(e.addresses()[e.own:], " ")) }
func (e *entry) displayName() string    { return e.text[e.nameAt:][:e.name] }

func (e *entry) ref() Ref {
	return Ref{Name: e.text[:e.key], Key: e.text[e.key:e.mark], Mark: e.text[e.mark:e.end]}
}

func (e *entry) claimant(names []string) Claimant {
	return Claimant{Source: names[e.source], Ref: e.ref().Name}
}

// owns reports whether an address of the entry is an own one.
func (e *entry) owns(address string) bool {
	own := e.addresses()[:e.own]
	return own == address || len(own) > len(address) && slices.Contains(split(own), address)
}

// isKey reports whether an address of the entry is the smallest own one of its person.
func (e *entry) isKey(address string) bool {
	switch {
	case e.person != nil:
		return e.person.own[0] == address
	case int(e.length) == len(address):
		return true // there is no other one
	}
	key, _, _ := strings.Cut(e.addresses()[:e.own], " ")
	return key == address
}

// compare orders entries by source and reference; what a source lists first
// decides nothing.
func (e *entry) compare(o *entry) int {
	if c := cmp.Or(cmp.Compare(e.source, o.source), e.ref().Compare(o.ref())); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(e.addresses(), o.addresses()), cmp.Compare(e.own, o.own),
		strings.Compare(e.displayName(), o.displayName()), cmp.Compare(e.photo, o.photo), strings.Compare(string(e.stamp[:]), string(o.stamp[:])))
}

// same reports whether o is the same entry, listed twice.
func (e *entry) same(o *entry) bool {
	return e.source == o.source && e.text[:e.mark] == o.text[:o.mark] && e.key == o.key
}

func (e *entry) candidate() Candidate {
	p := Person{Own: e.ownAddresses(), Aliases: e.aliases(), DisplayName: e.displayName(), Ref: e.ref(), HasPhoto: e.photo}
	if e.stamped {
		p.Stamp = string(e.stamp[:])
	}
	return Candidate{Source: int(e.source), Person: p}
}

// person is what several entries, or one that lost an address, make together.
type person struct {
	own       []string // sorted
	lost      []string // sorted: aliases of the entries that the person does not hold
	entries   []*entry // by precedence
	ambiguous bool
	reserved  bool
}

// nobody is the person of entries that lost all their own addresses, and of those
// listed twice.
var nobody = &person{}

func (p *person) joined() Joined {
	j := Joined{Own: slices.Clone(p.own), Ambiguous: p.ambiguous, Reserved: p.reserved}
	for _, e := range p.entries {
		j.Candidates = append(j.Candidates, e.candidate())
		j.DisplayName = cmp.Or(j.DisplayName, e.displayName())
		j.Aliases = append(j.Aliases, e.aliases()...)
	}
	_, j.Aliases = Addresses(j.Own, j.Aliases)
	j.Aliases = slices.DeleteFunc(j.Aliases, func(a string) bool {
		_, lost := slices.BinarySearch(p.lost, a)
		return lost
	})
	return j
}

// claim is an address that an entry lists.
type claim struct {
	head    uint64 // its first eight bytes: they decide most comparisons without a look at the text
	address string
	entry   *entry
}

func newClaim(address string, e *entry) claim {
	var head [8]byte
	copy(head[:], address)
	return claim{binary.BigEndian.Uint64(head[:]), address, e}
}

func (c claim) compare(o claim) int {
	if c.head != o.head {
		return cmp.Compare(c.head, o.head)
	}
	return strings.Compare(c.address, o.address)
}
