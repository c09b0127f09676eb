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
	ink := vector.NewRasterizer(edge, edge)
	if !drawLetters(ink, initials(displayName, email), float32(edge)) {
		drawHead(ink, float32(edge))
	}
	ink.Draw(m, m.Rect, image.White, image.Point{})
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
var typefaces = sync.OnceValue(func() []*sfnt.Font {
	var fonts []*sfnt.Font
	for _, data := range [][]byte{gobold.TTF, cjkFont} {
		f, err := sfnt.Parse(data)
		if err != nil {
			panic(fmt.Sprintf("parse embedded font: %v", err))
		}
		fonts = append(fonts, f)
	}
	return fonts
})

// glyph is an outline at its place in a line, in pixels, with y downwards and
// the base line at 0.
type glyph struct {
	outline sfnt.Segments
	x       fixed.Int26_6
}

// drawLetters draws letters in the middle, and reports whether there are any
// and all could be drawn.
func drawLetters(ink *vector.Rasterizer, letters []rune, edge float32) bool {
	if len(letters) == 0 {
		return false
	}
	size := edge * 0.44
	if len(letters) == 1 {
		size = edge * 0.55
	}
	var line []glyph
	var x fixed.Int26_6
	for _, r := range letters {
		g, advance, ok := letter(r, fixed.Int26_6(size*64))
		if !ok {
			return false
		}
		line = append(line, glyph{g, x})
		x += advance
	}
	// The middle of the ink, not of the boxes around it, is what the eye sees.
	// Accents do not count: they would push the letter down.
	box := line[0].outline.Bounds().Add(fixed.Point26_6{X: line[0].x})
	for _, g := range line[1:] {
		box = box.Union(g.outline.Bounds().Add(fixed.Point26_6{X: g.x}))
	}
	top := box.Min.Y
	if !ideographic(letters[0]) {
		top = -fixed.Int26_6(size * 64 * capHeight)
		box.Max.Y = 0
	}
	dx := edge/2 - float32(box.Min.X+box.Max.X)/128
	dy := edge/2 - float32(top+box.Max.Y)/128
	for _, g := range line {
		trace(ink, g.outline, dx+float32(g.x)/64, dy)
	}
	return true
}

// capHeight is the height of Go Bold's capitals, in ems.
const capHeight = 0.72

// letter returns the outline of r from the first font that has it, or that of
// the letter without its accents: Ế is no worse an E than none.
func letter(r rune, size fixed.Int26_6) (sfnt.Segments, fixed.Int26_6, bool) {
	base := []rune(norm.NFD.String(string(r)))[0]
	for _, r := range []rune{r, base} {
		for _, f := range typefaces() {
			var b sfnt.Buffer
			i, err := f.GlyphIndex(&b, r)
			if err != nil || i == 0 {
				continue
			}
			advance, err := f.GlyphAdvance(&b, i, size, font.HintingNone)
			if err != nil {
				continue
			}
			outline, err := f.LoadGlyph(&b, i, size, nil)
			if err != nil || len(outline) == 0 {
				continue
			}
			return outline, advance, true
		}
	}
	return nil, 0, false
}

// trace adds an outline, moved by dx and dy.
func trace(ink *vector.Rasterizer, outline sfnt.Segments, dx, dy float32) {
	at := func(p fixed.Point26_6) (x, y float32) { return dx + float32(p.X)/64, dy + float32(p.Y)/64 }
	for _, s := range outline {
		x0, y0 := at(s.Args[0])
		x1, y1 := at(s.Args[1])
		x2, y2 := at(s.Args[2])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			ink.ClosePath()
			ink.MoveTo(x0, y0)
		case sfnt.SegmentOpLineTo:
			ink.LineTo(x0, y0)
		case sfnt.SegmentOpQuadTo:
			ink.QuadTo(x0, y0, x1, y1)
		case sfnt.SegmentOpCubeTo:
			ink.CubeTo(x0, y0, x1, y1, x2, y2)
		}
	}
	ink.ClosePath()
}

// drawHead draws head and shoulders.
func drawHead(ink *vector.Rasterizer, edge float32) {
	ellipse(ink, edge*0.5, edge*0.39, edge*0.16, edge*0.18)
	ellipse(ink, edge*0.5, edge*0.96, edge*0.32, edge*0.33)
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
