package photo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// countBlocks refuses a JPEG whose entropy-coded data lacks a block of the picture, or, in a progressive one, a bit
// of a coefficient. The segments of a file that was cut short and then repaired look whole: only counting shows
// what is missing. It takes a fifth of the time of decoding, which matters because nearly all photos are
// uploaded as they are. It sets l.unsupported if Go's decoder would decode the picture wrong.
func (l *layout) countBlocks() error {
	if l.format != formatJPEG {
		return nil
	}
	for i := range l.components {
		p := &l.components[i]
		p.stride = ceil(l.width, 8*l.hMax) * p.h
		if l.progressive {
			p.known = make([]uint64, p.stride*ceil(l.height, 8*l.vMax)*p.v)
		}
		for k := range p.missing {
			p.missing[k] = unseen
		}
	}
	c := blockCounter{layout: l}
	var header []byte // of the scan whose data comes next
	for _, b := range l.kept {
		var err error
		switch {
		case header != nil:
			err = c.scan(header, b)
			header = nil
		case len(b) < 4: // SOI, EOI
		case b[1] == markSOS:
			header = b[4:]
		case b[1] == markDHT:
			err = c.tables(b[4:])
		case b[1] == markDQT:
			for t := b[4:]; len(t) >= 65; t = t[min(65+64*int(t[0]>>4), len(t)):] {
				c.quantized[t[0]&3] = true
			}
		case b[1] == markDRI && len(b) == 6:
			c.restart = int(binary.BigEndian.Uint16(b[4:]))
		}
		if err != nil {
			return err
		}
	}
	for i := range l.components {
		l.components[i].known = nil // frees megabytes for decoding
		if l.components[i].missing != [64]byte{} {
			return l.incomplete()
		}
	}
	return nil
}

// blockCounter has that part of a decoder's state on which the number and length of blocks depend.
type blockCounter struct {
	*layout
	restart   int             // block groups between restart markers; 0: no such markers
	huffman   [2][4]codeTable // for DC and AC
	quantized [4]bool         // which quantization tables exist
}

// component is a colour component of a frame (B.2.2), and its part in the current scan.
type component struct {
	id, table byte
	h, v      int // sampling factors
	dc, ac    *codeTable
	w, d      int // blocks across and down in each group of the scan
	stride    int // blocks in a line, including those beyond the picture's edge
	// missing has for each coefficient the number of bits that are still to come, or unseen.
	missing [64]byte
	// known has a bit for each coefficient of each block: set if it is not zero. Only a
	// progressive picture needs it, to know how many bits a refinement has.
	known []uint64
}

const unseen = 15 // more than the bits of a coefficient

func (l *layout) incomplete() error {
	return refuse(Truncated, "JPEG with less than its %d x %d pixels", l.width, l.height)
}

// tables reads the Huffman tables of a segment (B.2.4.2).
func (c *blockCounter) tables(body []byte) error {
	for len(body) >= 17 {
		class, id, n := body[0]>>4, body[0]&15, 17
		for _, k := range body[1:17] {
			n += int(k)
		}
		if class > 1 || id > 3 || len(body) < n || !c.huffman[class][id].build(body[1:17], body[17:n]) {
			break
		}
		body = body[n:]
	}
	if len(body) > 0 {
		return damaged("JPEG with impossible Huffman tables")
	}
	return nil
}

// band is the part of each block in a scan: everything in a sequential picture; in a progressive
// one some coefficients, down to their bit low (G.1.1.1).
type band struct {
	from, to int
	refine   bool
	low      byte
	run      int // how many of the next blocks have only zeros in the band
}

// scan reads the blocks of one scan (B.2.3, A.2).
func (c *blockCounter) scan(header, data []byte) error {
	wrong := damaged("JPEG with damaged pixels")
	if len(header) < 6 || len(header) != 4+2*int(header[0]) {
		return wrong
	}
	selectors, rest := header[1:len(header)-3], header[len(header)-3:]
	var group []*component
	for s := selectors; len(s) > 0; s = s[2:] {
		i := slices.IndexFunc(c.components, func(p component) bool { return p.id == s[0] })
		if i < 0 || s[1]>>4 > 3 || s[1]&15 > 3 || !c.quantized[c.components[i].table] {
			return wrong
		}
		p := &c.components[i]
		p.dc, p.ac, p.w, p.d = &c.huffman[0][s[1]>>4], &c.huffman[1][s[1]&15], p.h, p.v
		group = append(group, p)
	}
	across, down := ceil(c.width, 8*c.hMax), ceil(c.height, 8*c.vMax)
	if len(group) == 1 {
		across, down = c.singleComponent(group[0])
	}
	b := band{to: 63}
	if c.progressive {
		b = band{from: int(rest[0]), to: int(rest[1]), refine: rest[2]>>4 > 0, low: rest[2] & 15}
		if b.from > b.to || b.to > 63 || b.from == 0 && b.to > 0 || b.from > 0 && len(group) > 1 || b.low > 13 {
			return wrong
		}
	}
	r := bitReader{data: data}
	if c.blocks(group, &b, across, down, &r); r.n < 0 {
		if len(r.data)-r.pos < 4 {
			return c.incomplete()
		}
		return wrong
	}
	for _, p := range group {
		for k := b.from; k <= b.to; k++ {
			if b.refine != (p.missing[k] < unseen) || b.refine && p.missing[k] != b.low+1 {
				return wrong // out of order (G.1.1.1.2)
			}
			p.missing[k] = b.low
		}
	}
	return nil
}

// singleComponent returns the columns and lines of blocks in a scan of one component, which comes block by
// block (A.2.2). It sets unsupported if Go's decoder would go wrong: that expects groups of several
// blocks between restart markers, and handles only the smallest and the largest sampling.
func (c *blockCounter) singleComponent(p *component) (across, down int) {
	p.w, p.d = 1, 1
	across, down = ceil(ceil(c.width*p.h, c.hMax), 8), ceil(ceil(c.height*p.v, c.vMax), 8)
	switch {
	case len(c.components) == 1:
	case p.h > 1 && p.h < c.hMax, p.v > 1 && p.v < c.vMax:
		c.unsupported = fmt.Sprintf("colours sampled %dx%d among %dx%d", p.h, p.v, c.hMax, c.vMax)
	case c.restart > 0 && c.restart < across*down && p.h*p.v > 1:
		c.unsupported = "restart markers in scans of one colour"
	}
	return across, down
}

// blocks reads the blocks of a scan, until r fails.
func (c *blockCounter) blocks(group []*component, b *band, across, down int, r *bitReader) {
	var unused uint64
	for n := range across * down {
		if c.restart > 0 && n > 0 && n%c.restart == 0 {
			b.run = 0
			r.restart()
		}
		for _, p := range group {
			for i := range p.w * p.d {
				known := &unused
				if c.progressive {
					line, column := n/across*p.d+i/p.w, n%across*p.w+i%p.w
					known = &p.known[line*p.stride+column]
				}
				if r.part(p, b, known); r.n < 0 {
					return
				}
			}
		}
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }

// part skips the part of a block in a scan of a progressive picture (G.1.2). It sets in known the
// bits of coefficients that are no longer zero.
func (r *bitReader) part(p *component, b *band, known *uint64) {
	k := b.from
	if k == 0 {
		if b.refine {
			r.bits(1)
			return
		}
		r.code(p.dc)
		k++
	}
	for ; k <= b.to && b.run == 0; k++ {
		symbol := r.code(p.ac) // skips the bits of the new coefficient, too
		zeros := int(symbol >> 4)
		if symbol&15 == 0 && zeros < 15 { // the rest of this block and of others is zero
			b.run = 1<<zeros + int(r.bits(zeros))
			break
		}
		if b.refine {
			k = r.refine(*known, k, b.to, zeros)
		} else {
			k += zeros
		}
		if symbol&15 != 0 {
			if k > b.to || b.refine && symbol&15 > 1 {
				r.n = failed
				return
			}
			*known |= 1 << k
		}
	}
	if b.run > 0 {
		b.run--
		if b.refine {
			r.refine(*known, k, b.to, 64)
		}
	}
}

// refine skips the bits of the known coefficients from k on, and that many zero coefficients. It
// returns the index of the next zero one (G.1.2.3).
func (r *bitReader) refine(known uint64, k, to, zeros int) int {
	for ; k <= to; k++ {
		if known>>k&1 != 0 {
			r.bits(1)
		} else if zeros--; zeros < 0 {
			break
		}
	}
	return k
}

// codeTable decodes one set of Huffman codes (annex C). Codes of up to fastBits are looked up in a
// table; longer ones are searched for length by length.
type codeTable struct {
	fast    [1 << fastBits]uint16 // the length of a code times 256, plus its symbol
	limit   [17]uint64            // codes of this length, shifted left to 16 bits, are below
	offset  [17]int               // from a code of this length to the index of its symbol
	symbols []byte
}

const fastBits = 9

// build makes the table from the number of codes of each length and their symbols.
func (t *codeTable) build(counts, symbols []byte) bool {
	*t = codeTable{symbols: symbols}
	code, place := 0, 0
	for length := 1; length <= 16; length++ {
		t.offset[length] = place - code
		if code+int(counts[length-1]) > 1<<length {
			return false
		}
		for range counts[length-1] {
			for i := code << fastBits >> length; length <= fastBits && i < (code+1)<<fastBits>>length; i++ {
				t.fast[i] = uint16(length)<<8 | uint16(symbols[place])
			}
			code, place = code+1, place+1
		}
		t.limit[length] = uint64(code) << (16 - length)
		code <<= 1
	}
	return true
}

// bitReader reads the bits of entropy-coded data up to the next marker.
type bitReader struct {
	data []byte
	pos  int
	acc  uint64 // the next n bits, from the top
	n    int    // below zero for ever, once something was missing or wrong
}

const failed = -1

// fill makes at least 32 bits ready, unless data or the restart interval ends first.
func (r *bitReader) fill() {
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

// code skips a code and the value after it, and returns the code's symbol. The lower half of the
// symbol says how many bits the value has (F.1.2.1, F.1.2.2).
func (r *bitReader) code(t *codeTable) byte {
	if r.n < 32 {
		r.fill()
	}
	e := t.fast[r.acc>>(64-fastBits)]
	for length := fastBits + 1; e == 0; length++ {
		if length > 16 {
			r.n = failed
			return 0
		}
		if r.acc>>48 < t.limit[length] {
			e = uint16(length)<<8 | uint16(t.symbols[t.offset[length]+int(r.acc>>(64-length))])
		}
	}
	n := int(e>>8 + e&15)
	r.acc <<= n
	r.n -= n
	return byte(e)
}

// bits returns the next n bits, which are 16 or fewer.
func (r *bitReader) bits(n int) uint64 {
	if r.n < n {
		r.fill()
	}
	v := r.acc >> (64 - n)
	r.acc <<= n
	r.n -= n
	return v
}
