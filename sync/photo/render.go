package photo

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A picture with too many bytes is encoded again with less quality, in steps; if minQuality is
// not enough, with fewer pixels.
const (
	qualityStep = 10
	minQuality  = 60
)

// longestJPEG is the longest side that the 16 bits of a frame header can hold.
const longestJPEG = 1<<16 - 1

// changes say what was done to a picture, in order, for people.
type changes []string

func (c *changes) add(done bool, format string, args ...any) {
	if done {
		*c = append(*c, fmt.Sprintf(format, args...))
	}
}

// shape says how a picture is cropped and scaled.
type shape struct {
	part    image.Rectangle // of the upright picture
	size    image.Point     // of the result
	changes changes
}

func (o Options) shape(l *layout) (s shape) {
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
	part := s.part.Size()
	s.size = fit(part, o.MaxEdge)
	s.changes.add(l.turn != 1, "rotated")
	s.changes.add(part != whole, "cropped %dx%d -> %dx%d", whole.X, whole.Y, part.X, part.Y)
	s.changes.add(s.size != part, "scaled %dx%d -> %dx%d", part.X, part.Y, s.size.X, s.size.Y)
	return s
}

// fit returns size scaled down so that neither side is longer than edge; 0 means no limit.
func fit(size image.Point, edge int) image.Point {
	long := max(size.X, size.Y)
	if edge == 0 || long <= edge {
		return size
	}
	scaled := func(n int) int { return max((2*n*edge+long)/(2*long), 1) }
	return image.Pt(scaled(size.X), scaled(size.Y))
}

func (o Options) over(n int) bool { return o.MaxBytes > 0 && int64(n) > o.MaxBytes }

// kind names the stored form of the picture, for people.
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

// uploadable reports whether Smartsheet accepts the picture as it is. A JPEG with print inks is
// not uploaded: hardly any program shows its colours right.
func (l *layout) uploadable() bool {
	return l.format == formatJPEG && l.inks != 4 || l.format == formatPNG || l.format == formatGIF
}

// render makes a new picture in sRGB from the pixels of l, with the most pixels and the best quality that fit.
func (o Options) render(ctx context.Context, l *layout, m image.Image, s shape) (Picture, error) {
	conversion, colours := l.conversion()
	s.changes.add(colours != "", "%s", colours)
	s.changes.add(!l.uploadable(), "converted from %s", l.kind())
	s.changes.add(l.frames > 1, "first of %d frames taken", l.frames)
	s.changes.add(len(l.stripped()) < len(l.data), "metadata removed")
	for edge := min(max(s.size.X, s.size.Y), longestJPEG); ; edge = edge * 4 / 5 {
		if err := ctx.Err(); err != nil {
			return Picture{}, err
		}
		size, done := fit(s.size, edge), slices.Clone(s.changes)
		done.add(size != s.size, "scaled to %dx%d to fit", size.X, size.Y)
		// Scale first: then fewer pixels have to be turned.
		part, turned := l.turn.storedRect(s.part, l.width, l.height), l.turn.turned(size)
		pixels := l.turn.upright(scale(m, part.Add(m.Bounds().Min), turned.X, turned.Y))
		toSRGB(pixels, l.inks, conversion)
		if !pixels.Opaque() {
			if data := encodePNG(pixels); !o.over(len(data)) && !o.thumbnail {
				done.add(true, "encoded as PNG")
				return Picture{Data: data, Format: formatPNG, Width: size.X, Height: size.Y, Changes: done}, nil
			}
			pixels = o.flattened(pixels)
			done.add(true, "flattened on %s", o.Background)
		}
		var data []byte
		for quality := o.Quality; quality == o.Quality || quality >= minQuality; quality -= qualityStep {
			if data = encodeJPEG(pixels, quality); !o.over(len(data)) {
				done.add(true, "encoded as JPEG of quality %d", quality)
				return Picture{Data: data, Format: formatJPEG, Width: size.X, Height: size.Y, Changes: done}, nil
			}
		}
		if edge*4/5 < minEdge {
			return Picture{}, refuse(TooLarge, "%d bytes even with %dx%d pixels, at most %d are allowed", len(data), size.X, size.Y, o.MaxBytes)
		}
	}
}

// flattened returns m on the background.
func (o Options) flattened(m *image.RGBA) *image.RGBA {
	n, _ := strconv.ParseUint(o.Background[1:], 16, 32) // checked by the configuration
	flat := image.NewRGBA(m.Rect)
	draw.Draw(flat, flat.Rect, image.NewUniform(rgb(uint32(n))), image.Point{}, draw.Src)
	draw.Draw(flat, flat.Rect, m, image.Point{}, draw.Over)
	return flat
}

func encodePNG(m image.Image) []byte {
	return bytesOf(func(w io.Writer) error { return png.Encode(w, m) })
}

func encodeJPEG(m image.Image, quality int) []byte {
	return bytesOf(func(w io.Writer) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: quality}) })
}

func bytesOf(encode func(io.Writer) error) []byte {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		panic(err) // b takes everything, and the picture has pixels and fits its format
	}
	return b.Bytes()
}

// tap says from which source samples a result sample is made: as many as there are weights, from
// first on. The sum of the weights is 1.
type tap struct {
	first   int
	weights []float32
}

// taps returns the taps that make n samples from source samples, which are at least as many. The
// filter is Catmull and Rom's, widened by the scale: sharp, and without the patterns that a filter
// of fixed width leaves in fine textures.
func taps(source, n int) []tap {
	scale := float64(source) / float64(n)
	ts := make([]tap, n)
	for i := range ts {
		center := (float64(i)+0.5)*scale - 0.5
		first, last := max(int(math.Ceil(center-2*scale)), 0), min(int(math.Floor(center+2*scale)), source-1)
		sum := 0.0
		for j := first; j <= last; j++ {
			sum += catmullRom((float64(j) - center) / scale)
		}
		ts[i].first = first
		for j := first; j <= last; j++ {
			ts[i].weights = append(ts[i].weights, float32(catmullRom((float64(j)-center)/scale)/sum))
		}
	}
	return ts
}

func catmullRom(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	}
	return 0
}

// scale scales the part r of m to w x h pixels, which are no more than r has. It reads m once, line
// by line, and needs memory only for some lines of the result. The four inks of a CMYK picture
// become the four bytes of a pixel.
func scale(m image.Image, r image.Rectangle, w, h int) *image.RGBA {
	inks, ink := m.(*image.CMYK)
	if ink {
		m = &image.RGBA{Pix: inks.Pix, Stride: inks.Stride, Rect: inks.Rect}
	}
	cols, rows := taps(r.Dx(), w), taps(r.Dy(), h)
	ring := [][]float32{} // narrowed line y is in ring[y%len(ring)]
	for _, t := range rows {
		for len(ring) < len(t.weights) {
			ring = append(ring, make([]float32, 4*w))
		}
	}
	line := image.NewRGBA(image.Rect(0, 0, r.Dx(), 1))
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	sums := make([]float32, 4*w)
	next := 0
	for y, t := range rows {
		for ; next < t.first+len(t.weights); next++ {
			draw.Draw(line, line.Rect, m, image.Pt(r.Min.X, r.Min.Y+next), draw.Src)
			narrow(ring[next%len(ring)], line.Pix, cols)
		}
		clear(sums)
		for j, weight := range t.weights {
			for i, v := range ring[(t.first+j)%len(ring)] {
				sums[i] += float32(weight * v)
			}
		}
		finish(out.Pix[y*out.Stride:][:4*w], sums, ink)
	}
	return out
}

// narrow scales a line to the result's width. The conversions prevent fused multiplications, whose
// rounding differs between processors.
func narrow(to []float32, line []byte, cols []tap) {
	for x, t := range cols {
		var r, g, b, a float32
		pix := line[4*t.first:]
		for _, weight := range t.weights {
			p := pix[:4:4]
			r += float32(weight * float32(p[0]))
			g += float32(weight * float32(p[1]))
			b += float32(weight * float32(p[2]))
			a += float32(weight * float32(p[3]))
			pix = pix[4:]
		}
		q := to[4*x:][:4:4]
		q[0], q[1], q[2], q[3] = r, g, b, a
	}
}

// finish rounds a line of sums to pixels. Colours are premultiplied, so none may exceed its alpha;
// inks have no alpha.
func finish(to []byte, sums []float32, inks bool) {
	for i := 0; i < len(to); i += 4 {
		most := float32(255)
		for c := 3; c >= 0; c-- { // the alpha first
			v := min(max(sums[i+c], 0), most)
			to[i+c] = byte(v + 0.5)
			if c == 3 && !inks {
				most = v
			}
		}
	}
}
