package photo

import (
	"bytes"
	"encoding/binary"
)

// codeTable decodes one set of Huffman codes (annex C). A code of up to
// fastBits is looked up at once; longer ones are found length by length.
type codeTable struct {
	fast    [1 << fastBits]uint16
	limit   [17]uint32 // codes of this length, moved left to 16 bits, are below
	offset  [17]int    // from a code of this length to the place of its symbol
	symbols []byte
}

const fastBits = 9

// build makes the table from the number of codes of each length and their
// symbols.
func (t *codeTable) build(counts, symbols []byte) bool {
	*t = codeTable{symbols: symbols}
	code, place := uint32(0), 0
	for length := 1; length <= 16; length++ {
		n := int(counts[length-1])
		t.offset[length] = place - int(code)
		for range n {
			if length <= fastBits {
				first := code << (fastBits - length)
				if int(first) >= len(t.fast) {
					return false
				}
				e := entry(length, symbols[place])
				for i := range uint32(1) << (fastBits - length) {
					t.fast[first+i] = e
				}
			}
			code++
			place++
		}
		if code > 1<<length {
			return false
		}
		t.limit[length] = code << (16 - length)
		code <<= 1
	}
	return true
}

// bitReader reads the bits of entropy-coded data up to the next marker.
type bitReader struct {
	data []byte
	pos  int
	acc  uint64 // the next n bits, from the top
	n    int
}

// fill has at least 32 bits ready, unless data or the interval ends before.
func (r *bitReader) fill() {
	if r.pos+4 <= len(r.data) {
		v := binary.BigEndian.Uint32(r.data[r.pos:])
		if x := ^v; (x-0x01010101)&^x&0x80808080 == 0 { // no byte is 0xff
			r.acc |= uint64(v) << (32 - r.n)
			r.n += 32
			r.pos += 4
			return
		}
	}
	for r.n <= 56 && r.pos < len(r.data) {
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
func (r *bitReader) restart() bool {
	r.acc, r.n = 0, 0
	for {
		i := bytes.IndexByte(r.data[r.pos:], 0xff)
		if i < 0 || r.pos+i+1 >= len(r.data) {
			return false
		}
		r.pos += i + 1
		if m := r.data[r.pos]; m >= markRST0 && m <= markRST7 {
			r.pos++
			return true
		}
	}
}

// slow finds a code of more than fastBits at the top of 16 bits.
func (t *codeTable) slow(code uint32) uint16 {
	for length := fastBits + 1; length <= 16; length++ {
		if code < t.limit[length] {
			return entry(length, t.symbols[t.offset[length]+int(code>>(16-length))])
		}
	}
	return 0
}

// entry makes what a look-up gives: in its upper byte how many bits a code and
// what follows it take together, in the lower the code's symbol. The symbol says
// in its lower half how many bits follow (F.1.2.1, F.1.2.2).
func entry(length int, symbol byte) uint16 {
	return uint16(length+int(symbol&0x0f))<<8 | uint16(symbol)
}

// code passes over a code and the value behind it, and returns the code's symbol.
func (r *bitReader) code(t *codeTable) (symbol byte, ok bool) {
	if r.n < 32 {
		r.fill()
	}
	e := t.fast[r.acc>>(64-fastBits)]
	if e == 0 {
		e = t.slow(uint32(r.acc >> 48))
	}
	n := int(e >> 8)
	r.acc <<= n
	r.n -= n
	return byte(e), e != 0 && r.n >= 0
}

// bits returns the next n bits, which are 16 or fewer, as a number.
func (r *bitReader) bits(n int) (int, bool) {
	if r.n < n {
		r.fill()
	}
	v := int(r.acc >> 32 >> (32 - n))
	return v, r.skip(n)
}

// skip passes over n bits.
func (r *bitReader) skip(n int) bool {
	if r.n < n {
		r.fill()
	}
	r.acc <<= n
	r.n -= n
	return r.n >= 0
}
