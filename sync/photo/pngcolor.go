package photo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
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

// name sets the light that code points name (ITU-T H.273, sections 8.1 and 8.2), and
// reports whether it is known here.
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
	gamma, found := map[byte]float64{1: gammaBT709, 4: 2.2, 5: 2.8, 6: gammaBT709, 8: 1, 13: gammaSRGB, 14: gammaBT709, 15: gammaBT709}[code[1]]
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
