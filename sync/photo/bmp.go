package photo

import (
	"context"
	"encoding/binary"
	"image"
	"math/bits"
	"slices"
)

// bitmap is what the headers of a BMP file say. After the first comes BITMAPCOREHEADER of
// OS/2 (12 bytes), OS/2 2.x (16 to 64) or BITMAPINFOHEADER with its longer successors. No
// library at hand reads 16 bits, runs and all headers, which browsers do.
type bitmap struct {
	header, bits  int // bytes of the header, bits of a pixel
	compression   uint32
	downwards     bool
	width, height int
	pixels        []byte
	palette       [256][4]byte
	masks         [4]uint32 // red, green, blue, transparency
}

// bmpBits are the bits of a pixel by the compressions that are read: none, runs of 8 and
// of 4 bits, and none with masks for the colours, and for transparency.
var bmpBits = map[uint32][]int{0: {1, 2, 4, 8, 16, 24, 32}, 1: {8}, 2: {4}, bmpMasks: {16, 32}, bmpMasksAlpha: {16, 32}}

const bmpMasks, bmpMasksAlpha = 3, 6

var errShortBMP = &Error{Code: Truncated, Detail: "BMP ends before its last line"}

// readBMP reads the headers.
func (l *layout) readBMP() error {
	d := l.data
	number := func(at int) int { return int(binary.LittleEndian.Uint32(d[at:])) }
	b := &bitmap{header: number(14)}
	offset := number(10)
	if len(d) < 14+b.header || offset > len(d) {
		return errShortBMP
	}
	if b.header == 12 {
		b.width, b.height, b.bits = number(18)&0xffff, number(18)>>16, number(24)&0xffff
	} else {
		b.width, b.height, b.bits = int(int32(number(18))), int(int32(number(22))), number(28)&0xffff
	}
	if b.header >= 40 {
		b.compression = uint32(number(30))
	}
	if b.height < 0 {
		b.height, b.downwards = -b.height, true
	}
	if !slices.Contains(bmpBits[b.compression], b.bits) {
		return refuse(UnsupportedFormat, "BMP with %d bits a pixel, compression %d and a header of %d bytes", b.bits, b.compression, b.header)
	}
	masked := b.compression == bmpMasks || b.compression == bmpMasksAlpha
	if masked && len(d) < 70 {
		return errShortBMP
	}
	l.bmp, l.width, l.height, l.inks, l.memory = b, b.width, b.height, 3, 4*int64(b.width)*int64(b.height)
	b.pixels = d[offset:]
	b.readMasks(d, masked)
	b.readPalette(d[14+b.header : max(offset, 14+b.header)])
	if b.header == 124 && number(14+56) == 0x4d424544 { // PROFILE_EMBEDDED
		l.profile = []byte{}
		if start, n := 14+number(14+112), number(14+116); start+n <= len(d) {
			l.profile = d[start : start+n]
		}
	}
	return nil
}

// readMasks takes the masks from the header, or those that hold without. One for
// transparency counts wherever there is one, as in browsers.
func (b *bitmap) readMasks(d []byte, masked bool) {
	b.masks = [4]uint32{0xff0000, 0xff00, 0xff}
	if b.bits == 16 {
		b.masks = [4]uint32{0x7c00, 0x03e0, 0x001f}
	}
	for i := range b.masks {
		alpha := i == 3 && (b.compression == bmpMasksAlpha || b.header >= 56 && b.header != 64) // 64: of OS/2
		if i < 3 && masked || alpha {
			b.masks[i] = binary.LittleEndian.Uint32(d[54+4*i:])
		}
	}
}

// readPalette reads the colours between the header and the pixels.
func (b *bitmap) readPalette(d []byte) {
	size := 4
	if b.header == 12 {
		size = 3
	}
	for i := range b.palette {
		b.palette[i][3] = 255
		if b.bits <= 8 && len(d) >= size*(i+1) {
			b.palette[i] = [4]byte{d[size*i+2], d[size*i+1], d[size*i], 255}
		}
	}
}

// decode takes a picture in which nothing shows for one without transparency, as browsers
// do: many programs write the fourth byte of a pixel and leave it zero.
func (b *bitmap) decode(ctx context.Context) (image.Image, error) {
	m := image.NewNRGBA(image.Rect(0, 0, b.width, b.height))
	if b.compression == 1 || b.compression == 2 {
		return m, b.decodeRuns(m)
	}
	stride := (b.width*b.bits + 31) / 32 * 4
	if len(b.pixels) < stride*(b.height-1)+(b.width*b.bits+7)/8 {
		return nil, errShortBMP
	}
	seen := byte(0)
	for y := range b.height {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		to := m.Pix[b.line(y)*m.Stride:]
		for x := range b.width {
			c := b.color(b.pixels[stride*y:], x)
			copy(to[4*x:], c[:])
			seen |= c[3]
		}
	}
	for i := 3; seen == 0 && i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m, nil
}

// line returns which line of the picture is stored as number y.
func (b *bitmap) line(y int) int {
	if b.downwards {
		return y
	}
	return b.height - 1 - y
}

// color returns the colour of pixel x of a line.
func (b *bitmap) color(row []byte, x int) (c [4]byte) {
	v := uint32(0)
	switch b.bits {
	case 16:
		v = uint32(binary.LittleEndian.Uint16(row[2*x:]))
	case 24:
		return [4]byte{row[3*x+2], row[3*x+1], row[3*x], 255}
	case 32:
		v = binary.LittleEndian.Uint32(row[4*x:])
	default:
		at := x * b.bits
		return b.palette[row[at/8]>>(8-b.bits-at%8)&(1<<b.bits-1)]
	}
	c[3] = 255
	for i, mask := range b.masks {
		if mask != 0 {
			shift := bits.TrailingZeros32(mask)
			most := uint64(mask >> shift)
			c[i] = byte((uint64(v&mask>>shift)*255 + most/2) / most)
		}
	}
	return c
}

// decodeRuns unpacks runs of pixels. What they pass over stays transparent.
func (b *bitmap) decodeRuns(m *image.NRGBA) error {
	x, y := 0, 0
	put := func(i int, v byte) { // pixel i of a run
		if b.bits == 4 {
			v = v >> (4 * (1 - i%2)) & 15
		}
		if x < b.width {
			copy(m.Pix[m.PixOffset(x, b.line(y)):], b.palette[v][:])
		}
		x++
	}
	for d := b.pixels; y < b.height; {
		if len(d) < 2 {
			if y == b.height-1 && x >= b.width { // without its end
				return nil
			}
			return errShortBMP
		}
		n, v := int(d[0]), d[1]
		d = d[2:]
		switch {
		case n > 0:
			for i := range n {
				put(i, v)
			}
		case v == 0: // end of line
			x, y = 0, y+1
		case v == 1: // end of picture
			return nil
		case v == 2 && len(d) >= 2: // jump
			x, y, d = x+int(d[0]), y+int(d[1]), d[2:]
		case v > 2 && len(d) >= (int(v)*b.bits+15)/16*2: // as many pixels as they are
			for i := range int(v) {
				put(i, d[i*b.bits/8])
			}
			d = d[(int(v)*b.bits+15)/16*2:]
		default:
			return errShortBMP
		}
	}
	return nil
}
