package photo

import "image"

// orientation says how the stored pixels must be turned to stand upright, as
// the tag of that name does (Exif 2.3, table 4; TIFF 6.0, page 36): 1 not at
// all, 2 to 8 by mirroring and turning.
type orientation int

// readOrientation returns the orientation that an EXIF block, or a TIFF, says. What cannot
// be read counts as upright, as it does for every viewer.
func readOrientation(tiff []byte) orientation {
	d, _ := readDirectory(tiff)
	if o := orientation(d.number(tagOrientation, 1)); o >= 1 && o <= 8 {
		return o
	}
	return 1
}

// sideways reports whether width and height change places.
func (o orientation) sideways() bool { return o >= 5 }

// stored returns where the pixel at x, y of the upright picture is stored,
// in w x h stored pixels.
func (o orientation) stored(x, y, w, h int) (int, int) {
	if o.sideways() {
		x, y = y, x
	}
	switch o {
	case 2, 3, 7, 8:
		x = w - 1 - x
	}
	switch o {
	case 3, 4, 6, 7:
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
	w, h := m.Rect.Dx(), m.Rect.Dy()
	size := image.Rect(0, 0, w, h)
	if o.sideways() {
		size = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(size)
	for y := range size.Dy() {
		for x := range size.Dx() {
			sx, sy := o.stored(x, y, w, h)
			copy(out.Pix[out.PixOffset(x, y):][:4], m.Pix[m.PixOffset(sx, sy):][:4])
		}
	}
	return out
}
