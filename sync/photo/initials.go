package photo

import (
	"crypto/sha256"
	_ "embed" // for the font
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
	"golang.org/x/text/unicode/norm"
)

// Initials draws a neutral picture that stands for a person: the initials of
// the display name (else of the email address) in white on a colour that stays
// the same for the email address, or the outline of a head where no font here
// has the letters. It is a PNG of edge x edge pixels; edge is 16 to 4096.
func Initials(displayName, email string, edge int) (Picture, error) {
	if edge < minEdge || edge > 4096 {
		return Picture{}, fmt.Errorf("draw initials of %q: edge is %d pixels, want %d to 4096", email, edge, minEdge)
	}
	m := image.NewRGBA(image.Rect(0, 0, edge, edge))
	draw.Draw(m, m.Rect, image.NewUniform(colorFor(email)), image.Point{}, draw.Src)
	if !drawLetters(m, initials(displayName, email)) {
		drawHead(m)
	}
	return Picture{
		Data: encodePNG(m), Format: formatPNG, Width: edge, Height: edge,
		Changes: []string{"drawn"},
	}, nil
}

// grounds are the colours behind the initials. White on each has a contrast of
// at least 4.5:1 (WCAG 2.2, success criterion 1.4.3).
var grounds = []color.RGBA{
	{0x1f, 0x5f, 0xa8, 255}, // blue
	{0x0b, 0x72, 0x6b, 255}, // teal
	{0x2e, 0x71, 0x38, 255}, // green
	{0x5b, 0x6b, 0x1c, 255}, // olive
	{0x8a, 0x5a, 0x0a, 255}, // ochre
	{0xa8, 0x4a, 0x14, 255}, // rust
	{0xb0, 0x30, 0x3c, 255}, // red
	{0xa4, 0x2f, 0x6f, 255}, // rose
	{0x80, 0x3c, 0x9c, 255}, // purple
	{0x5a, 0x4c, 0xb4, 255}, // violet
	{0x4a, 0x5a, 0x6a, 255}, // slate
	{0x6d, 0x4c, 0x41, 255}, // brown
}

// colorFor returns the colour of a person.
func colorFor(email string) color.RGBA {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return grounds[int(sum[0])%len(grounds)]
}

//go:embed fonts/cjk.ttf
var cjkFont []byte

// typefaces returns the fonts in the order in which they are asked for a letter.
var typefaces = sync.OnceValue(func() (fonts []*opentype.Font) {
	for _, data := range [][]byte{gobold.TTF, cjkFont} {
		f, err := opentype.Parse(data)
		if err != nil {
			panic(fmt.Sprintf("parse embedded font: %v", err))
		}
		fonts = append(fonts, f)
	}
	return fonts
})

// drawLetters draws letters in the middle, and reports whether there are any and a font
// has them, or the letters without their accents: Ế is no worse an E than none.
func drawLetters(m *image.RGBA, letters []rune) bool {
	if len(letters) == 0 {
		return false
	}
	size := float64(m.Rect.Dx()) * 0.44
	if len(letters) == 1 {
		size = float64(m.Rect.Dx()) * 0.55
	}
	var plain []rune
	for _, r := range letters {
		plain = append(plain, []rune(norm.NFD.String(string(r)))[0])
	}
	for _, text := range []string{string(letters), string(plain)} {
		for _, f := range typefaces() {
			if !has(f, text) {
				continue
			}
			face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72})
			if err != nil {
				panic(fmt.Sprintf("use embedded font: %v", err))
			}
			// The middle of the ink, not of the boxes around it, is what the eye sees.
			// Accents do not count: they would push the letter down.
			box, _ := font.BoundString(face, text)
			if !ideographic(letters[0]) {
				box.Min.Y, box.Max.Y = -face.Metrics().CapHeight, 0
			}
			middle := fixed.I(m.Rect.Dx()) / 2
			dot := fixed.Point26_6{X: middle - (box.Min.X+box.Max.X)/2, Y: middle - (box.Min.Y+box.Max.Y)/2}
			d := font.Drawer{Dst: m, Src: image.White, Face: face, Dot: dot}
			d.DrawString(text)
			return true
		}
	}
	return false
}

// has reports whether a font has all letters of a text.
func has(f *opentype.Font, text string) bool {
	var b sfnt.Buffer
	for _, r := range text {
		if i, err := f.GlyphIndex(&b, r); err != nil || i == 0 {
			return false
		}
	}
	return true
}

// drawHead draws head and shoulders.
func drawHead(m *image.RGBA) {
	ink, edge := vector.NewRasterizer(m.Rect.Dx(), m.Rect.Dy()), float32(m.Rect.Dx())
	ellipse(ink, edge*0.5, edge*0.39, edge*0.16, edge*0.18)
	ellipse(ink, edge*0.5, edge*0.96, edge*0.32, edge*0.33)
	ink.Draw(m, m.Rect, image.White, image.Point{})
}

// ellipse adds an ellipse around x, y of four Bézier curves.
func ellipse(ink *vector.Rasterizer, x, y, rx, ry float32) {
	const k = 0.5523 // brings a cubic curve closest to a quarter of a circle
	ink.MoveTo(x+rx, y)
	ink.CubeTo(x+rx, y+k*ry, x+k*rx, y+ry, x, y+ry)
	ink.CubeTo(x-k*rx, y+ry, x-rx, y+k*ry, x-rx, y)
	ink.CubeTo(x-rx, y-k*ry, x-k*rx, y-ry, x, y-ry)
	ink.CubeTo(x+k*rx, y-ry, x+rx, y-k*ry, x+rx, y)
	ink.ClosePath()
}
