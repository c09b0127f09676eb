package sources

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
)

// entry is a Person of one source as People keeps it. There are as many as
// employees: all texts are one string, and a digest stands for the stamp.
type entry struct {
	text   string
	ends   [displayName]uint32 // of the parts of text
	stamp  [16]byte            // zero: none
	source uint16
	photo  Presence
	person *person // whom it belongs to; nil: it is a person alone and holds all its addresses
}

// The parts of an entry's text. Addresses have a space between two.
const (
	refName = iota
	refKey
	refMark
	own
	aliases
	displayName
)

func newEntry(source int, p *Person) *entry {
	parts := [...]string{
		refName: p.Ref.Name, refKey: p.Ref.Key, refMark: p.Ref.Mark,
		own: strings.Join(p.Own, " "), aliases: strings.Join(p.Aliases, " "), displayName: p.DisplayName,
	}
	e := &entry{text: strings.Join(parts[:], ""), source: uint16(source), photo: p.HasPhoto}
	end := 0
	for i := range e.ends {
		end += len(parts[i])
		e.ends[i] = uint32(end)
	}
	if p.Stamp != "" {
		sum := sha256.Sum256([]byte(p.Stamp))
		copy(e.stamp[:], sum[:])
	}
	return e
}

func (e *entry) part(i int) string {
	from, to := 0, len(e.text)
	if i > refName {
		from = int(e.ends[i-1])
	}
	if i < displayName {
		to = int(e.ends[i])
	}
	return e.text[from:to]
}

func (e *entry) own() []string     { return strings.Fields(e.part(own)) }
func (e *entry) aliases() []string { return strings.Fields(e.part(aliases)) }
func (e *entry) ref() Ref          { return Ref{e.part(refName), e.part(refKey), e.part(refMark)} }

// owns reports whether an address of the entry is an own one.
func (e *entry) owns(address string) bool {
	return e.part(own) == address || slices.Contains(e.own(), address)
}

// personal are the own addresses of the entry's person, sorted. The first is the key.
func (e *entry) personal() []string {
	if e.person != nil {
		return e.person.own
	}
	return e.own()
}

// hasKey reports whether an address is the first one of the entry's person.
func (e *entry) hasKey(address string) bool {
	if e.person != nil {
		return e.person.own[0] == address
	}
	rest, found := strings.CutPrefix(e.part(own), address)
	return found && (rest == "" || rest[0] == ' ')
}

// compare orders entries by source and reference; what a source lists first
// decides nothing.
func (e *entry) compare(o *entry) int {
	return cmp.Or(cmp.Compare(e.source, o.source), strings.Compare(e.part(refName), o.part(refName)), strings.Compare(e.text, o.text))
}

// with reports whether two entries belong to the same person.
func (e *entry) with(o *entry) bool { return e == o || e.person != nil && e.person == o.person }

func (e *entry) candidate() Candidate {
	p := Person{Own: e.own(), Aliases: e.aliases(), DisplayName: e.part(displayName), Ref: e.ref(), HasPhoto: e.photo}
	if e.stamp != [16]byte{} {
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

// nobody is the person of entries without an own address left, and of those listed twice.
var nobody = &person{own: []string{""}}

// claim is an address that an entry lists.
type claim struct {
	address string
	entry   *entry
}

func (c claim) compare(o claim) int { return strings.Compare(c.address, o.address) }
