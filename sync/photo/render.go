package photo

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"slices"
	"strconv"
	"strings"
)

// A picture that is too large in bytes is encoded again with less quality, in steps, and
// below minQuality with fewer pixels.
const (
	qualityStep = 10
	minQuality  = 60
)

// longestJPEG is what the 16 bits of a frame header hold.
const longestJPEG = 1<<16 - 1

// shape is what becomes of a picture's outline.
type shape struct {
	part    image.Rectangle // what is left of the upright picture
	size    image.Point     // of the result
	changes []string
}

func (o Options) shape(l *layout) (s shape) {
	change := func(what string, from, to image.Point) {
		if from != to {
			s.changes = append(s.changes, fmt.Sprintf("%s %dx%d -> %dx%d", what, from.X, from.Y, to.X, to.Y))
		}
	}
	if l.turn != 1 {
		s.changes = append(s.changes, "rotated")
	}
	whole := l.turn.turned(image.Pt(l.width, l.height))
	s.part = image.Rectangle{Max: whole}
	if o.Crop != "none" {
		edge := min(whole.X, whole.Y)
		at := image.Pt((whole.X-edge)/2, (whole.Y-edge)/2)
		if o.Crop == "top" {
			at.Y = 0
		}
		s.part = image.Rectangle{at, at.Add(image.Pt(edge, edge))}
	}
	s.size = fit(s.part.Size(), o.MaxEdge)
	change("cropped", whole, s.part.Size())
	change("scaled", s.part.Size(), s.size)
	return s
}

// fit returns size scaled down so that neither side is over edge; 0 is no limit.
func fit(size image.Point, edge int) image.Point {
	long := max(size.X, size.Y)
	if edge == 0 || long <= edge {
		return size
	}
	scaled := func(n int) int { return max((2*n*edge+long)/(2*long), 1) }
	return image.Pt(scaled(size.X), scaled(size.Y))
}

func (o Options) over(n int) bool { return o.MaxBytes > 0 && int64(n) > o.MaxBytes }

// kind names what the picture is stored as, for people.
func (l *layout) kind() string {
	name := strings.Replace(strings.ToUpper(l.format), "WEBP", "WebP", 1)
	if l.progressive {
		name = "progressive " + name
	}
	if l.inks == 4 {
		name = "CMYK " + name
	}
	return name
}

// uploadable reports whether Smartsheet takes the picture as it is. A JPEG with print inks
// is one by name, but hardly anything shows its colours right.
func (l *layout) uploadable() bool {
	return l.format == formatJPEG && l.inks != 4 || l.format == formatPNG || l.format == formatGIF
}

// render makes a new picture from the pixels of l: with all the pixels and quality that it
// may have, or what comes next to that and fits. Its colours are those of sRGB.
func (o Options) render(ctx context.Context, l *layout, m image.Image, s shape) (Picture, error) {
	colours := l.toSRGB()
	note := func(made bool, what string) {
		if made {
			s.changes = append(s.changes, what)
		}
	}
	note(colours.note != "", colours.note)
	note(!l.uploadable(), "converted from "+l.kind())
	note(l.frames > 1, fmt.Sprintf("first of %d frames taken", l.frames))
	note(len(l.stripped()) < len(l.data), "metadata removed")
	for edge := min(max(s.size.X, s.size.Y), longestJPEG); ; edge = edge * 4 / 5 {
		if err := ctx.Err(); err != nil {
			return Picture{}, err
		}
		size := fit(s.size, edge)
		p := Picture{Width: size.X, Height: size.Y, Changes: slices.Clone(s.changes)}
		if size != s.size {
			p.Changes = append(p.Changes, fmt.Sprintf("scaled to %dx%d to fit", size.X, size.Y))
		}
		pixels := l.upright(m, s.part, size)
		colours.apply(pixels)
		if !pixels.Opaque() {
			p.Format, p.Data = formatPNG, encodePNG(pixels)
			if !o.over(len(p.Data)) && !o.thumbnail {
				p.Changes = append(p.Changes, "encoded as PNG")
				return p, nil
			}
			n, _ := strconv.ParseUint(o.Background[1:], 16, 32) // the configuration has checked it
			pixels = flatten(pixels, rgb(uint32(n)))
			p.Changes = append(p.Changes, "flattened on "+o.Background)
		}
		p.Format = formatJPEG
		for quality := o.Quality; quality == o.Quality || quality >= minQuality; quality -= qualityStep {
			if p.Data = encodeJPEG(pixels, quality); !o.over(len(p.Data)) {
				p.Changes = append(p.Changes, fmt.Sprintf("encoded as JPEG of quality %d", quality))
				return p, nil
			}
		}
		if edge*4/5 < minEdge {
			return Picture{}, refuse(TooLarge, "%d bytes even with %dx%d pixels, at most %d are allowed", len(p.Data), size.X, size.Y, o.MaxBytes)
		}
	}
}

// upright returns the part of the upright picture with size pixels, in the colours of l;
// those of print inks are the four bytes of a pixel. It is scaled first and turned then,
// since fewer pixels are to be turned.
func (l *layout) upright(m image.Image, part image.Rectangle, size image.Point) *image.RGBA {
	r := l.turn.storedRect(part, l.width, l.height).Add(m.Bounds().Min)
	size = l.turn.turned(size)
	return l.turn.upright(scale(m, r, size.X, size.Y))
}

// flatten returns m with a colour behind it.
func flatten(m *image.RGBA, c color.RGBA) *image.RGBA {
	flat := image.NewRGBA(m.Rect)
	draw.Draw(flat, flat.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	draw.Draw(flat, flat.Rect, m, m.Rect.Min, draw.Over)
	return flat
}

func encodePNG(m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err) // guarded; memory takes everything, and m has pixels
	}
	return b.Bytes()
}

func encodeJPEG(m *image.RGBA, quality int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		panic(err) // guarded; memory takes everything, and m fits a JPEG
	}
	return b.Bytes()
}
