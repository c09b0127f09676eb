package photo

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"math/bits"
	"slices"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// tiffFile is what the first directory of a TIFF says about its pixels. No library at
// hand reads what scanners and Photoshop write: golang.org/x/image/tiff, and what is
// made of it, know neither planes, print inks, grey with transparency nor bits in the
// other order, and take some of them for others.
type tiffFile struct {
	directory
	bits, samples, colours   int // of a sample; of a pixel; those of them that are colours
	alpha                    int // which sample is the transparency; -1 for none
	photometric, compression int64
	planes                   int // 1 or, if the samples come one after the other, as many
	block                    image.Point
	offsets, counts          []int64 // of the blocks, which are strips or tiles
	palette                  []int64
}

// The photometric interpretations and compressions that are read.
const (
	tiffWhiteIsZero, tiffBlackIsZero, tiffRGB, tiffPalette, tiffCMYK, tiffYCbCr = 0, 1, 2, 3, 5, 6

	tiffNone, tiffGroup4, tiffLZW, tiffJPEG, tiffDeflate, tiffPackBits, tiffDeflateOld = 1, 4, 5, 7, 8, 32773, 32946
)

var tiffCompressions = []int64{tiffNone, tiffGroup4, tiffLZW, tiffJPEG, tiffDeflate, tiffPackBits, tiffDeflateOld}

// readTIFF looks at the first directory.
func (l *layout) readTIFF() error {
	d, whole := readDirectory(l.data)
	l.width, l.height = int(d.number(tagWidth, 0)), int(d.number(tagHeight, 0))
	if !whole || l.width == 0 || l.height == 0 {
		return refuse(Truncated, "TIFF without the directory of its first picture")
	}
	if max(l.width, l.height) > 1<<26 { // so that nothing below runs over
		return refuse(TooManyPixels, "TIFF of %d x %d pixels", l.width, l.height)
	}
	t := &tiffFile{
		directory: d, bits: int(d.number(tagBits, 1)), samples: int(d.number(tagSamples, 1)), planes: 1, alpha: -1, colours: 1,
		photometric: d.number(tagPhotometric, -1), compression: d.number(tagCompression, 1), palette: d.numbers(tagColorMap),
	}
	l.tiff, l.inks = t, 3
	switch t.photometric {
	case tiffWhiteIsZero, tiffBlackIsZero:
		l.inks = 1
	case tiffRGB, tiffYCbCr:
		t.colours = 3
	case tiffCMYK:
		l.inks, t.colours = 4, 4
	}
	if extra := d.number(tagExtraSamples, 0); (extra == 1 || extra == 2) && l.inks != 4 {
		t.alpha = t.colours
	}
	if d.number(tagPlanar, 1) == 2 {
		t.planes = t.samples
	}
	l.orient(l.data)
	if d.entries[tagICC] != nil {
		l.profile = append([]byte{}, d.bytes(tagICC)...)
	}
	if err := t.readable(); err != nil {
		return err
	}
	return l.tiffBlocks()
}

// readable refuses what is not read.
func (t *tiffFile) readable() error {
	other := func(n int64) bool { return n != int64(t.bits) }
	sign := func(n int64) bool { return n != 1 && n != 4 } // 4: undefined
	predictor := t.number(tagPredictor, 1)
	switch {
	case !slices.Contains(tiffCompressions, t.compression):
		return refuse(UnsupportedFormat, "TIFF with compression %d", t.compression)
	case t.bits < 1, t.bits > 16, slices.ContainsFunc(t.numbers(tagBits), other):
		return refuse(UnsupportedFormat, "TIFF with %d bits for its samples", t.numbers(tagBits))
	case slices.ContainsFunc(t.numbers(tagSampleFormat), sign):
		return refuse(UnsupportedFormat, "TIFF with signed or floating-point samples")
	case t.photometric < 0, t.photometric == 4, t.photometric > tiffYCbCr, t.photometric == tiffYCbCr && t.compression != tiffJPEG:
		return refuse(UnsupportedFormat, "TIFF with colours of kind %d (PhotometricInterpretation)", t.photometric)
	case t.photometric == tiffCMYK && t.number(tagInkSet, 1) != 1:
		return refuse(UnsupportedFormat, "TIFF with other inks than cyan, magenta, yellow and black")
	case t.compression == tiffJPEG && (t.bits != 8 || t.planes > 1 || t.samples != t.colours), t.compression == tiffGroup4 && (t.bits != 1 || t.samples > 1):
		return refuse(UnsupportedFormat, "TIFF with a variant of compression %d that is not read", t.compression)
	case predictor > 2, predictor == 2 && t.bits < 8:
		return refuse(UnsupportedFormat, "TIFF with predictor %d and %d bits a sample", predictor, t.bits)
	case t.samples < t.colours, t.samples <= t.alpha, t.samples > 64, t.photometric == tiffPalette && len(t.palette) < 3<<min(t.bits, 8):
		return damaged("TIFF with %d samples a pixel for %d colours, and %d in its palette", t.samples, t.colours, len(t.palette)/3)
	}
	return nil
}

// tiffBlocks finds the strips or tiles.
func (l *layout) tiffBlocks() error {
	t := l.tiff
	t.block = image.Pt(l.width, int(min(max(t.number(tagRowsPerStrip, int64(l.height)), 1), int64(l.height))))
	offsets, counts := uint16(tagOffsets), uint16(tagCounts)
	if t.entries[tagTileWidth] != nil {
		t.block = image.Pt(int(t.number(tagTileWidth, 0)), int(t.number(tagTileLength, 0)))
	}
	if t.entries[tagTileOffsets] != nil {
		offsets, counts = tagTileOffsets, tagTileCounts
	}
	if t.block.X <= 0 || t.block.Y <= 0 || t.block.X > l.width+1024 || t.block.Y > l.height+1024 {
		return damaged("TIFF with blocks of %dx%d pixels", t.block.X, t.block.Y)
	}
	t.offsets, t.counts = t.numbers(offsets), t.numbers(counts)
	if len(t.offsets) == 1 && t.entries[counts] == nil { // as old programs write it
		t.counts = []int64{max(int64(len(l.data))-t.offsets[0], 0)}
	}
	n, read := ceil(l.width, t.block.X)*ceil(l.height, t.block.Y)*t.planes, int64(0)
	if len(t.offsets) < n || len(t.counts) < n {
		return refuse(Truncated, "TIFF without the places of all its pixels")
	}
	for i := range n {
		if t.offsets[i]+t.counts[i] > int64(len(l.data)) {
			return refuse(Truncated, "TIFF ends before its last pixels")
		}
		read += t.counts[i]
	}
	if read > 2*int64(len(l.data))+1<<20 {
		return refuse(UnsupportedFormat, "TIFF that has the same bytes read again and again")
	}
	l.memory = 4*l.pixels() + 8*int64(t.block.X)*int64(t.samples)
	if t.compression == tiffJPEG {
		l.memory += 15 * int64(t.block.X) * int64(t.block.Y) // it may be progressive
	}
	return nil
}

// decodeTIFF decodes block by block, and each line by line.
func (l *layout) decodeTIFF(ctx context.Context) (image.Image, error) {
	t := l.tiff
	size := image.Rect(0, 0, l.width, l.height)
	pixels := image.NewNRGBA(size)
	m := image.Image(pixels)
	switch {
	case l.inks == 4:
		m = &image.CMYK{Pix: pixels.Pix, Stride: pixels.Stride, Rect: size}
	case t.alpha > 0 && t.number(tagExtraSamples, 0) == 1: // colours multiplied with it
		m = &image.RGBA{Pix: pixels.Pix, Stride: pixels.Stride, Rect: size}
	}
	across, down := ceil(l.width, t.block.X), ceil(l.height, t.block.Y)
	for i := range across * down * t.planes {
		at := image.Rectangle{Max: t.block}.Add(image.Pt(i%across*t.block.X, i/across%down*t.block.Y)).Intersect(size)
		data := l.data[t.offsets[i] : t.offsets[i]+t.counts[i]]
		var err error
		if t.compression == tiffJPEG {
			err = t.drawJPEG(m, at, data)
		} else {
			err = t.lines(ctx, pixels, at, i/(across*down), data)
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// drawJPEG draws a block that is a JPEG, whose tables may be elsewhere (TIFF Technical
// Note 2). What its colours are stands in the directory: Adobe's marker says it to the
// decoder.
func (t *tiffFile) drawJPEG(m image.Image, at image.Rectangle, data []byte) error {
	if len(data) < 4 {
		return io.ErrUnexpectedEOF
	}
	head := []byte{0xff, markSOI}
	if t.photometric == tiffRGB || t.photometric == tiffCMYK {
		head = append(head, "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"...)
	}
	if tables := t.bytes(tagTables); len(tables) > 4 {
		head = append(head, tables[2:len(tables)-2]...)
	}
	data = append(head, data[2:]...)
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if c.Width < at.Dx() || c.Height < at.Dy() || c.Width > t.block.X+15 || c.Height > t.block.Y+15 {
		return damaged("TIFF with a block of %dx%d pixels, not %dx%d", c.Width, c.Height, at.Dx(), at.Dy())
	}
	block, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	from, inks := block.(*image.CMYK)
	to, wanted := m.(*image.CMYK)
	if !inks || !wanted {
		draw.Draw(m.(draw.Image), at, block, block.Bounds().Min, draw.Src)
		return nil
	}
	for y := range at.Dy() {
		row := to.Pix[to.PixOffset(at.Min.X, at.Min.Y+y):][:4*at.Dx()]
		copy(row, from.Pix[y*from.Stride:])
		for i := range row {
			row[i] = ^row[i] // Adobe's are negatives, those of TIFF are not
		}
	}
	return nil
}

// lines stores the samples of a block, or of one plane of it.
func (t *tiffFile) lines(ctx context.Context, m *image.NRGBA, at image.Rectangle, plane int, data []byte) error {
	if t.number(tagFillOrder, 1) == 2 {
		data = bytes.Clone(data)
		for i, b := range data {
			data[i] = bits.Reverse8(b)
		}
	}
	r, err := t.unpacked(data, at.Dy())
	if err != nil {
		return err
	}
	samples := t.samples / t.planes // in this line
	values := make([]uint16, t.block.X*samples)
	line := make([]byte, (len(values)*t.bits+7)/8)
	predicted := t.number(tagPredictor, 1) == 2 && t.compression != tiffNone
	for y := at.Min.Y; y < at.Max.Y; y++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, line); err != nil {
			return err
		}
		t.split(values, line)
		for i := samples; predicted && i < len(values); i++ {
			values[i] += values[i-samples]
		}
		row := m.Pix[m.PixOffset(at.Min.X, y):]
		for x := range at.Dx() {
			for s := range samples {
				t.store(row[4*x:4*x+4], plane+s, values[x*samples+s])
			}
		}
	}
	return nil
}

// unpacked returns a reader of the lines of a block.
func (t *tiffFile) unpacked(data []byte, rows int) (io.Reader, error) {
	r := bytes.NewReader(data)
	switch t.compression {
	case tiffLZW:
		if len(data) > 1 && data[0] == 0 && data[1] == 1 {
			return nil, refuse(UnsupportedFormat, "TIFF with LZW compression of the time before TIFF 6.0")
		}
		return lzw.NewReader(r, lzw.MSB, 8), nil
	case tiffDeflate, tiffDeflateOld:
		return zlib.NewReader(r)
	case tiffPackBits:
		return bufio.NewReader(&packBits{data}), nil
	case tiffGroup4:
		return ccitt.NewReader(r, ccitt.MSB, ccitt.Group4, t.block.X, rows, &ccitt.Options{Invert: true}), nil
	}
	return r, nil
}

// split takes the samples of a line apart.
func (t *tiffFile) split(values []uint16, line []byte) {
	have, n := uint32(0), 0
	for i := range values {
		if t.bits == 16 {
			values[i] = t.order.Uint16(line[2*i:])
			continue
		}
		for ; n < t.bits; n += 8 {
			have, line = have<<8|uint32(line[0]), line[1:]
		}
		n -= t.bits
		values[i] = uint16(have>>n) & (1<<t.bits - 1)
	}
}

// store puts sample s of a pixel in its place.
func (t *tiffFile) store(p []byte, s int, v uint16) {
	most := uint32(1)<<t.bits - 1
	v &= uint16(most) // the sums of predicted ones run over
	c := byte((uint32(v)*255 + most/2) / most)
	if t.photometric == tiffWhiteIsZero && s == 0 {
		c = 255 - c
	}
	if t.alpha < 0 && t.colours < 4 {
		p[3] = 255
	}
	switch n := len(t.palette) / 3; {
	case s == t.alpha:
		p[3] = c
	case s >= t.colours: // something that does not show
	case t.photometric == tiffPalette && int(v) < n:
		p[0], p[1], p[2] = byte(t.palette[v]>>8), byte(t.palette[n+int(v)]>>8), byte(t.palette[2*n+int(v)]>>8)
	case t.colours == 1:
		p[0], p[1], p[2] = c, c, c
	default:
		p[s] = c
	}
}

// packBits unpacks runs of bytes (TIFF 6.0, section 9).
type packBits struct{ data []byte }

// Read needs room for the longest run, 128 bytes, which bufio gives it.
func (r *packBits) Read(p []byte) (n int, err error) {
	if len(r.data) < 2 {
		return 0, io.ErrUnexpectedEOF
	}
	head, rest := int(int8(r.data[0])), r.data[1:]
	switch {
	case head >= 0:
		n = copy(p, rest[:min(head+1, len(rest))])
		rest = rest[n:]
	case head > -128:
		n = copy(p, bytes.Repeat(rest[:1], 1-head))
		rest = rest[1:]
	}
	r.data = rest
	return n, nil
}
