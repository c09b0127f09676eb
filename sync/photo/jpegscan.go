package photo

import (
	"bytes"
	"encoding/binary"
)

// complete reports whether the entropy-coded data of a sequential JPEG holds
// every block of the picture. A copy that broke off and was given an
// end-of-image marker by some repair is whole by its segments; only counting
// the blocks shows what is missing. That takes a tenth of the time of decoding
// the pixels, which matters since nearly all photos are uploaded as they are.
func (l *layout) complete() bool {
	c := blockCounter{width: l.width, height: l.height}
	var scan []byte // the header of the scan whose data comes next
	for _, b := range l.kept {
		switch {
		case scan != nil:
			if !c.scan(scan, b) {
				return false
			}
			scan = nil
		case len(b) < 4: // SOI, EOI
		case b[1] == markSOS:
			scan = b[4:]
		case b[1] == markDHT:
			if !c.tables(b[4:]) {
				return false
			}
		case b[1] == markDRI && len(b) == 6:
			c.restart = int(binary.BigEndian.Uint16(b[4:]))
		case b[1] == markSOF0, b[1] == markSOF1:
			c.frame(b[4:])
		}
	}
	for _, p := range c.parts {
		if !p.seen {
			return false
		}
	}
	return true
}

// blockCounter follows the decoder's state that the number and the length of
// blocks depend on.
type blockCounter struct {
	width, height int
	parts         []component
	hMax, vMax    int
	restart       int             // block groups between restart markers; 0: no such markers
	huffman       [2][4]codeTable // for DC and AC
}

// component is a colour component of a frame (B.2.2).
type component struct {
	id   byte
	h, v int // sampling factors
	seen bool
}

// frame reads a frame header whose length has been checked.
func (c *blockCounter) frame(body []byte) {
	for s := body[6:]; len(s) >= 3; s = s[3:] {
		p := component{id: s[0], h: int(s[1] >> 4), v: int(s[1] & 15)}
		c.hMax, c.vMax = max(c.hMax, p.h), max(c.vMax, p.v)
		c.parts = append(c.parts, p)
	}
}

// tables reads the Huffman tables of a segment (B.2.4.2).
func (c *blockCounter) tables(body []byte) bool {
	for len(body) >= 17 {
		class, id := body[0]>>4, body[0]&15
		n := 0
		for _, k := range body[1:17] {
			n += int(k)
		}
		if class > 1 || id > 3 || len(body) < 17+n || !c.huffman[class][id].build(body[1:17], body[17:17+n]) {
			return false
		}
		body = body[17+n:]
	}
	return len(body) == 0
}

// scan goes through the blocks of one scan (B.2.3, F.2).
func (c *blockCounter) scan(header, data []byte) bool {
	if len(header) < 1 || len(header) != 4+2*int(header[0]) || header[0] == 0 {
		return false
	}
	type stripe struct { // the blocks of one component in a group
		blocks int
		dc, ac *codeTable
	}
	var group []stripe
	across, down := ceil(c.width, 8*c.hMax), ceil(c.height, 8*c.vMax)
	for s := header[1 : len(header)-3]; len(s) > 0; s = s[2:] {
		p := c.part(s[0])
		if p == nil || s[1]>>4 > 3 || s[1]&15 > 3 {
			return false
		}
		p.seen = true
		group = append(group, stripe{p.h * p.v, &c.huffman[0][s[1]>>4], &c.huffman[1][s[1]&15]})
		if header[0] == 1 { // not interleaved: block by block (A.2.2)
			group[0].blocks = 1
			across, down = ceil(ceil(c.width*p.h, c.hMax), 8), ceil(ceil(c.height*p.v, c.vMax), 8)
		}
	}
	r := bitReader{data: data}
	for n := range across * down {
		if c.restart > 0 && n > 0 && n%c.restart == 0 && !r.restart() {
			return false
		}
		for _, s := range group {
			for range s.blocks {
				if !r.block(s.dc, s.ac) {
					return false
				}
			}
		}
	}
	return true
}

func (c *blockCounter) part(id byte) *component {
	for i := range c.parts {
		if p := &c.parts[i]; p.id == id {
			return p
		}
	}
	return nil
}

func ceil(a, b int) int { return (a + b - 1) / b }

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

// block passes over a block of 64 coefficients (F.2.2). What it needs of the
// reader is kept in variables: this loop takes all the time there is.
func (r *bitReader) block(dc, ac *codeTable) bool {
	acc, n := r.acc, r.n
	t := dc
	for k := 0; k < 64; k++ {
		if n < 32 {
			r.acc, r.n = acc, n
			r.fill()
			acc, n = r.acc, r.n
		}
		e := t.fast[acc>>(64-fastBits)]
		if e == 0 {
			e = t.slow(uint32(acc >> 48))
		}
		length, symbol := int(e>>8), byte(e)
		if e == 0 || length > n {
			return false
		}
		acc <<= length
		n -= length
		switch {
		case k == 0: // the symbol is the number of bits of a difference
			t = ac
		case symbol&0x0f == 0 && symbol != sixteenZeros:
			k = 64 // the rest of the block is zero
		default: // its upper half is a number of zeros before the coefficient
			k += int(symbol >> 4)
		}
	}
	r.acc, r.n = acc, n
	return true
}

// sixteenZeros is the one AC symbol without a coefficient that does not end its
// block.
const sixteenZeros = 0xf0

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
