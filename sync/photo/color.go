package photo

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"github.com/kovidgoyal/imaging/prism/meta/icc"
)

// maxProfile is the longest colour profile that is looked at. Those of cameras and
// displays have some hundred bytes to some thousand, those of presses a few megabytes.
const maxProfile = 4 << 20

// spaces are the colour spaces of ICC profiles (ICC.1, section 7.2) by the number of
// components that they are for.
var spaces = map[int]string{1: "GRAY", 3: "RGB ", 4: "CMYK"}

// toSRGB makes the colours of a picture those of sRGB, which every viewer takes those
// of a picture without a profile for.
type toSRGB struct {
	inks     int
	pipeline *icc.Pipeline // nil: they are already, or are print inks without a profile
	note     string        // what becomes of the profile, for people
}

// toSRGB returns how the colours of the pixels become those of sRGB. The pixels decide:
// a profile that is not for their kind, or broken, counts as none.
func (l *layout) toSRGB() (c toSRGB) {
	c.inks = l.inks
	if l.light != nil {
		c.pipeline = l.light.pipeline()
	}
	p := l.profile
	if l.profileParts != nil {
		p = joinProfile(l.profileParts)
	}
	if p == nil {
		return c.noted("colours converted to sRGB")
	}
	c.note = "colour profile removed: it is damaged"
	if !soundProfile(p) {
		return c
	}
	if space := string(p[16:20]); space != spaces[l.inks] {
		c.note = fmt.Sprintf("colour profile removed: it is for %s, the picture is not", bytes.TrimSpace(p[16:20]))
		return c
	}
	defer func() {
		if recover() != nil {
			c.pipeline = nil // the library was not made for what passes as a profile
		}
	}()
	if profile, err := icc.DecodeProfile(bytes.NewReader(p)); err == nil {
		if profile.IsSRGB() {
			return toSRGB{inks: l.inks}
		}
		// What browsers do: colours as the profile renders them for photos, those
		// beyond sRGB cut off, black as black as it gets.
		pipeline, err := profile.CreateTransformerToSRGB(icc.PerceptualRenderingIntent, true, l.inks, true, false, true)
		if err == nil && plausible(pipeline, l.inks) {
			c.pipeline = pipeline
			return c.noted("colours converted from their profile to sRGB")
		}
	}
	return c
}

func (c toSRGB) noted(note string) toSRGB {
	c.note = ""
	if c.pipeline != nil {
		c.note = note
	}
	return c
}

// joinProfile returns the profile in the parts of a JPEG's, which are put in the
// order of their numbers. Each begins with its number and that of all.
func joinProfile(parts [][]byte) []byte {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b []byte) int { return cmp.Compare(a[0], b[0]) })
	profile := []byte{}
	for _, p := range parts {
		profile = append(profile, p[2:]...)
	}
	return profile
}

// soundProfile checks what the library trusts: that the tags lie within the profile
// (ICC.1, section 7.3).
func soundProfile(p []byte) bool {
	const header, entry = 132, 12
	if len(p) < header || len(p) > maxProfile || string(p[36:40]) != "acsp" {
		return false
	}
	n := int64(binary.BigEndian.Uint32(p[128:]))
	first := header + entry*n
	if n > 200 || first > int64(len(p)) {
		return false
	}
	for e := p[header:first]; len(e) > 0; e = e[entry:] {
		start, size := int64(binary.BigEndian.Uint32(e[4:])), int64(binary.BigEndian.Uint32(e[8:]))
		if start < first || start+size > int64(len(p)) {
			return false
		}
	}
	return true
}

// plausible reports whether a profile takes the lightest that there is for light, the
// darkest for dark, and everything for some colour.
func plausible(p *icc.Pipeline, inks int) bool {
	light := func(corner int) float64 {
		var in [4]float64
		for i := range inks {
			in[i] = float64(corner >> i & 1)
		}
		out := transform(p, inks, in)
		return 0.2126*out[0] + 0.7152*out[1] + 0.0722*out[2]
	}
	for corner := range 1 << inks {
		if v := light(corner); math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	white, black := light(1<<inks-1), light(0)
	if inks == 4 {
		white, black = black, white
	}
	return white > 0.8 && black < 0.4
}

// apply converts the pixels of m in place. Print inks come as the four bytes of a pixel.
func (c toSRGB) apply(m *image.RGBA) {
	if c.pipeline == nil && c.inks != 4 {
		return
	}
	var last, made [4]byte
	for i := 0; i < len(m.Pix); i += 4 {
		p := (*[4]byte)(m.Pix[i:])
		if *p != last || i == 0 {
			last, made = *p, c.convert(*p)
		}
		*p = made
	}
}

// convert converts a pixel, whose colours are multiplied with its alpha.
func (c toSRGB) convert(p [4]byte) [4]byte {
	if c.pipeline == nil {
		r, g, b := color.CMYKToRGB(p[0], p[1], p[2], p[3])
		return [4]byte{r, g, b, 255}
	}
	full, alpha := 255.0, p[3]
	if c.inks == 4 {
		alpha = 255
	} else if alpha > 0 {
		full = float64(alpha)
	}
	var in [4]float64
	for i := range in {
		in[i] = min(float64(p[i])/full, 1)
	}
	out := transform(c.pipeline, c.inks, in)
	for i := range 3 {
		p[i] = byte(float64(max(0, min(out[i], 1))*float64(alpha)) + 0.5)
	}
	p[3] = alpha
	return p
}

// transform returns the red, green and blue of a colour.
func transform(p *icc.Pipeline, inks int, in [4]float64) (out [4]float64) {
	if inks == 4 {
		p.TransformGeneral(out[:], in[:])
		return out
	}
	out[0], out[1], out[2] = p.Transform(in[0], in[1], in[2])
	return out
}

// light says what red, green and blue a picture's colours are made of, and how their
// numbers grow with their light. PNG and BMP can say so without a profile.
type light struct {
	white, red, green, blue [2]float64 // chromaticities x and y
	gamma                   float64    // or one of the constants
}

const (
	gammaSRGB  = 0
	gammaBT709 = -1
)

// ofSRGB returns the light of sRGB.
func ofSRGB() light {
	return light{white: [2]float64{0.3127, 0.329}, red: [2]float64{0.64, 0.33}, green: [2]float64{0.3, 0.6}, blue: [2]float64{0.15, 0.06}}
}

// setLight notes what the colours are, unless that is sRGB. The gamma of old displays
// means sRGB's curve, which it is an approximation of.
func (l *layout) setLight(g light) {
	if math.Abs(g.gamma-2.2) < 0.05 {
		g.gamma = gammaSRGB
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
	case g.gamma == gammaSRGB && v <= 0.04045:
		return v / 12.92
	case g.gamma == gammaSRGB:
		return math.Pow((v+0.055)/1.055, 2.4)
	case g.gamma == gammaBT709 && v < 0.081:
		return v / 4.5
	case g.gamma == gammaBT709:
		return math.Pow((v+0.099)/1.099, 1/0.45)
	}
	return math.Pow(v, g.gamma)
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
