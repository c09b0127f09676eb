package photo

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// counted refuses a JPEG whose entropy-coded data does not hold every block of the
// picture, and of a progressive one every coefficient to its last bit. A copy that broke
// off and was given an end-of-image marker by some repair is whole by its segments; only
// counting shows what is missing. That takes a fifth of the time of decoding the pixels,
// which matters since nearly all photos are uploaded as they are. Noted in l.beyond is
// what Go's decoder gets wrong.
func (l *layout) counted() error {
	if l.format != formatJPEG {
		return nil
	}
	short := refuse(Truncated, "JPEG with less than its %d x %d pixels", l.width, l.height)
	c := blockCounter{layout: l, parts: slices.Clone(l.parts)}
	for i := range c.parts {
		p := &c.parts[i]
		p.stride = ceil(l.width, 8*l.hMax) * p.h
		if l.progressive {
			p.known = make([]uint64, p.stride*ceil(l.height, 8*l.vMax)*p.v)
		}
		for k := range p.missing {
			p.missing[k] = unseen
		}
	}
	var scan []byte // the header of the scan whose data comes next
	for _, b := range l.kept {
		switch {
		case scan != nil:
			if !c.scan(scan, b) {
				if c.short {
					return short
				}
				return damaged("JPEG with damaged pixels")
			}
			scan = nil
		case len(b) < 4: // SOI, EOI
		case b[1] == markSOS:
			scan = b[4:]
		case b[1] == markDHT:
			if !c.tables(b[4:]) {
				return damaged("JPEG with impossible Huffman tables")
			}
		case b[1] == markDQT:
			c.quantization(b[4:])
		case b[1] == markDRI && len(b) == 6:
			c.restart = int(binary.BigEndian.Uint16(b[4:]))
		}
	}
	for _, p := range c.parts {
		for _, missing := range p.missing {
			if missing != 0 {
				return short
			}
		}
	}
	return nil
}

// blockCounter follows the decoder's state that the number and the length of
// blocks depend on.
type blockCounter struct {
	*layout
	parts     []component
	restart   int             // block groups between restart markers; 0: no such markers
	huffman   [2][4]codeTable // for DC and AC
	quantized [4]bool         // which quantization tables there are
	short     bool            // a scan ended before its last block
}

// component is a colour component of a frame (B.2.2).
type component struct {
	id, table byte
	h, v      int // sampling factors
	stride    int // blocks in a line, with those beyond the picture's edge
	// missing is for each coefficient the number of bits that are still to come, or
	// unseen.
	missing [64]byte
	// known has a bit for each coefficient of each block that is not zero. Only a
	// progressive picture needs it: it says how many bits a refinement has.
	known []uint64
}

const unseen = 15 // more than the bits of a coefficient

// quantization notes which tables a segment holds (B.2.4.1).
func (c *blockCounter) quantization(body []byte) {
	for len(body) >= 65 {
		c.quantized[body[0]&3] = true
		body = body[min(1+64*(1+int(body[0]>>4)), len(body)):]
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

// stripe is the part that a component has in the groups of a scan.
type stripe struct {
	*component
	dc, ac *codeTable
	w, h   int // blocks in a group
}

// scan goes through the blocks of one scan (B.2.3, A.2).
func (c *blockCounter) scan(header, data []byte) bool {
	if len(header) < 1 || len(header) != 4+2*int(header[0]) || header[0] == 0 {
		return false
	}
	var group []stripe
	across, down := ceil(c.width, 8*c.hMax), ceil(c.height, 8*c.vMax)
	for s := header[1 : len(header)-3]; len(s) > 0; s = s[2:] {
		p := c.part(s[0])
		if p == nil || s[1]>>4 > 3 || s[1]&15 > 3 || !c.quantized[p.table] {
			return false
		}
		group = append(group, stripe{p, &c.huffman[0][s[1]>>4], &c.huffman[1][s[1]&15], p.h, p.v})
	}
	if len(group) == 1 { // not interleaved: block by block (A.2.2)
		across, down = c.alone(&group[0])
	}
	b := band{to: 63}
	if rest := header[len(header)-3:]; c.progressive {
		b = band{from: int(rest[0]), to: int(rest[1]), refine: rest[2]>>4 > 0, low: rest[2] & 15}
		if b.from > b.to || b.to > 63 || b.from == 0 && b.to > 0 || b.from > 0 && len(group) > 1 || b.low > 13 {
			return false
		}
	}
	r := bitReader{data: data}
	if !c.blocks(group, &b, across, down, &r) {
		c.short = len(r.data)-r.pos < 4
		return false
	}
	for _, s := range group {
		for k := b.from; k <= b.to; k++ {
			if b.refine != (s.missing[k] < unseen) || b.refine && s.missing[k] != b.low+1 {
				return false // out of order (G.1.1.1.2)
			}
			s.missing[k] = b.low
		}
	}
	return true
}

// alone returns the lines and columns of blocks that a scan of one component has,
// and notes where Go's decoder counts others: it takes groups of several blocks
// between restart markers, and the width of the picture for that of the component.
func (c *blockCounter) alone(s *stripe) (across, down int) {
	p := s.component
	across, down = ceil(ceil(c.width*p.h, c.hMax), 8), ceil(ceil(c.height*p.v, c.vMax), 8)
	if len(c.parts) > 1 {
		goAcross, goDown := min(p.stride, ceil(c.width, 8)), min(ceil(c.height, 8*c.vMax)*p.v, ceil(c.height, 8))
		switch {
		case c.restart > 0 && c.restart < across*down && s.w*s.h > 1:
			c.beyond = "restart markers in scans of one colour"
		case goAcross != across || goDown != down:
			c.beyond = fmt.Sprintf("colours sampled %dx%d among %dx%d", p.h, p.v, c.hMax, c.vMax)
		}
	}
	s.w, s.h = 1, 1
	return across, down
}

// band is the part of each block that a scan holds: all of a sequential picture, or
// some coefficients of a progressive one, down to their bit low (G.1.1.1).
type band struct {
	from, to int
	refine   bool
	low      byte
	run      int // blocks to come in which the band is all zero
}

// blocks goes through the blocks of a scan.
func (c *blockCounter) blocks(group []stripe, b *band, across, down int, r *bitReader) bool {
	var unused uint64
	for n := range across * down {
		if c.restart > 0 && n > 0 && n%c.restart == 0 {
			b.run = 0
			if !r.restart() {
				return false
			}
		}
		for _, s := range group {
			for i := range s.w * s.h {
				known := &unused
				if c.progressive {
					known = &s.known[(n/across*s.h+i/s.w)*s.stride+n%across*s.w+i%s.w]
				}
				if !r.part(s, b, known) {
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

// part passes over the part of a block that a scan of a progressive picture holds
// (G.1.2). Known gets a bit for each coefficient that is no longer zero.
func (r *bitReader) part(s stripe, b *band, known *uint64) bool {
	k := b.from
	if k == 0 {
		if b.refine {
			return r.skip(1)
		}
		if _, ok := r.code(s.dc); !ok {
			return false
		}
		k++
	}
	for ; k <= b.to && b.run == 0; k++ {
		symbol, ok := r.code(s.ac) // with the bits of the new coefficient
		if !ok || b.refine && symbol&15 > 1 {
			return false
		}
		zeros := int(symbol >> 4)
		if symbol&15 == 0 && zeros < 15 { // the rest of this block and of others is zero
			more, ok := r.bits(zeros)
			if !ok {
				return false
			}
			b.run = 1<<zeros + more
			break
		}
		if k += zeros; b.refine {
			if k, ok = r.refine(*known, k-zeros, b.to, zeros); !ok {
				return false
			}
		}
		if symbol&15 != 0 {
			if k > b.to {
				return false
			}
			*known |= 1 << k
		}
	}
	if b.run == 0 {
		return true
	}
	b.run--
	if !b.refine {
		return true
	}
	_, ok := r.refine(*known, k, b.to, 64)
	return ok
}

// refine passes over the bits of the coefficients from k on that are known, and over
// as many zero ones, and returns the place of the next zero one (G.1.2.3).
func (r *bitReader) refine(known uint64, k, to, zeros int) (int, bool) {
	for ; k <= to; k++ {
		if known>>k&1 != 0 {
			if !r.skip(1) {
				return k, false
			}
		} else if zeros--; zeros < 0 {
			break
		}
	}
	return k, true
}
