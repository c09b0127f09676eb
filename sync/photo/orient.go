package photo

import "image"

// orientation says how the stored pixels must be turned to stand upright, as the tag of
// that name does (Exif 2.3, table 4; TIFF 6.0, page 36): 1 not at all, 2 to 8 by mirroring
// and turning.
type orientation int

// sideways reports whether width and height change places.
func (o orientation) sideways() bool { return o >= 5 }

// turned returns the size of the upright picture for that of the stored one, and the other
// way round.
func (o orientation) turned(size image.Point) image.Point {
	if o.sideways() {
		return image.Pt(size.Y, size.X)
	}
	return size
}

// stored returns where the pixel at x, y of the upright picture is stored, in w x h stored
// pixels.
func (o orientation) stored(x, y, w, h int) (int, int) {
	if o.sideways() {
		x, y = y, x
	}
	if o == 2 || o == 3 || o == 7 || o == 8 {
		x = w - 1 - x
	}
	if o == 3 || o == 4 || o == 6 || o == 7 {
		y = h - 1 - y
	}
	return x, y
}

// storedRect returns where the part r of the upright picture is stored.
func (o orientation) storedRect(r image.Rectangle, w, h int) image.Rectangle {
	x0, y0 := o.stored(r.Min.X, r.Min.Y, w, h)
	x1, y1 := o.stored(r.Max.X-1, r.Max.Y-1, w, h)
	return image.Rect(min(x0, x1), min(y0, y1), max(x0, x1)+1, max(y0, y1)+1)
}

// upright returns m turned.
func (o orientation) upright(m *image.RGBA) *image.RGBA {
	if o == 1 {
		return m
	}
	out := image.NewRGBA(image.Rectangle{Max: o.turned(m.Rect.Size())})
	w := out.Rect.Dx()
	for i := range len(out.Pix) / 4 {
		x, y := o.stored(i%w, i/w, m.Rect.Dx(), m.Rect.Dy())
		copy(out.Pix[4*i:4*i+4], m.Pix[m.PixOffset(x, y):])
	}
	return out
}
