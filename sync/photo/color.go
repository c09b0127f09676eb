package photo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"github.com/kovidgoyal/imaging/prism/meta/icc"
)

// maxProfile is the longest colour profile that is read. Profiles of cameras and displays have
// hundreds or thousands of bytes, those of printing presses a few megabytes.
const maxProfile = 4 << 20

// spaces are the colour spaces of ICC profiles (ICC.1, section 7.2) by their number of
// components.
var spaces = map[int]string{1: "GRAY", 3: "RGB ", 4: "CMYK"}

// toSRGB converts the colours of a picture to sRGB, which every viewer assumes for a picture without
// a profile.
type toSRGB struct {
	inks     int
	pipeline *icc.Pipeline // nil: the colours are sRGB already, or print inks without a profile
	note     string        // what happens to the profile, for people
	in, out  [4]float64    // of the pipeline's last step
}

// toSRGB returns how to convert the colours of the pixels to sRGB. A profile that does not fit the
// pixels, or is broken, is ignored.
func (l *layout) toSRGB() *toSRGB {
	c, p, broken := &toSRGB{inks: l.inks}, l.profile, ""
	slices.SortFunc(l.profileParts, bytes.Compare) // each begins with its number
	for _, part := range l.profileParts {
		p = append(p, part[2:]...)
	}
	defer func() { // the library panics over some broken profiles
		if recover() != nil || c.pipeline != nil && !c.plausible() {
			c.pipeline, c.note = nil, broken
		}
	}()
	switch {
	case p == nil && l.light != nil:
		c.pipeline, c.note = l.light.pipeline(), "colours converted to sRGB"
	case p != nil:
		broken = "colour profile removed: it is damaged"
		c.pipeline, c.note = fromProfile(p, l.inks, broken)
	}
	return c
}

// fromProfile returns the conversion from a profile, nil if the profile is sRGB.
func fromProfile(p []byte, inks int, broken string) (*icc.Pipeline, string) {
	if !soundProfile(p) {
		return nil, broken
	}
	if space := p[16:20]; string(space) != spaces[inks] {
		return nil, fmt.Sprintf("colour profile removed: it is for %s, the picture is not", bytes.TrimSpace(space))
	}
	profile, err := icc.DecodeProfile(bytes.NewReader(p))
	switch {
	case err != nil:
		return nil, broken
	case profile.IsSRGB():
		return nil, ""
	}
	// As in browsers: perceptual rendering, colours beyond sRGB cut off, and black point
	// compensation.
	pipeline, err := profile.CreateTransformerToSRGB(icc.PerceptualRenderingIntent, true, inks, true, false, true)
	if err != nil {
		return nil, broken
	}
	return pipeline, "colours converted from their profile to sRGB"
}

// soundProfile checks what the library does not: that the tags are within the profile (ICC.1,
// section 7.3), and that curves have a normal length, as the library's time grows with the square
// of it.
func soundProfile(p []byte) bool {
	const header, entry, points = 132, 12, 1 << 14
	if len(p) < header || len(p) > maxProfile || string(p[36:40]) != "acsp" {
		return false
	}
	number := func(b []byte) int64 { return int64(binary.BigEndian.Uint32(b)) }
	n := number(p[128:])
	first := header + entry*n
	if n > 200 || first > int64(len(p)) {
		return false
	}
	for e := p[header:first]; len(e) > 0; e = e[entry:] {
		start, size := number(e[4:]), number(e[8:])
		if start < first || start+size > int64(len(p)) {
			return false
		}
		if tag := p[start : start+size]; size >= 52 && string(tag[:4]) == "mft2" &&
			max(binary.BigEndian.Uint16(tag[48:]), binary.BigEndian.Uint16(tag[50:])) > points {
			return false
		}
	}
	for _, curve := range bytes.Split(p, []byte("curv"))[1:] {
		if len(curve) < 8 || number(curve[4:]) > points {
			return false
		}
	}
	return true
}

// plausible reports whether the conversion makes the lightest colour light and the darkest dark,
// without results that are no numbers.
func (c *toSRGB) plausible() bool {
	var lights []float64
	for corner := range 1 << c.inks {
		for i := range c.inks {
			c.in[i] = float64(corner >> i & 1)
		}
		c.pipeline.TransformGeneral(c.out[:], c.in[:])
		light := 0.2126*c.out[0] + 0.7152*c.out[1] + 0.0722*c.out[2]
		if math.IsNaN(light) || math.IsInf(light, 0) {
			return false
		}
		lights = append(lights, light)
	}
	if c.inks == 4 {
		slices.Reverse(lights)
	}
	return lights[0] < 0.4 && lights[len(lights)-1] > 0.8
}

// apply converts the pixels of m in place. Their colours are premultiplied with alpha; print inks
// are the four bytes of a pixel.
func (c *toSRGB) apply(m *image.RGBA) {
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

func (c *toSRGB) convert(p [4]byte) [4]byte {
	alpha := p[3]
	if c.inks == 4 {
		alpha = 255
	}
	if c.pipeline == nil {
		r, g, b := color.CMYKToRGB(p[0], p[1], p[2], p[3])
		return [4]byte{r, g, b, alpha}
	}
	for i := range c.in {
		c.in[i] = min(float64(p[i])/float64(max(alpha, 1)), 1)
	}
	c.pipeline.TransformGeneral(c.out[:], c.in[:])
	for i := range 3 {
		p[i] = byte(float64(max(0, min(c.out[i], 1))*float64(alpha)) + 0.5)
	}
	p[3] = alpha
	return p
}
