package photo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/kovidgoyal/imaging/prism/meta/icc"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngKept are the ancillary chunks that show in the picture (PNG, third edition, section 11; the
// last three are for animations). All others are metadata, known or not.
var pngKept = []string{
	"tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI", "bKGD", "hIST", "pHYs", "sPLT",
	"acTL", "fcTL", "fdAT",
}

// pngColoured are the chunks that say what the colours mean.
var pngColoured = []string{"cICP", "iCCP", "sRGB", "cHRM", "gAMA"}

// readPNG reads the chunks up to IEND and checks their checksums. Like viewers, it tolerates damaged
// chunks that are not critical, and a missing IEND. Decoding shows whether all pixels are there.
func (l *layout) readPNG() error {
	d := l.data[len(pngSignature):]
	l.keep(l.data[:len(pngSignature)], true)
	colours := map[string][]byte{}
	for first, pixels := true, false; ; first = false {
		chunk := nextChunk(d)
		if pixels && (chunk == nil || string(chunk[4:8]) == "IEND" && !intact(chunk)) {
			chunk = []byte("\x00\x00\x00\x00IEND\xae\x42\x60\x82")
			l.repair("its missing IEND chunk added")
		}
		if chunk == nil {
			return refuse(Truncated, "PNG ends before its IEND chunk")
		}
		d = d[min(len(chunk), len(d)):]
		name, body := string(chunk[4:8]), chunk[8:len(chunk)-4]
		critical := name[0]&0x20 == 0
		switch {
		case !intact(chunk) && critical:
			return damaged("PNG with a damaged %q chunk", name)
		case !intact(chunk):
			l.repair("its damaged " + strings.ToValidUTF8(name, "?") + " chunk removed")
			continue
		case name == "CgBI":
			return refuse(UnsupportedFormat, "PNG in Apple's private variant (CgBI)")
		case first != (name == "IHDR"), first && len(body) != 13:
			return damaged("PNG without its header in the right place")
		case first:
			l.pngHeader(body)
		case name == "IDAT":
			pixels = true
		case name == "eXIf":
			l.orient(body)
		case name == "acTL" && len(body) == 8:
			l.frames = int(binary.BigEndian.Uint32(body))
		}
		if slices.Contains(pngColoured, name) && colours[name] == nil {
			colours[name] = body
		}
		l.keep(chunk, critical || slices.Contains(pngKept, name))
		if name == "IEND" {
			l.pngColours(colours)
			return nil
		}
	}
}

// nextChunk returns the chunk that d begins with, or nil if d ends before it does.
func nextChunk(d []byte) []byte {
	if len(d) < 12 || int64(binary.BigEndian.Uint32(d)) > int64(len(d)-12) {
		return nil
	}
	return d[:12+binary.BigEndian.Uint32(d)]
}

// intact reports whether the checksum of a chunk is right.
func intact(chunk []byte) bool {
	end := len(chunk) - 4
	return crc32.ChecksumIEEE(chunk[4:end]) == binary.BigEndian.Uint32(chunk[end:])
}

// pngHeader reads the header. The decoder checks it.
func (l *layout) pngHeader(body []byte) {
	l.width = int(int32(binary.BigEndian.Uint32(body)))
	l.height = int(int32(binary.BigEndian.Uint32(body[4:])))
	depth, kind := body[8], body[9]
	l.inks = 3
	if kind == 0 || kind == 4 {
		l.inks = 1
	}
	l.memory = l.pixels() * max(4, int64(depth)/2) // four samples of 8 or 16 bits
	if body[12] != 0 {
		l.memory *= 2 // interlaced: each pass is a picture of its own
	}
}

// light is a colour space as PNG describes it without a profile: white, the three primaries, and the
// curve from numbers to light.
type light struct {
	xy    [4][2]float64 // chromaticities of white, red, green and blue
	gamma float64       // 0: the curve of sRGB, which is not a power function
}

var d65 = [2]float64{0.3127, 0.329} // the white of all that have a code

// primaries and gammas are the colour spaces and the curves that cICP chunks name: of sRGB,
// television and screens with a wide gamut (ITU-T H.273, sections 8.1 and 8.2; the curves of
// television as screens show it, BT.1886).
var (
	primaries = map[byte]light{
		1:  {xy: [4][2]float64{d65, {0.64, 0.33}, {0.3, 0.6}, {0.15, 0.06}}},
		9:  {xy: [4][2]float64{d65, {0.708, 0.292}, {0.17, 0.797}, {0.131, 0.046}}},
		12: {xy: [4][2]float64{d65, {0.68, 0.32}, {0.265, 0.69}, {0.15, 0.06}}},
	}
	gammas = map[byte]float64{1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1, 13: 0, 14: 2.4, 15: 2.4}
)

// pngColours sets the colour space by the chunks of a PNG. The first of the chunks below counts
// (third edition, section 4.3).
func (l *layout) pngColours(chunks map[string][]byte) {
	const unspecified = 2
	g := primaries[1]
	cicp, chrm, gama := chunks["cICP"], chunks["cHRM"], chunks["gAMA"]
	switch {
	case len(cicp) == 4 && cicp[0] != unspecified && cicp[1] != unspecified:
		named, found := primaries[cicp[0]]
		gamma, known := gammas[cicp[1]]
		if !found || !known || cicp[2] != 0 || cicp[3] != 1 {
			l.unsupported = fmt.Sprintf("colours by the code points % d, such as those of high dynamic range", cicp)
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
		if math.Abs(g.gamma-2.2) < 0.05 { // the gamma of old displays approximates sRGB's curve
			g.gamma = 0
		}
		if len(chrm) == 32 {
			for i := range 8 {
				g.xy[i/2][i%2] = float64(binary.BigEndian.Uint32(chrm[4*i:])) / 100_000
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

// pipeline returns the conversion to sRGB. It panics if the values make no sense.
func (g *light) pipeline() *icc.Pipeline {
	xyz := func(c [2]float64) (x, y, z float64) { return c[0] / c[1], 1, (1 - c[0] - c[1]) / c[1] }
	var m icc.Matrix3
	for i, c := range g.xy[1:] {
		m[0][i], m[1][i], m[2][i] = xyz(c)
	}
	inverted, err := m.Inverted()
	if err != nil {
		panic(err)
	}
	x, y, z := xyz(g.xy[0])
	red, green, blue := inverted.Transform(x, y, z) // the share of each colour in white
	for i := range m {
		m[i] = [3]float64{m[i][0] * red, m[i][1] * green, m[i][2] * blue}
	}
	p := &icc.Pipeline{}
	p.Append(icc.NewUniformFunctionTransformer("light", g.linear), &m, icc.NewXYZtosRGB(icc.XYZType{X: x, Y: y, Z: z}, true, false))
	p.Finalize(true)
	return p
}

// inflateProfile returns the profile in the body of an iCCP chunk, which has a name, a zero, the
// method of compression (0: zlib) and the compressed profile. It is empty if there is none.
func inflateProfile(body []byte) []byte {
	_, rest, _ := bytes.Cut(body, []byte{0})
	z, err := zlib.NewReader(bytes.NewReader(rest[min(len(rest), 1):]))
	if err == nil {
		if p, err := io.ReadAll(io.LimitReader(z, maxProfile+1)); err == nil {
			return p
		}
	}
	return []byte{}
}
