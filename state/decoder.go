package state

import (
	"encoding/hex"
	"time"
)

// decoder reads fields off the front of rest; bad sticks.
type decoder struct {
	rest  string
	bad   bool
	plain bool // texts as version 1 had them
	email string
	table []string // the texts by number
}

// newDecoder is at the first field of what is stored for email.
func newDecoder(table []string, email, data string) decoder {
	return decoder{rest: data[1 : len(data)-4], email: email, table: table}
}

func (d *decoder) take(n uint64) string {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) uvarint() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		c := d.take(1)
		if d.bad {
			return 0
		}
		v |= uint64(c[0]&0x7f) << shift
		if c[0] < 0x80 {
			return v
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) text() string {
	n := d.uvarint()
	if d.plain {
		return d.textOf(n&1, n>>1)
	}
	if n%kinds != withEmail {
		return d.textOf(n%kinds, n/kinds)
	}
	before := d.take(n / kinds)
	n = d.uvarint()
	if d.bad || n%kinds == withEmail {
		d.bad = true
		return ""
	}
	return before + d.email + d.textOf(n%kinds, n/kinds)
}

func (d *decoder) textOf(kind, n uint64) string {
	switch kind {
	case asHex:
		var digits [64]byte // enough for SHA-256 without another allocation
		return string(hex.AppendEncode(digits[:0], []byte(d.take(n))))
	case asNumber:
		if n >= uint64(len(d.table)) {
			d.bad = true
			return ""
		}
		return d.table[n]
	}
	return d.take(n)
}

// sum reads a hash as Sum gives it.
func (d *decoder) sum() string {
	n := d.uvarint()
	if n%kinds == asHex {
		return d.take(n / kinds)
	}
	return d.textOf(n%kinds, n/kinds)
}

// flags reads those of a record.
func (d *decoder) flags() uint64 {
	f := d.uvarint()
	d.bad = d.bad || f&^uint64(knownFlags) != 0
	return f
}

func (d *decoder) flag() bool {
	c := d.take(1)
	if !d.bad && c[0] > 1 {
		d.bad = true
	}
	return !d.bad && c[0] == 1
}

func (d *decoder) time() time.Time {
	ns := d.uvarint()
	if ns == 0 || ns > 1e9 {
		d.bad = d.bad || ns != 0
		return time.Time{}
	}
	return time.Unix(d.varint(), int64(ns-1)).UTC()
}
