package ldap

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"photosync/sources"
)

const (
	// maxEntry bounds the memory of one entry; values beyond it are dropped, and
	// their size is kept.
	maxEntry = 4 * sources.MaxPhotoBytes
	// attributeCost and valueCost are what one takes beside its bytes.
	attributeCost, valueCost = 96, 24
	// maxBlock is how many bytes of small values share their memory.
	maxBlock = 1 << 10
)

const notLDAPHint = "check address and port in urls: is that an LDAP server, and is TLS meant?"

var (
	errMalformed = &problem{text: "the server's answer is not LDAP", hint: notLDAPHint}
	errTooMuch   = &problem{text: "the server's answer is larger than any that makes sense", hint: notLDAPHint}
)

// entry is what a search gives for one entry.
type entry struct {
	dn    string
	attrs []attribute
}

// attribute has the name as the server writes it, its options apart.
type attribute struct {
	name, options string
	values        [][]byte
	dropped       int // the size of the largest value that was too large to be held; 0: none
}

// values returns the values of an attribute in any case and with any option
// (";binary", ";lang-de").
func (e *entry) values(name string) [][]byte {
	for i, a := range e.attrs {
		if !strings.EqualFold(a.name, name) {
			continue
		}
		vs := a.values
		for _, more := range e.attrs[i+1:] {
			if strings.EqualFold(more.name, name) {
				vs = append(vs[:len(vs):len(vs)], more.values...)
			}
		}
		return vs
	}
	return nil
}

// text returns the first value of an attribute; empty: there is none.
func (e *entry) text(name string) string {
	if vs := e.values(name); len(vs) > 0 {
		return string(vs[0])
	}
	return ""
}

// texts returns the values of an attribute.
func (e *entry) texts(name string) []string {
	vs := e.values(name)
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = string(v)
	}
	return out
}

// ranged reports whether the server gave a part only of the values of one of these
// attributes: Active Directory does that where there are many ([MS-ADTS], section
// 3.1.1.3.1.3.3).
func (e *entry) ranged(names []string) bool {
	for _, a := range e.attrs {
		options := strings.ToLower(a.options)
		if strings.Contains(options, "range=") && !strings.HasSuffix(options, "-*") &&
			slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, a.name) }) {
			return true
		}
	}
	return false
}

// decoder reads a SearchResultEntry (RFC 4511, section 4.5.2) in the subset of BER that
// LDAP allows (section 5.1). After the first error, err, it gives zero values.
type decoder struct {
	r      *bufio.Reader
	left   int // bytes of the message
	end    int // how many of them are left at the end of the element that is being read
	budget int // bytes of memory that may still be taken
	lender *sources.Buffers
	block  []byte // where short values go
	err    error
}

// entry reads the entry from its protocolOp on, and the message to its end.
func (d *decoder) entry() (*entry, error) {
	d.block = make([]byte, 0, min(d.left, maxBlock))
	e := &entry{}
	message := d.enter(tagEntry)
	dn, _ := d.octets()
	e.dn = string(dn)
	op := d.enter(0x30)
	for d.more() {
		e.attrs = append(e.attrs, d.attribute())
	}
	d.leave(op)
	d.leave(message)
	d.skip(d.left) // controls
	return e, d.err
}

func (d *decoder) attribute() attribute {
	var a attribute
	if d.budget -= attributeCost; d.budget < 0 {
		d.fail(errTooMuch)
	}
	list := d.enter(0x30)
	name, _ := d.octets()
	a.name, a.options, _ = strings.Cut(string(name), ";")
	own := d.enter(0x31)
	for d.more() {
		v, n := d.octets()
		if v == nil {
			a.dropped = max(a.dropped, n)
			continue
		}
		a.values = append(a.values, v)
	}
	d.leave(own)
	d.leave(list)
	return a
}

// enter goes into an element that holds others. It returns the end of the one
// around it, for leave.
func (d *decoder) enter(tag byte) (outer int) {
	n := d.element(tag)
	outer, d.end = d.end, d.left-n
	return outer
}

// leave goes to the end of an element and back into the one around it.
func (d *decoder) leave(outer int) {
	d.skip(d.left - d.end)
	d.end = outer
}

func (d *decoder) more() bool { return d.err == nil && d.left > d.end }

// octets reads an OCTET STRING. It is nil, with its length, when it is too large
// to be held.
func (d *decoder) octets() ([]byte, int) {
	n := d.element(0x04)
	switch {
	case d.err != nil:
		return nil, 0
	case n > sources.MaxPhotoBytes || n+valueCost > d.budget:
		d.skip(n)
		return nil, max(n, 1)
	}
	d.budget -= n + valueCost
	var b []byte
	if have := len(d.block); n <= cap(d.block)-have {
		d.block = d.block[:have+n]
		b = d.block[have : have+n : have+n]
	} else {
		b = d.lender.Get(n)
	}
	d.read(b)
	return b, n
}

// element reads a tag, which must be this one, and a length.
func (d *decoder) element(tag byte) int {
	got := d.byte()
	field := [5]byte{d.byte()}
	if more := int(field[0] & 0x7f); field[0]&0x80 != 0 && more < len(field) {
		for i := range more {
			field[1+i] = d.byte()
		}
	}
	n, _, ok := berLength(field[:])
	if got != tag || !ok || n > d.left-d.end {
		d.fail(errMalformed)
		return 0
	}
	return n
}

// berLength reads the length field that b begins with, and how many bytes it has
// (X.690, section 8.1.3).
func berLength(b []byte) (n, width int, ok bool) {
	if b[0]&0x80 == 0 {
		return int(b[0]), 1, true
	}
	more := int(b[0] & 0x7f)
	if more == 0 || more > 4 || more >= len(b) {
		return 0, 0, false
	}
	for _, c := range b[1 : 1+more] {
		n = n<<8 | int(c)
	}
	return n, 1 + more, n >= 0
}

func (d *decoder) byte() byte {
	if !d.more() {
		d.fail(errMalformed)
		return 0
	}
	b, err := d.r.ReadByte()
	d.left--
	d.fail(err)
	return b
}

func (d *decoder) read(b []byte) {
	if d.err != nil {
		return
	}
	d.left -= len(b)
	_, err := io.ReadFull(d.r, b)
	d.fail(err)
}

func (d *decoder) skip(n int) {
	switch {
	case d.err != nil || n == 0:
	case n < 0:
		d.fail(errMalformed)
	default:
		d.left -= n
		_, err := d.r.Discard(n)
		d.fail(err)
	}
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}
