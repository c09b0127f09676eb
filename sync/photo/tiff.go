package photo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"math/bits"
	"slices"

	"golang.org/x/image/tiff/lzw"
)

// tiffFile is what the first directory of a TIFF says about its pixels. golang.org/x/image/tiff
// cannot read what Photoshop and scanners write (planes, JPEG, print inks, grey with transparency,
// bits in the other order), or reads it wrong.
type tiffFile struct {
	*directory
	bits, samples, colours   int // bits of a sample, samples of a pixel, how many of these are colours
	alpha                    int // index of the sample that is the transparency; -1: none
	photometric, compression int64
	predictor, format        int64 // of samples: differences or not; whole numbers or others
	planes                   int   // 1; or, if each sample has a plane of its own, the number of samples
	block                    image.Point
	offsets, counts          []int64 // of the blocks, which are strips or tiles
	palette                  []int64
}

// The photometric interpretations and compressions that can be read.
const (
	tiffWhiteIsZero, tiffBlackIsZero, tiffRGB, tiffPalette, tiffCMYK, tiffYCbCr = 0, 1, 2, 3, 5, 6
	tiffNone, tiffLZW, tiffJPEG, tiffDeflate, tiffDeflateOld                    = 1, 5, 7, 8, 32946
)

// tiffColours says how many samples of a pixel are colours, by photometric interpretation.
var tiffColours = map[int64]int{tiffWhiteIsZero: 1, tiffBlackIsZero: 1, tiffRGB: 3, tiffPalette: 1, tiffCMYK: 4, tiffYCbCr: 3}

var errShortTIFF = &Error{Code: Truncated, Detail: "TIFF ends before its last pixels"}

func (l *layout) readTIFF() error {
	d := readDirectory(l.data)
	t := &tiffFile{
		directory: d, bits: int(d.number(tagBits, 1)), samples: int(d.number(tagSamples, 1)), planes: 1, alpha: -1,
		photometric: d.number(tagPhotometric, -1), compression: d.number(tagCompression, 1),
		predictor: d.number(tagPredictor, 1), format: d.number(tagSampleFormat, 1),
	}
	l.width, l.height = int(d.number(tagWidth, 0)), int(d.number(tagHeight, 0))
	t.colours = tiffColours[t.photometric]
	l.tiff, l.inks = t, t.colours
	if t.photometric == tiffPalette {
		l.inks, t.palette = 3, d.numbers(tagColorMap)
	}
	if extra := d.number(tagExtraSamples, 0); (extra == 1 || extra == 2) && l.inks != 4 && t.samples > t.colours {
		t.alpha = t.colours
	}
	if d.number(tagPlanar, 1) == 2 {
		t.planes = t.samples
	}
	l.orient(l.data)
	if d.entries[tagICC] != nil {
		l.profile = append([]byte{}, d.bytes(tagICC)...)
	}
	readable := t.readable() // may find that d is short
	switch {
	case d.short || l.width == 0 || l.height == 0:
		return errShortTIFF
	case !readable:
		return refuse(UnsupportedFormat, "TIFF with %d samples of %d bits, format %d, colours of kind %d, compression %d, predictor %d",
			t.samples, d.numbers(tagBits), t.format, t.photometric, t.compression, t.predictor)
	case max(l.width, l.height) > 1<<26: // so that nothing below overflows
		return refuse(TooManyPixels, "TIFF of %d x %d pixels", l.width, l.height)
	}
	return l.tiffBlocks()
}

// readable reports whether the pixels are of a kind that can be read.
func (t *tiffFile) readable() bool {
	otherBits := func(n int64) bool { return n != int64(t.bits) }
	switch {
	case t.colours == 0, t.samples < t.colours, t.samples > 8,
		!slices.Contains([]int{1, 2, 4, 8, 16}, t.bits), slices.ContainsFunc(t.numbers(tagBits), otherBits),
		t.format != 1 && t.format != 4, // neither whole numbers nor undefined
		t.predictor != 1 && t.predictor != 2, t.predictor == 2 && t.bits < 8,
		t.photometric == tiffYCbCr && t.compression != tiffJPEG,
		t.photometric == tiffCMYK && t.number(tagInkSet, 1) != 1,
		t.photometric == tiffPalette && (t.bits > 8 || len(t.palette) < 3<<t.bits):
		return false
	case t.compression == tiffJPEG:
		return t.bits == 8 && t.planes == 1 && t.samples == t.colours && t.colours < 4
	}
	return slices.Contains([]int64{tiffNone, tiffLZW, tiffDeflate, tiffDeflateOld}, t.compression)
}

func (l *layout) tiffBlocks() error {
	t, size := l.tiff, int64(len(l.data))
	t.block = image.Pt(l.width, int(min(max(t.number(tagRowsPerStrip, int64(l.height)), 1), int64(l.height))))
	t.offsets, t.counts = t.numbers(tagOffsets), t.numbers(tagCounts)
	if t.entries[tagTileWidth] != nil {
		t.block = image.Pt(int(t.number(tagTileWidth, 0)), int(t.number(tagTileLength, 0)))
		t.offsets, t.counts = t.numbers(tagTileOffsets), t.numbers(tagTileCounts)
	}
	if t.block.X <= 0 || t.block.Y <= 0 || t.block.X > l.width+1024 || t.block.Y > l.height+1024 {
		return damaged("TIFF with blocks of %dx%d pixels", t.block.X, t.block.Y)
	}
	n, read := ceil(l.width, t.block.X)*ceil(l.height, t.block.Y)*t.planes, int64(0)
	for i := range n {
		if i >= min(len(t.offsets), len(t.counts)) || t.offsets[i]+t.counts[i] > size {
			return errShortTIFF
		}
		read += t.counts[i]
	}
	if read > 2*size+1<<20 {
		return refuse(UnsupportedFormat, "TIFF that uses the same bytes again and again")
	}
	l.memory = 4*l.pixels() + 8*int64(t.block.X)*int64(t.samples)
	if t.compression == tiffJPEG {
		l.memory += 15 * int64(t.block.X) * int64(t.block.Y) // it may be progressive
	}
	return nil
}

// decodeTIFF decodes block by block, and each block line by line.
func (l *layout) decodeTIFF() (image.Image, error) {
	t, m := l.tiff, image.NewNRGBA(image.Rect(0, 0, l.width, l.height))
	for i := 3; i < len(m.Pix) && l.inks < 4; i += 4 {
		m.Pix[i] = 255
	}
	across, down := ceil(l.width, t.block.X), ceil(l.height, t.block.Y)
	decode := t.lines
	if t.compression == tiffJPEG {
		decode = t.jpeg
	}
	for i := range across * down * t.planes {
		at := image.Rectangle{Max: t.block}.Add(image.Pt(i%across*t.block.X, i/across%down*t.block.Y)).Intersect(m.Rect)
		if err := decode(m, at, i/(across*down), l.data[t.offsets[i]:t.offsets[i]+t.counts[i]]); err != nil {
			return nil, err
		}
	}
	switch {
	case l.inks == 4:
		return &image.CMYK{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}, nil
	case t.alpha > 0 && t.number(tagExtraSamples, 0) == 1: // colours multiplied with it
		return &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}, nil
	}
	return m, nil
}

// jpeg draws a block that is a JPEG, whose tables may be elsewhere (TIFF Technical Note 2). The
// directory says what its colours are: jpeg adds Adobe's marker to tell the decoder.
func (t *tiffFile) jpeg(m *image.NRGBA, at image.Rectangle, _ int, data []byte) error {
	head := []byte{0xff, markSOI}
	if t.photometric == tiffRGB {
		head = append(head, "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"...)
	}
	if tables := t.bytes(tagTables); len(tables) > 4 {
		head = append(head, tables[2:len(tables)-2]...)
	}
	data = append(head, data[min(2, len(data)):]...)
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if c.Width < at.Dx() || c.Height < at.Dy() || c.Width > t.block.X+15 || c.Height > t.block.Y+15 {
		return damaged("TIFF with a block of %dx%d pixels, not %dx%d", c.Width, c.Height, at.Dx(), at.Dy())
	}
	block, err := jpeg.Decode(bytes.NewReader(data))
	if err == nil {
		draw.Draw(m, at, block, image.Point{}, draw.Src)
	}
	return err
}

// lines stores the samples of a block, or of one plane of it.
func (t *tiffFile) lines(m *image.NRGBA, at image.Rectangle, plane int, data []byte) (err error) {
	if t.number(tagFillOrder, 1) == 2 {
		data = bytes.Clone(data)
		for i, b := range data {
			data[i] = bits.Reverse8(b)
		}
	}
	samples := t.samples / t.planes // in this line
	values := make([]uint16, at.Dx()*samples)
	line := make([]byte, (t.block.X*samples*t.bits+7)/8)
	var r io.Reader = bytes.NewReader(data)
	switch t.compression {
	case tiffLZW:
		r = lzw.NewReader(r, lzw.MSB, 8)
	case tiffDeflate, tiffDeflateOld:
		if r, err = zlib.NewReader(r); err != nil {
			return err
		}
	}
	for y := at.Min.Y; y < at.Max.Y; y++ {
		if _, err := io.ReadFull(r, line); err != nil {
			return err
		}
		row := m.Pix[m.PixOffset(at.Min.X, y):]
		for i := range values {
			if t.bits == 16 {
				values[i] = t.order.Uint16(line[2*i:])
			} else {
				values[i] = uint16(packed(line, i, t.bits))
			}
			if t.predictor == 2 && t.compression != tiffNone && i >= samples {
				values[i] += values[i-samples]
			}
			t.store(row[i/samples*4:][:4], plane+i%samples, values[i])
		}
	}
	return nil
}

// packed returns sample i of a line, whose samples have up to eight bits each.
func packed(line []byte, i, bits int) byte {
	return line[i*bits/8] >> (8 - bits - i*bits%8) & (1<<bits - 1)
}

func (t *tiffFile) store(p []byte, s int, v uint16) {
	most := uint32(1)<<t.bits - 1
	v &= uint16(most) // sums of predicted samples may overflow
	c := byte((uint32(v)*255 + most/2) / most)
	switch n := len(t.palette) / 3; {
	case s == t.alpha:
		p[3] = c
	case s >= t.colours: // a sample that does not show
	case t.palette != nil:
		p[0], p[1], p[2] = byte(t.palette[v]>>8), byte(t.palette[n+int(v)]>>8), byte(t.palette[2*n+int(v)]>>8)
	case t.photometric == tiffWhiteIsZero:
		p[0], p[1], p[2] = 255-c, 255-c, 255-c
	case t.colours == 1:
		p[0], p[1], p[2] = c, c, c
	default:
		p[s] = c
	}
}

// Tags of TIFF 6.0, and that of the colour profile (ICC.1, annex B.3).
const (
	tagWidth, tagHeight, tagBits, tagCompression              = 256, 257, 258, 259
	tagPhotometric, tagFillOrder, tagOffsets, tagOrientation  = 262, 266, 273, 274
	tagSamples, tagRowsPerStrip, tagCounts, tagPlanar         = 277, 278, 279, 284
	tagPredictor, tagColorMap, tagTileWidth, tagTileLength    = 317, 320, 322, 323
	tagTileOffsets, tagTileCounts, tagInkSet, tagExtraSamples = 324, 325, 332, 338
	tagSampleFormat, tagTables, tagICC                        = 339, 347, 34675
)

// directory is the first directory of a TIFF file, or of an EXIF block, which has the same form.
type directory struct {
	data    []byte
	order   binary.ByteOrder
	entries map[uint16][]byte // twelve bytes: tag, kind, count, and the value or its position
	short   bool              // data ends before the directory, or before a value that was read
}

// sizes are the sizes of one value of the kinds in use: BYTE, SHORT, LONG, UNDEFINED.
var sizes = map[uint16]int64{1: 1, 3: 2, 4: 4, 7: 1}

// readDirectory returns as much of the directory as there is. The entries may be in any order.
func readDirectory(data []byte) *directory {
	d := &directory{data: data, order: binary.LittleEndian, entries: map[uint16][]byte{}, short: true}
	if len(data) < 8 {
		return d
	}
	if data[0] == 'M' {
		d.order = binary.BigEndian
	}
	start := int64(d.order.Uint32(data[4:]))
	if start+2 > int64(len(data)) || string(data[:4]) != "II*\x00" && string(data[:4]) != "MM\x00*" {
		return d
	}
	rest := data[start+2:]
	for range d.order.Uint16(data[start:]) {
		if len(rest) < 12 {
			return d
		}
		if tag := d.order.Uint16(rest); d.entries[tag] == nil {
			d.entries[tag] = rest[:12]
		}
		rest = rest[12:]
	}
	d.short = false
	for tag := range d.entries {
		if tag <= tagTables { // the tags that say how to read the pixels
			d.bytes(tag)
		}
	}
	return d
}

// bytes returns the value of a tag; nil if it is missing or incomplete.
func (d *directory) bytes(tag uint16) []byte {
	e := d.entries[tag]
	if e == nil {
		return nil
	}
	size := sizes[d.order.Uint16(e[2:])] * int64(d.order.Uint32(e[4:]))
	if size <= 4 {
		return e[8 : 8+size]
	}
	start := int64(d.order.Uint32(e[8:]))
	if start+size > int64(len(d.data)) {
		d.short = true
		return nil
	}
	return d.data[start : start+size]
}

// numbers returns the numbers of a tag; none, if there are more than any picture has strips.
func (d *directory) numbers(tag uint16) (ns []int64) {
	b := d.bytes(tag)
	if len(b) == 0 || len(b) > 4<<20 {
		return nil
	}
	for size := sizes[d.order.Uint16(d.entries[tag][2:])]; len(b) > 0; b = b[size:] {
		switch size {
		case 2:
			ns = append(ns, int64(d.order.Uint16(b)))
		case 4:
			ns = append(ns, int64(d.order.Uint32(b)))
		default:
			ns = append(ns, int64(b[0]))
		}
	}
	return ns
}

// number returns the first number of a tag, or a default if there is none.
func (d *directory) number(tag uint16, without int64) int64 {
	if ns := d.numbers(tag); len(ns) > 0 {
		return ns[0]
	}
	return without
}
