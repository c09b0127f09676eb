package photo

import (
	"encoding/binary"
	"image"
	"math"
	"math/bits"
)

// bitmap is what the headers of a BMP file say. There are BITMAPCOREHEADER of OS/2
// (12 bytes), OS/2 2.x (16 to 64) and BITMAPINFOHEADER with its longer successors.
type bitmap struct {
	layout      *layout
	header      int // its bytes
	pixels      []byte
	bits        int // of a pixel
	compression uint32
	downwards   bool
	palette     [256][4]byte
	masks       [4]uint32 // red, green, blue, transparency
}

// The compressions of a BMP that are read.
const (
	bmpRGB, bmpRLE8, bmpRLE4, bmpFields, bmpAlphaFields = 0, 1, 2, 3, 6
)

var errShortBMP = &Error{Code: Truncated, Detail: "BMP ends before its last line"}

// readBMP reads the headers.
func (l *layout) readBMP() error {
	b, err := l.bitmap()
	if b != nil && err == nil {
		l.inks = 3
		l.memory = 4 * l.pixels()
		b.profile()
	}
	return err
}

func (l *layout) bitmap() (*bitmap, error) {
	d := l.data
	offset, header := int64(binary.LittleEndian.Uint32(d[10:])), int(binary.LittleEndian.Uint32(d[14:]))
	if len(d) < 14+header || offset > int64(len(d)) {
		return nil, errShortBMP
	}
	b := &bitmap{layout: l, header: header, pixels: d[offset:]}
	if header == 12 {
		l.width, l.height = int(binary.LittleEndian.Uint16(d[18:])), int(binary.LittleEndian.Uint16(d[20:]))
		b.bits = int(binary.LittleEndian.Uint16(d[24:]))
	} else {
		l.width, l.height = int(int32(binary.LittleEndian.Uint32(d[18:]))), int(int32(binary.LittleEndian.Uint32(d[22:])))
		b.bits = int(binary.LittleEndian.Uint16(d[28:]))
	}
	if header >= 40 {
		b.compression = binary.LittleEndian.Uint32(d[30:])
	}
	if l.height < 0 && l.height > math.MinInt32 {
		l.height, b.downwards = -l.height, true
	}
	if !b.legal() {
		return nil, refuse(UnsupportedFormat, "BMP with %d bits a pixel, compression %d and a header of %d bytes", b.bits, b.compression, header)
	}
	b.readMasks()
	b.readPalette(offset)
	return b, nil
}

// legal reports whether compression and bits fit each other, and are read.
func (b *bitmap) legal() bool {
	switch b.compression {
	case bmpRGB:
		return b.bits == 1 || b.bits == 2 || b.bits == 4 || b.bits == 8 || b.bits == 16 || b.bits == 24 || b.bits == 32
	case bmpRLE8:
		return b.bits == 8
	case bmpRLE4:
		return b.bits == 4
	case bmpFields, bmpAlphaFields:
		return (b.bits == 16 || b.bits == 32) && (b.header == 40 && len(b.layout.data) >= 70 || b.header > 40 && b.header != 64)
	}
	return false
}

// readMasks takes the masks from the header, or those that hold without.
func (b *bitmap) readMasks() {
	fields := b.compression == bmpFields || b.compression == bmpAlphaFields
	switch {
	case fields:
		for i := range 3 {
			b.masks[i] = binary.LittleEndian.Uint32(b.layout.data[54+4*i:])
		}
	case b.bits == 16:
		b.masks = [4]uint32{0x7c00, 0x03e0, 0x001f}
	default:
		b.masks = [4]uint32{0xff0000, 0xff00, 0xff}
	}
	if b.header >= 56 && b.header != 64 || b.compression == bmpAlphaFields { // 64: of OS/2
		b.masks[3] = binary.LittleEndian.Uint32(b.layout.data[66:])
	}
}

// readPalette reads the colours between the header and the pixels.
func (b *bitmap) readPalette(offset int64) {
	if b.bits > 8 {
		return
	}
	d, size := b.layout.data, 4
	if b.header == 12 {
		size = 3
	}
	entries := d[14+b.header : max(offset, int64(14+b.header))]
	for i := range b.palette {
		b.palette[i][3] = 255
		if len(entries) >= size {
			b.palette[i] = [4]byte{entries[2], entries[1], entries[0], 255}
			entries = entries[size:]
		}
	}
}

// profile takes the colour profile that a BITMAPV5HEADER places. The end points of a
// calibrated colour space are passed over, as browsers do: what is there is seldom true.
func (b *bitmap) profile() {
	d := b.layout.data
	number := func(at int) int64 { return int64(binary.LittleEndian.Uint32(d[14+at:])) }
	if b.header < 124 || number(56) != 0x4d424544 { // PROFILE_EMBEDDED
		return
	}
	b.layout.profile = []byte{}
	if start, n := 14+number(112), number(116); start+n <= int64(len(d)) {
		b.layout.profile = d[start : start+n]
	}
}

// decodeBMP takes a picture in which nothing shows for one without transparency, as
// browsers do: many programs write the fourth byte of a pixel and leave it zero.
func (l *layout) decodeBMP() (image.Image, error) {
	b, err := l.bitmap()
	if err != nil {
		return nil, err
	}
	m := image.NewNRGBA(image.Rect(0, 0, l.width, l.height))
	if b.compression == bmpRLE8 || b.compression == bmpRLE4 {
		return m, b.decodeRLE(m)
	}
	stride := (int64(l.width)*int64(b.bits) + 31) / 32 * 4
	if int64(len(b.pixels)) < stride*int64(l.height-1)+(int64(l.width)*int64(b.bits)+7)/8 {
		return nil, errShortBMP
	}
	seen := byte(0)
	for y := range l.height {
		row := b.pixels[stride*int64(y):]
		to := m.Pix[b.line(y)*m.Stride:]
		for x := range l.width {
			c := b.color(row, x)
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
	return b.layout.height - 1 - y
}

// color returns the colour of pixel x of a line.
func (b *bitmap) color(row []byte, x int) [4]byte {
	switch b.bits {
	case 16:
		return b.masked(uint32(binary.LittleEndian.Uint16(row[2*x:])))
	case 24:
		return [4]byte{row[3*x+2], row[3*x+1], row[3*x], 255}
	case 32:
		return b.masked(binary.LittleEndian.Uint32(row[4*x:]))
	}
	at := x * b.bits
	return b.palette[row[at/8]>>(8-b.bits-at%8)&(1<<b.bits-1)]
}

// masked takes a pixel apart.
func (b *bitmap) masked(v uint32) (c [4]byte) {
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

// decodeRLE unpacks runs of pixels. What they pass over stays transparent.
func (b *bitmap) decodeRLE(m *image.NRGBA) error {
	x, y := 0, 0
	put := func(index byte) {
		if x < b.layout.width && y < b.layout.height {
			copy(m.Pix[m.PixOffset(x, b.line(y)):], b.palette[index][:])
		}
		x++
	}
	for d := b.pixels; y < b.layout.height; {
		if len(d) < 2 {
			if y == b.layout.height-1 && x >= b.layout.width {
				return nil
			}
			return errShortBMP
		}
		n, v := int(d[0]), d[1]
		d = d[2:]
		nibble := func(i int, v byte) byte {
			if b.bits == 8 {
				return v
			}
			return v >> (4 * (1 - i%2)) & 15
		}
		switch {
		case n > 0:
			for i := range n {
				put(nibble(i, v))
			}
		case v == 0: // end of line
			x, y = 0, y+1
		case v == 1: // end of picture
			return nil
		case v == 2: // jump
			if len(d) < 2 {
				return errShortBMP
			}
			x, y, d = x+int(d[0]), y+int(d[1]), d[2:]
		default: // as many pixels as they are
			size := (int(v)*b.bits + 15) / 16 * 2
			if len(d) < size {
				return errShortBMP
			}
			for i := range int(v) {
				put(nibble(i, d[i*b.bits/8]))
			}
			d = d[size:]
		}
	}
	return nil
}
