package photo

import (
	"image"
	"image/draw"
	"math"
)

// The weights of a tap are fixed-point numbers: integers give the same picture on every
// processor, which floating point does not promise.
const (
	weightBits = 14
	narrowBits = 8 // kept below the point between the two passes
)

// tap says which source samples make one result sample: those from first on, as many as
// there are weights, whose sum is 1<<weightBits.
type tap struct {
	first   int
	weights []int32
}

// taps returns the taps that make n samples of at least as many, by the Catmull-Rom filter
// widened by the scale: sharp, and without the patterns that a filter of fixed width leaves
// in fine textures.
func taps(source, n int) []tap {
	scale := float64(source) / float64(n)
	ts := make([]tap, n)
	for i := range ts {
		center := float64((float64(i)+0.5)*scale) - 0.5
		first := max(int(math.Ceil(center-float64(2*scale))), 0)
		last := min(int(math.Floor(center+float64(2*scale))), source-1)
		raw, sum := make([]float64, last-first+1), 0.0
		for j := range raw {
			raw[j] = catmullRom((float64(first+j) - center) / scale)
			sum += raw[j]
		}
		// What rounding leaves goes to the heaviest, so that a plain area stays plain.
		ws, rest, heaviest := make([]int32, len(raw)), int32(1<<weightBits), 0
		for j, w := range raw {
			ws[j] = int32(math.Round(w / sum * (1 << weightBits)))
			rest -= ws[j]
			if ws[j] > ws[heaviest] {
				heaviest = j
			}
		}
		ws[heaviest] += rest
		ts[i] = tap{first, ws}
	}
	return ts
}

// catmullRom is the cubic filter of Catmull and Rom. The conversions forbid fused
// multiplications, whose rounding differs between processors.
func catmullRom(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64(float64(float64(float64(1.5*x)-2.5)*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(-0.5*x)+2.5)*x)-4)*x) + 2
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
	ring := [][]int32{} // narrowed line y is in ring[y%len(ring)]
	for _, t := range rows {
		for len(ring) < len(t.weights) {
			ring = append(ring, make([]int32, 4*w))
		}
	}
	line := image.NewRGBA(image.Rect(0, 0, r.Dx(), 1))
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	sums := make([]int64, 4*w)
	next := 0
	for y, t := range rows {
		for ; next < t.first+len(t.weights); next++ {
			draw.Draw(line, line.Rect, m, image.Pt(r.Min.X, r.Min.Y+next), draw.Src)
			narrow(ring[next%len(ring)], line.Pix, cols)
		}
		clear(sums)
		for j, weight := range t.weights {
			for i, v := range ring[(t.first+j)%len(ring)] {
				sums[i] += int64(weight) * int64(v)
			}
		}
		finish(out.Pix[y*out.Stride:][:4*w], sums, ink)
	}
	return out
}

// narrow makes a line of the result's width.
func narrow(to []int32, line []byte, cols []tap) {
	const shift = weightBits - narrowBits
	for x, t := range cols {
		var r, g, b, a int32
		pix := line[4*t.first:]
		for _, weight := range t.weights {
			p := pix[:4:4]
			r += weight * int32(p[0])
			g += weight * int32(p[1])
			b += weight * int32(p[2])
			a += weight * int32(p[3])
			pix = pix[4:]
		}
		q := to[4*x:][:4:4]
		q[0], q[1], q[2], q[3] = r>>shift, g>>shift, b>>shift, a>>shift
	}
}

// finish rounds a line of sums to pixels. Colours are premultiplied: none may be more than
// its alpha, unless they are inks.
func finish(to []byte, sums []int64, inks bool) {
	const shift = weightBits + narrowBits
	for i := 0; i < len(to); i += 4 {
		most := int64(255)
		for c := 3; c >= 0; c-- { // the alpha first
			v := min(max((sums[i+c]+1<<(shift-1))>>shift, 0), most)
			to[i+c] = byte(v)
			if c == 3 && !inks {
				most = v
			}
		}
	}
}
