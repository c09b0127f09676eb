package photo

import (
	"image"
	"image/draw"
	"math"
)

// The weights of a tap are fixed-point numbers: integers give the same picture
// on every processor, which floating point does not promise.
const (
	weightBits = 14
	narrowBits = 8 // kept below the point between the two passes
)

// tap says which source samples make one result sample: those from first on,
// as many as there are weights, whose sum is 1<<weightBits.
type tap struct {
	first   int
	weights []int32
}

// taps returns the taps that make n samples of the given number of source
// samples, by the Catmull-Rom filter widened by the scale: sharp, and without
// the patterns that a filter of fixed width leaves in fine textures.
func taps(source, n int) []tap {
	scale := float64(source) / float64(n)
	wide := max(scale, 1)
	ts := make([]tap, n)
	for i := range ts {
		center := float64((float64(i)+0.5)*scale) - 0.5
		first := max(int(math.Ceil(center-float64(2*wide))), 0)
		last := min(int(math.Floor(center+float64(2*wide))), source-1)
		raw := make([]float64, last-first+1)
		sum := 0.0
		for j := range raw {
			raw[j] = catmullRom((float64(first+j) - center) / wide)
			sum += raw[j]
		}
		ts[i] = tapOf(first, raw, sum)
	}
	return ts
}

// tapOf turns weights into fixed-point ones without the zeros at both ends.
// What rounding leaves goes to the heaviest, so that a plain area stays plain.
func tapOf(first int, raw []float64, sum float64) tap {
	ws := make([]int32, len(raw))
	rest, heaviest := int32(1<<weightBits), 0
	for j, w := range raw {
		ws[j] = int32(math.Round(w / sum * (1 << weightBits)))
		rest -= ws[j]
		if ws[j] > ws[heaviest] {
			heaviest = j
		}
	}
	ws[heaviest] += rest
	for len(ws) > 1 && ws[0] == 0 {
		ws, first = ws[1:], first+1
	}
	for len(ws) > 1 && ws[len(ws)-1] == 0 {
		ws = ws[:len(ws)-1]
	}
	return tap{first, ws}
}

// catmullRom is the cubic filter of Catmull and Rom. The conversions forbid
// fused multiplications, whose rounding differs between processors.
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

// scale returns the part r of m with w x h pixels, which are no more than r
// has. It goes through m once, line by line, and needs memory for some lines
// of the result only. The four inks of a CMYK picture come out as the four bytes of
// a pixel.
func scale(m image.Image, r image.Rectangle, w, h int) *image.RGBA {
	inks, ink := m.(*image.CMYK)
	if ink {
		m = &image.RGBA{Pix: inks.Pix, Stride: inks.Stride, Rect: inks.Rect}
	}
	cols, rows := taps(r.Dx(), w), taps(r.Dy(), h)
	depth := 0
	for _, t := range rows {
		depth = max(depth, len(t.weights))
	}
	ring := make([][]int32, depth) // narrowed line y is in ring[y%depth]
	for i := range ring {
		ring[i] = make([]int32, 4*w)
	}
	line := image.NewRGBA(image.Rect(0, 0, r.Dx(), 1))
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	sums := make([]int64, 4*w)
	next := 0
	for y, t := range rows {
		for next = max(next, t.first); next < t.first+len(t.weights); next++ {
			draw.Draw(line, line.Rect, m, image.Pt(r.Min.X, r.Min.Y+next), draw.Src)
			narrow(ring[next%depth], line.Pix, cols)
		}
		clear(sums)
		for j, weight := range t.weights {
			for i, v := range ring[(t.first+j)%depth] {
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

// finish rounds a line of sums to pixels. Colours are premultiplied: none may
// be more than its alpha, unless they are inks.
func finish(to []byte, sums []int64, inks bool) {
	const shift = weightBits + narrowBits
	for i := 0; i < len(to); i += 4 {
		a := min(max((sums[i+3]+1<<(shift-1))>>shift, 0), 255)
		most := a
		if inks {
			most = 255
		}
		for c := range 3 {
			to[i+c] = byte(min(max((sums[i+c]+1<<(shift-1))>>shift, 0), most))
		}
		to[i+3] = byte(a)
	}
}
