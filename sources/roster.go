package sources

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// runLength is how many people are sorted at once.
const runLength = 1 << 14

// roster is everyone that one source listed, packed: sorted runs, in which an
// address is what differs from the one before, and what repeats (domains, folders,
// endings) stands once in a table.
type roster struct {
	pending []Person
	runs    [][]byte
	words   words
	aliases []uint32 // hashes of all addresses but the first of each person
	scratch []byte
}

func (r *roster) add(p Person) {
	r.pending = append(r.pending, p)
	if len(r.pending) == runLength {
		r.flush()
	}
}

// flush packs what is pending into another run.
func (r *roster) flush() {
	type slot struct {
		head uint64 // of the address: most comparisons need no more
		p    *Person
	}
	slots := make([]slot, len(r.pending))
	for i := range r.pending {
		p := &r.pending[i]
		var head [8]byte
		copy(head[:], p.Emails[0])
		slots[i] = slot{binary.BigEndian.Uint64(head[:]), p}
		for _, e := range p.Emails[1:] {
			r.aliases = append(r.aliases, hash(e))
		}
	}
	slices.SortFunc(slots, func(a, b slot) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return strings.Compare(a.p.Emails[0], b.p.Emails[0])
	})
	b, before := r.scratch[:0], ""
	for _, s := range slots {
		b = r.pack(b, s.p, before)
		before = s.p.Emails[0]
	}
	if len(b) > 0 {
		r.runs = append(r.runs, slices.Clone(b))
	}
	clear(r.pending)
	r.pending, r.scratch = r.pending[:0], b
}

// finish packs the rest.
func (r *roster) finish() {
	r.flush()
	r.pending, r.scratch, r.words.numbers = nil, nil, nil
}

// What a packed person has; the Presence is in the bits above.
const (
	hasAliases = 1 << iota
	hasName
	hasKey
	refWithEmail
	refWithName
	markInParts
	presence = iota
)

// pack appends a person, who comes after the one with the address before.
func (r *roster) pack(b []byte, p *Person, before string) []byte {
	email := p.Emails[0]
	shared := 0
	for shared < min(len(email), len(before)) && email[shared] == before[shared] {
		shared++
	}
	local := max(strings.LastIndexByte(email, '@'), shared)
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendText(b, email[shared:local])
	b = r.words.append(b, email[local:])

	at, name := strings.Index(p.Ref.Name, email), strings.Index(p.Ref.Name, p.DisplayName)
	kind, mark, tail := splitStamp(p.Stamp)
	f := flags(p)
	for _, o := range []struct {
		flag byte
		set  bool
	}{{refWithEmail, at >= 0}, {refWithName, f&hasName != 0 && name >= 0}, {markInParts, kind != "" || tail != ""}} {
		if o.set {
			f |= o.flag
		}
	}
	b = append(b, f)
	if at >= 0 {
		b = r.words.append(b, p.Ref.Name[:at])
		b = r.words.append(b, p.Ref.Name[at+len(email):])
	} else {
		folder, own, parent := splitRef(p.Ref.Name)
		b = r.words.append(b, folder)
		b = appendText(b, own)
		b = r.words.append(b, parent)
	}
	if f&markInParts != 0 {
		b = r.words.append(r.words.append(b, kind), tail)
	}
	b = appendPacked(b, mark)
	if f&hasKey != 0 {
		b = appendPacked(b, p.Ref.Key)
	}
	switch {
	case f&refWithName != 0:
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(name)), uint64(len(p.DisplayName)))
	case f&hasName != 0:
		b = appendText(b, p.DisplayName)
	}
	if len(p.Emails) > 1 {
		b = binary.AppendUvarint(b, uint64(len(p.Emails)-1))
		for _, e := range p.Emails[1:] {
			at := max(strings.LastIndexByte(e, '@'), 0)
			b = appendText(b, e[:at])
			b = r.words.append(b, e[at:])
		}
	}
	return b
}

func flags(p *Person) byte {
	f := byte(p.HasPhoto) << presence
	if len(p.Emails) > 1 {
		f |= hasAliases
	}
	if p.DisplayName != "" {
		f |= hasName
	}
	if p.Ref.Key != "" {
		f |= hasKey
	}
	return f
}

// splitRef cuts a reference into the folder it is in, what is its own, and, for a
// DN, the entry it is below: people share the first and the last.
func splitRef(name string) (folder, own, parent string) {
	if i := strings.IndexByte(name, ','); i >= 0 {
		return "", name[:i], name[i:]
	}
	i := strings.LastIndexByte(name, '/') + 1
	return name[:i], name[i:], ""
}

// splitStamp cuts a mark of a directory into the attribute's name, what is its own,
// and the end that counts nothing most of the time: "entryCSN=", a time, and
// "#000000#000#000000".
func splitStamp(s string) (kind, mark, tail string) {
	i := strings.IndexByte(s, '=') + 1
	kind, mark = s[:i], s[i:]
	if i := strings.IndexByte(mark, '#'); i >= 0 {
		mark, tail = mark[:i], mark[i:]
	}
	return kind, mark, tail
}

// cursor reads a run. After next it is at a person, whose address is the key;
// person reads the rest, once, and must be called.
type cursor struct {
	roster *roster
	source int
	rest   []byte
	key    []byte
	text   []byte // of the person, before it becomes a string
	ends   []int  // of the parts of text
	emails []string
}

func (c *cursor) next() bool {
	if len(c.rest) == 0 {
		return false
	}
	c.key = c.key[:c.uvarint()]
	c.key = c.appendText(c.key)
	c.key = c.appendWord(c.key)
	return true
}

// person unpacks the rest of the person that c is at. All texts share one string;
// the addresses are good until c comes to one with others.
func (c *cursor) person() Person {
	c.text = append(c.text[:0], c.key...)
	c.ends = append(c.ends[:0], len(c.text))
	end := func() { c.ends = append(c.ends, len(c.text)) }
	flags := c.rest[0]
	c.rest = c.rest[1:]
	c.text = c.appendWord(c.text)
	if flags&refWithEmail != 0 {
		c.text = append(c.text, c.key...)
	} else {
		c.text = c.appendText(c.text)
	}
	c.text = c.appendWord(c.text)
	end()
	ref := c.text[c.ends[0]:]
	tail := ""
	if flags&markInParts != 0 {
		c.text = c.appendWord(c.text)
		tail = c.word()
	}
	c.text = append(c.appendUnpacked(c.text), tail...)
	end()
	if flags&hasKey != 0 {
		c.text = c.appendUnpacked(c.text)
	}
	end()
	switch {
	case flags&refWithName != 0:
		at := c.uvarint()
		c.text = append(c.text, ref[at:at+c.uvarint()]...)
	case flags&hasName != 0:
		c.text = c.appendText(c.text)
	}
	end()
	if flags&hasAliases != 0 {
		for range c.uvarint() {
			c.text = c.appendText(c.text)
			c.text = c.appendWord(c.text)
			end()
		}
	}
	all := string(c.text)
	part := func(i int) string { return all[c.ends[i-1]:c.ends[i]] }
	c.emails = append(c.emails[:0], all[:c.ends[0]])
	for i := 5; i < len(c.ends); i++ {
		c.emails = append(c.emails, part(i))
	}
	return Person{
		Emails: c.emails, Ref: Ref{Name: part(1), Key: part(3)}, Stamp: part(2), DisplayName: part(4), HasPhoto: Presence(flags >> presence),
	}
}
