package photo

import (
	"image"
	"image/draw"
	"math"
)

// tap says which source samples make one result sample: those from first on, as many as
// there are weights, whose sum is 1.
type tap struct {
	first   int
	weights []float32
}

// taps returns the taps that make n samples of at least as many, by the filter of Catmull and Rom,
// widened by the scale: sharp, and without the patterns that a filter of fixed width leaves
// in fine textures.
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

// scale returns the part r of m with w x h pixels, which are no more than r has. It goes
// through m once, line by line, and needs memory for some lines of the result only. The
// four inks of a CMYK picture come out as the four bytes of a pixel.
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

// narrow makes a line of the result's width. The conversions forbid fused multiplications,
// whose rounding differs between processors.
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

// finish rounds a line of sums to pixels. Colours are premultiplied: none may be more than
// its alpha, unless they are inks.
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
