package photo

import (
	"encoding/binary"
	"image"
	"math/bits"
	"slices"
)

// bitmap is what the headers of a BMP file say. The second header is BITMAPCOREHEADER of OS/2
// (12 bytes), OS/2 2.x (16 to 64) or BITMAPINFOHEADER with its longer successors. Unlike
// browsers, golang.org/x/image/bmp does not read 16 bits, runs and some of the headers.
type bitmap struct {
	bits        int // of a pixel
	compression uint32
	downwards   bool
	pixels      []byte
	palette     [256][4]byte
	masks       [4]uint32 // red, green, blue, transparency
}

// bmpBits are the possible bits of a pixel, by the compressions that can be read.
var bmpBits = map[uint32][]int{0: {1, 2, 4, 8, 16, 24, 32}, bmpRuns8: {8}, bmpRuns4: {4}, bmpMasks: {16, 32}}

const bmpRuns8, bmpRuns4, bmpMasks = 1, 2, 3

var errShortBMP = &Error{Code: Truncated, Detail: "BMP ends before its last line"}

func (l *layout) readBMP() error {
	d := l.data
	number := func(at int) int { return int(binary.LittleEndian.Uint32(d[at:])) }
	short := func(at int) int { return int(binary.LittleEndian.Uint16(d[at:])) }
	header, offset := number(14), number(10)
	if len(d) < 14+header || offset > len(d) {
		return errShortBMP
	}
	b := &bitmap{masks: [4]uint32{0xff0000, 0xff00, 0xff}}
	l.width, l.height, b.bits = short(18), short(20), short(24)
	if header > 12 {
		l.width, l.height, b.bits = int(int32(number(18))), int(int32(number(22))), short(28)
	}
	if header >= 40 {
		b.compression = uint32(number(30))
	}
	if !slices.Contains(bmpBits[b.compression], b.bits) || b.compression == bmpMasks && len(d) < 70 {
		return refuse(UnsupportedFormat, "BMP with %d bits a pixel, compression %d and a header of %d bytes", b.bits, b.compression, header)
	}
	if b.downwards = l.height < 0; b.downwards {
		l.height = -l.height
	}
	if b.bits == 16 {
		b.masks = [4]uint32{0x7c00, 0x03e0, 0x001f}
	}
	for i := range b.masks {
		// A mask for transparency counts if the header has room for one, as in browsers.
		if i < 3 && b.compression == bmpMasks || i == 3 && header >= 56 && header != 64 {
			b.masks[i] = uint32(number(54 + 4*i))
		}
	}
	size := 4 // of a colour
	if header == 12 {
		size = 3
	}
	for i := range b.palette {
		b.palette[i][3] = 255
		if at := 14 + header + i*size; b.bits <= 8 && at+size <= offset {
			b.palette[i] = [4]byte{d[at+2], d[at+1], d[at], 255}
		}
	}
	b.pixels = d[offset:]
	l.bmp, l.inks, l.memory = b, 3, 4*l.pixels()
	if header == 124 && number(14+56) == 0x4d424544 { // PROFILE_EMBEDDED
		l.profile = []byte{}
		if start, n := 14+number(14+112), number(14+116); start+n <= len(d) {
			l.profile = d[start : start+n]
		}
	}
	return nil
}

// decodeBMP ignores transparency if all pixels are transparent, as browsers do: many programs leave
// the fourth byte of every pixel zero.
func (l *layout) decodeBMP() (image.Image, error) {
	b, m := l.bmp, image.NewNRGBA(image.Rect(0, 0, l.width, l.height))
	put := func(x, y int, c [4]byte) {
		if !b.downwards {
			y = l.height - 1 - y
		}
		copy(m.Pix[y*m.Stride+4*x:], c[:])
	}
	if b.compression == bmpRuns8 || b.compression == bmpRuns4 {
		return m, b.runs(l.width, l.height, put)
	}
	stride := (l.width*b.bits + 31) / 32 * 4
	if len(b.pixels) < stride*(l.height-1)+(l.width*b.bits+7)/8 {
		return nil, errShortBMP
	}
	seen := byte(0)
	for y := range l.height {
		for x := range l.width {
			c := b.color(b.pixels[stride*y:], x)
			seen |= c[3]
			put(x, y, c)
		}
	}
	for i := 3; seen == 0 && i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m, nil
}

func (b *bitmap) color(row []byte, x int) [4]byte {
	if b.bits <= 8 {
		return b.palette[packed(row, x, b.bits)]
	}
	v := uint32(0)
	for i := range b.bits / 8 {
		v |= uint32(row[x*b.bits/8+i]) << (8 * i)
	}
	c := [4]byte{3: 255}
	for i, mask := range b.masks {
		if mask != 0 {
			shift := bits.TrailingZeros32(mask)
			most := uint64(mask >> shift)
			c[i] = byte((uint64(v&mask>>shift)*255 + most/2) / most)
		}
	}
	return c
}

// runs unpacks runs of pixels. Pixels that the runs skip stay transparent.
func (b *bitmap) runs(w, h int, put func(x, y int, c [4]byte)) error {
	x, y := 0, 0
	run := func(n int, colours []byte) { // repeats colours as often as needed
		for i := range n {
			if x < w {
				put(x, y, b.palette[packed(colours, i%(len(colours)*8/b.bits), b.bits)])
			}
			x++
		}
	}
	for d := b.pixels; y < h; {
		if len(d) < 2 {
			return errShortBMP
		}
		n, v := int(d[0]), int(d[1])
		size := (v*b.bits + 15) / 16 * 2 // of v pixels that are no run
		switch {
		case n > 0:
			run(n, d[1:2])
		case v == 0: // end of line
			x, y = 0, y+1
		case v == 1: // end of picture
			return nil
		case v == 2 && len(d) >= 4: // jump
			x, y, d = x+int(d[2]), y+int(d[3]), d[2:]
		case v > 2 && len(d) >= 2+size:
			run(v, d[2:2+size])
			d = d[size:]
		default:
			return errShortBMP
		}
		d = d[2:]
	}
	return nil
}
