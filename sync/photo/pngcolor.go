package photo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/kovidgoyal/imaging/prism/meta/icc"
)

// pngColours are the chunks of a PNG that say what its colours are.
type pngColours struct {
	cicp, profile, chrm []byte
	gamma               uint32
	srgb                bool
}

// read notes a chunk.
func (c *pngColours) read(name string, body []byte) {
	switch {
	case name == "cICP" && len(body) == 4:
		c.cicp = body
	case name == "iCCP":
		c.profile = body
	case name == "sRGB":
		c.srgb = true
	case name == "gAMA" && len(body) == 4:
		c.gamma = binary.BigEndian.Uint32(body)
	case name == "cHRM" && len(body) == 32:
		c.chrm = body
	}
}

// into notes what the colours of l are. The first of these chunks counts (PNG, third
// edition, section 4.3).
func (c *pngColours) into(l *layout) {
	g := ofSRGB()
	switch {
	case c.cicp != nil && c.cicp[0] != unspecified && c.cicp[1] != unspecified:
		if !g.name(c.cicp) {
			l.beyond = fmt.Sprintf("colours by the code points % d, such as those of high dynamic range", c.cicp)
		}
	case c.profile != nil:
		l.profile = inflateProfile(c.profile)
		return
	case c.srgb:
		return
	default:
		if c.gamma > 0 {
			g.gamma = 100_000 / float64(c.gamma)
		}
		if b := c.chrm; b != nil {
			for _, xy := range []*[2]float64{&g.white, &g.red, &g.green, &g.blue} {
				xy[0], xy[1] = float64(binary.BigEndian.Uint32(b))/100_000, float64(binary.BigEndian.Uint32(b[4:]))/100_000
				b = b[8:]
			}
		}
	}
	l.setLight(g)
}

const unspecified = 2

// name sets the light that code points name (ITU-T H.273, sections 8.1 and 8.2; that of
// television as screens show it, BT.1886), and reports whether it is known here.
func (g *light) name(code []byte) bool {
	switch code[0] {
	case 1: // BT.709, as sRGB
	case 5:
		g.red, g.green, g.blue = [2]float64{0.64, 0.33}, [2]float64{0.29, 0.6}, [2]float64{0.15, 0.06}
	case 6, 7:
		g.red, g.green, g.blue = [2]float64{0.63, 0.34}, [2]float64{0.31, 0.595}, [2]float64{0.155, 0.07}
	case 9: // BT.2020
		g.red, g.green, g.blue = [2]float64{0.708, 0.292}, [2]float64{0.17, 0.797}, [2]float64{0.131, 0.046}
	case 12: // Display P3
		g.red, g.green, g.blue = [2]float64{0.68, 0.32}, [2]float64{0.265, 0.69}, [2]float64{0.15, 0.06}
	default:
		return false
	}
	gamma, found := map[byte]float64{1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1, 13: 0, 14: 2.4, 15: 2.4}[code[1]]
	g.gamma = gamma
	return found && code[2] == 0 && code[3] == 1
}

// inflateProfile returns the profile in the body of an iCCP chunk: a name, a
// zero, the method of compression (0: zlib), the compressed profile. It is empty if
// there is none.
func inflateProfile(body []byte) []byte {
	_, rest, found := bytes.Cut(body, []byte{0})
	if !found || len(rest) < 1 || rest[0] != 0 {
		return []byte{}
	}
	z, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return []byte{}
	}
	p, err := io.ReadAll(io.LimitReader(z, maxProfile+1))
	if err != nil {
		return []byte{}
	}
	return p
}

// light says what red, green and blue a picture's colours are made of, and how their
// numbers grow with their light. PNG can say so without a profile.
type light struct {
	white, red, green, blue [2]float64 // chromaticities x and y
	gamma                   float64    // 0: that of sRGB, which is none
}

// ofSRGB returns the light of sRGB.
func ofSRGB() light {
	return light{white: [2]float64{0.3127, 0.329}, red: [2]float64{0.64, 0.33}, green: [2]float64{0.3, 0.6}, blue: [2]float64{0.15, 0.06}}
}

// setLight notes what the colours are, unless that is sRGB. The gamma of old displays
// means sRGB's curve, which it is an approximation of.
func (l *layout) setLight(g light) {
	if math.Abs(g.gamma-2.2) < 0.05 {
		g.gamma = 0
	}
	s := ofSRGB()
	off := math.Abs(g.gamma)
	for i := range 2 {
		off = max(off, math.Abs(g.white[i]-s.white[i]), math.Abs(g.red[i]-s.red[i]), math.Abs(g.green[i]-s.green[i]), math.Abs(g.blue[i]-s.blue[i]))
	}
	if off > 0.002 {
		l.light = &g
	}
}

// linear returns the amount of light for a number from 0 to 1.
func (g *light) linear(v float64) float64 {
	switch {
	case g.gamma > 0:
		return math.Pow(v, g.gamma)
	case v <= 0.04045:
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// pipeline returns the conversion to sRGB, or nil if light makes no sense.
func (g *light) pipeline() *icc.Pipeline {
	xyz := func(c [2]float64) [3]float64 { return [3]float64{c[0] / c[1], 1, (1 - c[0] - c[1]) / c[1]} }
	r, gr, b, w := xyz(g.red), xyz(g.green), xyz(g.blue), xyz(g.white)
	m := icc.Matrix3{}
	for i := range 3 {
		m[i] = [3]float64{r[i], gr[i], b[i]}
	}
	inverted, err := m.Inverted()
	if err != nil {
		return nil
	}
	share := [3]float64{} // of each colour in white
	share[0], share[1], share[2] = inverted.Transform(w[0], w[1], w[2])
	for i := range 3 {
		for j := range 3 {
			m[i][j] *= share[j]
		}
	}
	p := &icc.Pipeline{}
	p.Append(icc.NewUniformFunctionTransformer("light", g.linear), &m, icc.NewXYZtosRGB(icc.XYZType{X: w[0], Y: w[1], Z: w[2]}, true, false))
	p.Finalize(true)
	if !plausible(p, 3) {
		return nil
	}
	return p
}
