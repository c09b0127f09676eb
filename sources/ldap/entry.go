package ldap

import (
	"bytes"
	"slices"
	"strings"
)

// Tags of the subset of BER that LDAP allows (RFC 4511, section 5.1).
const (
	tagOctets   = 0x04
	tagSequence = 0x30
	tagSet      = 0x31
	tagEntry    = 0x64 // SearchResultEntry (RFC 4511, section 4.5.2)
)

// maxValues bounds the values of an entry: a large group has as many members. An entry with more
// counts as too large.
const maxValues = 1 << 20

// entry is what a search gives for one entry.
type entry struct {
	dn         string
	attributes []byte // PartialAttributeList, as it came
	tooLarge   int    // bytes of an entry that was not read but for its DN; else 0
}

// newEntry reads a SearchResultEntry of a message of this size, of one that is too large only the
// DN; nil: it is malformed.
func newEntry(b []byte, size int) *entry {
	_, at, n, ok := head(b)
	if !ok || size <= maxEntry && n > len(b)-at {
		return nil
	}
	dn, rest, ok := element(b[at:min(at+n, len(b))], tagOctets)
	if ok && size > maxEntry {
		return &entry{dn: string(dn), tooLarge: size}
	}
	list, _, ok := element(rest, tagSequence)
	e, values := &entry{dn: string(dn), attributes: list}, 0
	if !ok || !e.each(func(_, _ []byte) { values++ }) {
		return nil
	}
	if values > maxValues {
		e.attributes, e.tooLarge = nil, size
	}
	return e
}

// each calls visit for every value of every attribute, and reports whether the list is well-formed.
// The name has its options (";binary", ";lang-de").
func (e *entry) each(visit func(name, value []byte)) bool {
	for list := e.attributes; len(list) > 0; {
		pair, rest, _ := element(list, tagSequence)
		name, values, _ := element(pair, tagOctets)
		set, _, ok := element(values, tagSet)
		if !ok {
			return false
		}
		for list = rest; len(set) > 0; {
			value, rest, ok := element(set, tagOctets)
			if !ok {
				return false
			}
			visit(name, value)
			set = rest
		}
	}
	return true
}

// values returns the values of an attribute in any case and with any option.
func (e *entry) values(name string) (vs [][]byte) {
	e.each(func(full, value []byte) {
		if own, _, _ := bytes.Cut(full, []byte(";")); bytes.EqualFold(own, []byte(name)) {
			vs = append(vs, value)
		}
	})
	return vs
}

// text returns the first value of an attribute; empty: there is none.
func (e *entry) text(name string) string {
	if vs := e.values(name); len(vs) > 0 {
		return string(vs[0])
	}
	return ""
}

func (e *entry) texts(name string) (ts []string) {
	for _, v := range e.values(name) {
		ts = append(ts, string(v))
	}
	return ts
}

// ranged reports whether the server gave a part only of the values of one of these attributes:
// Active Directory does that where there are many ([MS-ADTS], section 3.1.1.3.1.3.3).
func (e *entry) ranged(names []string) (partly bool) {
	e.each(func(full, _ []byte) {
		own, options, _ := strings.Cut(strings.ToLower(string(full)), ";")
		partly = partly || strings.Contains(options, "range=") && !strings.HasSuffix(options, "-*") &&
			slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, own) })
	})
	return partly
}

// messageHead finds the protocolOp and the size of the LDAPMessage that b begins with (RFC 4511,
// section 4.1.1).
func messageHead(b []byte) (op, size int, ok bool) {
	tag, at, n, ok := head(b)
	if !ok || tag != tagSequence {
		return 0, 0, false
	}
	idTag, idAt, idN, ok := head(b[at:])
	op, size = at+idAt+idN, at+n
	return op, size, ok && idTag == 0x02 && idN >= 1 && idN <= 4 && op < min(size, len(b))
}

// element splits b behind the element that it begins with, if that has this tag and is whole.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	got, at, n, ok := head(b)
	if !ok || got != tag || n > len(b)-at {
		return nil, nil, false
	}
	return b[at : at+n : at+n], b[at+n:], true
}

// head reads the tag and length that b begins with: where the content begins, and how many bytes it
// has (X.690, section 8.1).
func head(b []byte) (tag byte, at, n int, ok bool) {
	if len(b) < 2 {
		return 0, 0, 0, false
	}
	if n = int(b[1]); n < 0x80 {
		return b[0], 2, n, true
	}
	at, n = 2+n&0x7f, 0
	if at == 2 || at > 6 || at > len(b) {
		return 0, 0, 0, false
	}
	for _, c := range b[2:at] {
		n = n<<8 | int(c)
	}
	return b[0], at, n, n >= 0
}
