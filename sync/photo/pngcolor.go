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

// light says what red, green and blue a picture's colours are made of, and how their
// numbers grow with their light. PNG can say so without a profile.
type light struct {
	white, red, green, blue [2]float64 // chromaticities x and y
	gamma                   float64    // 0: the curve of sRGB, which is no power
}

var d65 = [2]float64{0.3127, 0.329}

// primaries are the lights that cICP chunks name, those of sRGB, television and screens
// with a wide gamut, and gammas the curves (ITU-T H.273, sections 8.1 and 8.2; those of
// television as screens show it, BT.1886).
var (
	primaries = map[byte]light{
		1:  {d65, [2]float64{0.64, 0.33}, [2]float64{0.3, 0.6}, [2]float64{0.15, 0.06}, 0},
		9:  {d65, [2]float64{0.708, 0.292}, [2]float64{0.17, 0.797}, [2]float64{0.131, 0.046}, 0},
		12: {d65, [2]float64{0.68, 0.32}, [2]float64{0.265, 0.69}, [2]float64{0.15, 0.06}, 0},
	}
	gammas = map[byte]float64{1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1, 13: 0, 14: 2.4, 15: 2.4}
)

// pngColours notes what the colours are by the chunks of a PNG, of which the first of
// these counts (third edition, section 4.3).
func (l *layout) pngColours(chunks map[string][]byte) {
	const unspecified = 2
	g := primaries[1]
	cicp, chrm, gama := chunks["cICP"], chunks["cHRM"], chunks["gAMA"]
	switch {
	case len(cicp) == 4 && cicp[0] != unspecified && cicp[1] != unspecified:
		named, found := primaries[cicp[0]]
		gamma, known := gammas[cicp[1]]
		if !found || !known || cicp[2] != 0 || cicp[3] != 1 {
			l.beyond = fmt.Sprintf("colours by the code points % d, such as those of high dynamic range", cicp)
		}
		g, g.gamma = named, gamma
	case chunks["iCCP"] != nil:
		l.profile = inflateProfile(chunks["iCCP"])
		return
	case chunks["sRGB"] != nil:
		return
	default:
		if len(gama) == 4 {
			g.gamma = 100_000 / float64(max(binary.BigEndian.Uint32(gama), 1))
		}
		if math.Abs(g.gamma-2.2) < 0.05 { // of old displays: an approximation of sRGB's curve
			g.gamma = 0
		}
		for i, xy := range []*[2]float64{&g.white, &g.red, &g.green, &g.blue} {
			for j := 0; j < 2 && len(chrm) == 32; j++ {
				xy[j] = float64(binary.BigEndian.Uint32(chrm[8*i+4*j:])) / 100_000
			}
		}
	}
	if g != primaries[1] {
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

// pipeline returns the conversion to sRGB. It panics if light makes no sense.
func (g *light) pipeline() *icc.Pipeline {
	xyz := func(c [2]float64) (x, y, z float64) { return c[0] / c[1], 1, (1 - c[0] - c[1]) / c[1] }
	var m icc.Matrix3
	for i, c := range [][2]float64{g.red, g.green, g.blue} {
		m[0][i], m[1][i], m[2][i] = xyz(c)
	}
	inverted, err := m.Inverted()
	if err != nil {
		panic(err)
	}
	r, gr, b := inverted.Transform(xyz(g.white)) // the share of each colour in white
	for i := range m {
		m[i] = [3]float64{m[i][0] * r, m[i][1] * gr, m[i][2] * b}
	}
	x, y, z := xyz(g.white)
	p := &icc.Pipeline{}
	p.Append(icc.NewUniformFunctionTransformer("light", g.linear), &m, icc.NewXYZtosRGB(icc.XYZType{X: x, Y: y, Z: z}, true, false))
	p.Finalize(true)
	return p
}

// inflateProfile returns the profile in the body of an iCCP chunk: a name, a zero, the
// method of compression (0: zlib), the compressed profile. It is empty if there is none.
func inflateProfile(body []byte) []byte {
	_, rest, _ := bytes.Cut(body, []byte{0})
	p := []byte{}
	if z, err := zlib.NewReader(bytes.NewReader(rest[min(len(rest), 1):])); err == nil {
		if p, err = io.ReadAll(io.LimitReader(z, maxProfile+1)); err != nil {
			return []byte{}
		}
	}
	return p
}
