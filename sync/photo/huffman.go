package photo

import (
	"bytes"
	"encoding/binary"
)

// codeTable decodes one set of Huffman codes (annex C). A code of up to fastBits is looked
// up at once; longer ones are found length by length.
type codeTable struct {
	fast    [1 << fastBits]uint16
	limit   [17]uint32 // codes of this length, moved left to 16 bits, are below
	offset  [17]int    // from a code of this length to the place of its symbol
	symbols []byte
}

const fastBits = 9

// build makes the table from the number of codes of each length and their symbols.
func (t *codeTable) build(counts, symbols []byte) bool {
	*t = codeTable{symbols: symbols}
	code, place := 0, 0
	for length := 1; length <= 16; length++ {
		n := int(counts[length-1])
		if code+n > 1<<length {
			return false
		}
		t.offset[length] = place - code
		for range n {
			if spare := fastBits - length; spare >= 0 {
				for i := range 1 << spare {
					t.fast[code<<spare+i] = entry(length, symbols[place])
				}
			}
			code, place = code+1, place+1
		}
		t.limit[length] = uint32(code) << (16 - length)
		code <<= 1
	}
	return true
}

// slow finds a code of more than fastBits at the top of 16 bits; 0 is none.
func (t *codeTable) slow(code uint32) uint16 {
	for length := fastBits + 1; length <= 16; length++ {
		if code < t.limit[length] {
			return entry(length, t.symbols[t.offset[length]+int(code>>(16-length))])
		}
	}
	return 0
}

// entry makes what a look-up gives: in its upper byte how many bits a code and what
// follows it take together, in the lower the code's symbol. The symbol says in its lower
// half how many bits follow (F.1.2.1, F.1.2.2).
func entry(length int, symbol byte) uint16 {
	return uint16(length+int(symbol&0x0f))<<8 | uint16(symbol)
}

// bitReader reads the bits of entropy-coded data up to the next marker.
type bitReader struct {
	data []byte
	pos  int
	acc  uint64 // the next n bits, from the top
	n    int    // below zero once something was not there, or was wrong; it stays so
}

const failed = -1

// fill has at least 32 bits ready, unless data or the interval ends before.
func (r *bitReader) fill() {
	if r.n >= 0 && r.pos+4 <= len(r.data) {
		v := binary.BigEndian.Uint32(r.data[r.pos:])
		if x := ^v; (x-0x01010101)&^x&0x80808080 == 0 { // no byte is 0xff
			r.acc |= uint64(v) << (32 - r.n)
			r.n += 32
			r.pos += 4
			return
		}
	}
	for r.n >= 0 && r.n <= 56 && r.pos < len(r.data) {
		b := r.data[r.pos]
		if b == 0xff {
			if r.pos+1 >= len(r.data) || r.data[r.pos+1] != 0 {
				return // a marker
			}
			r.pos++ // the stuffed zero (B.1.1.5)
		}
		r.pos++
		r.acc |= uint64(b) << (56 - r.n)
		r.n += 8
	}
}

// restart passes over the next restart marker.
func (r *bitReader) restart() {
	r.acc = 0
	for r.n = 0; ; {
		i := bytes.IndexByte(r.data[r.pos:], 0xff)
		if i < 0 || r.pos+i+1 >= len(r.data) {
			r.n = failed
			return
		}
		r.pos += i + 1
		if m := r.data[r.pos]; m >= markRST0 && m <= markRST7 {
			r.pos++
			return
		}
	}
}

// code passes over a code and the value behind it, and returns the code's symbol.
func (r *bitReader) code(t *codeTable) byte {
	if r.n < 32 {
		r.fill()
	}
	e := t.fast[r.acc>>(64-fastBits)]
	if e == 0 {
		if e = t.slow(uint32(r.acc >> 48)); e == 0 {
			r.n = failed
		}
	}
	n := int(e >> 8)
	r.acc <<= n
	r.n -= n
	return byte(e)
}

// take returns the next n bits, which are 16 or fewer.
func (r *bitReader) take(n int) uint64 {
	if r.n < n {
		r.fill()
	}
	v := r.acc >> (64 - n)
	r.acc <<= n
	r.n -= n
	return v
}
