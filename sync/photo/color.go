package photo

import (
	"bytes"
	"encoding/binary"
	"errors"
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

// spaces are the colour spaces of ICC profiles (ICC.1, section 7.2) by their number of components.
var spaces = map[int]string{1: "GRAY", 3: "RGB ", 4: "CMYK"}

// conversion returns how to convert the colours of the pixels to sRGB, which every viewer assumes for a
// picture without a profile. It is nil if the colours are sRGB already, or print inks without a profile.
// The note tells people what happens to the profile. One that is broken, or does not fit the pixels, is ignored.
func (l *layout) conversion() (p *icc.Pipeline, note string) {
	profile, broken := l.profile, ""
	slices.SortFunc(l.profileParts, bytes.Compare) // each begins with its number
	for _, part := range l.profileParts {
		profile = append(profile, part[2:]...)
	}
	defer func() {
		if recover() != nil { // the library panics over some broken profiles
			p, note = nil, broken
		}
	}()
	var err error
	switch {
	case profile != nil:
		broken = "colour profile removed: it is damaged"
		p, note, err = fromProfile(profile, l.inks)
	case l.light != nil:
		p, note = l.light.pipeline(), "colours converted to sRGB"
	}
	if err != nil || p != nil && !plausible(p, l.inks) {
		return nil, broken
	}
	return p, note
}

// fromProfile returns the conversion from a profile, nil if the profile is sRGB.
func fromProfile(data []byte, inks int) (*icc.Pipeline, string, error) {
	if !soundProfile(data) {
		return nil, "", errors.New("damaged")
	}
	if space := data[16:20]; string(space) != spaces[inks] {
		return nil, fmt.Sprintf("colour profile removed: it is for %s, the picture is not", bytes.TrimSpace(space)), nil
	}
	profile, err := icc.DecodeProfile(bytes.NewReader(data))
	if err != nil || profile.IsSRGB() {
		return nil, "", err
	}
	// As in browsers: perceptual rendering, colours beyond sRGB cut off, and black point compensation.
	p, err := profile.CreateTransformerToSRGB(icc.PerceptualRenderingIntent, true, inks, true, false, true)
	return p, "colours converted from their profile to sRGB", err
}

// soundProfile checks what the library does not: that the tags are within the profile (ICC.1,
// section 7.3), and that curves have a normal length, as the library's time grows with the square of it.
func soundProfile(p []byte) bool {
	const header, entry, points = 132, 12, 1 << 14
	if len(p) < header || len(p) > maxProfile {
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
		if start+size > int64(len(p)) {
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
func plausible(p *icc.Pipeline, inks int) bool {
	var in, out [4]float64
	var lights []float64
	for corner := range 1 << inks {
		for i := range inks {
			in[i] = float64(corner >> i & 1)
		}
		p.TransformGeneral(out[:], in[:])
		light := 0.2126*out[0] + 0.7152*out[1] + 0.0722*out[2]
		if math.IsNaN(light) || math.IsInf(light, 0) {
			return false
		}
		lights = append(lights, light)
	}
	if inks == 4 {
		slices.Reverse(lights)
	}
	return lights[0] < 0.4 && lights[len(lights)-1] > 0.8
}

// toSRGB converts the pixels of m in place. Their colours are premultiplied with alpha; print inks
// are the four bytes of a pixel.
func toSRGB(m *image.RGBA, inks int, p *icc.Pipeline) {
	if p == nil && inks != 4 {
		return
	}
	var in, out [4]float64
	var before, made [4]byte // the pixel before, as it was and as it is now
	for i := 0; i < len(m.Pix); i += 4 {
		pixel := (*[4]byte)(m.Pix[i:])
		if *pixel == before && i > 0 {
			*pixel = made
			continue
		}
		before = *pixel
		if inks == 4 {
			pixel[3] = 255
		}
		alpha := float64(pixel[3])
		if p == nil {
			pixel[0], pixel[1], pixel[2] = color.CMYKToRGB(before[0], before[1], before[2], before[3])
		} else {
			for c, v := range before {
				in[c] = min(float64(v)/max(alpha, 1), 1)
			}
			p.TransformGeneral(out[:], in[:])
			for c := range 3 {
				pixel[c] = byte(float64(max(0, min(out[c], 1))*alpha) + 0.5)
			}
		}
		made = *pixel
	}
}
