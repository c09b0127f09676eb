package photo

import (
	"crypto/sha256"
	_ "embed" // for the font
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
	"golang.org/x/text/unicode/norm"
)

// Initials draws a neutral picture of a person: the initials of the display name (or else of
// the email address) in white on a colour that depends on the email address; or the outline of a
// head, if no font here has the letters. It is a PNG of edge x edge pixels; edge is 16 to 4096.
func Initials(displayName, email string, edge int) (Picture, error) {
	if edge < minEdge || edge > 4096 {
		return Picture{}, fmt.Errorf("draw initials of %q: edge is %d pixels, want %d to 4096", email, edge, minEdge)
	}
	m := image.NewRGBA(image.Rect(0, 0, edge, edge))
	draw.Draw(m, m.Rect, image.NewUniform(colorFor(email)), image.Point{}, draw.Src)
	if !drawLetters(m, initials(displayName, email)) {
		drawHead(m)
	}
	return Picture{Data: encodePNG(m), Format: formatPNG, Width: edge, Height: edge, Changes: []string{"drawn"}}, nil
}

// grounds are the colours behind the initials, as RGB. White on each has a contrast of at least
// 4.5:1 (WCAG 2.2, success criterion 1.4.3).
var grounds = []uint32{
	0x1f5fa8, 0x0b726b, 0x2e7138, 0x5b6b1c, 0x8a5a0a, 0xa84a14,
	0xb0303c, 0xa42f6f, 0x803c9c, 0x5a4cb4, 0x4a5a6a, 0x6d4c41,
}

func colorFor(email string) color.RGBA {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return rgb(grounds[int(sum[0])%len(grounds)])
}

func rgb(n uint32) color.RGBA { return color.RGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 255} }

//go:embed fonts/cjk.ttf
var cjkFont []byte

// drawLetters draws letters in the middle. It reports false if there are none, or if no font has them.
func drawLetters(m *image.RGBA, letters []rune) bool {
	size := float64(m.Rect.Dx()) * 0.44
	if len(letters) == 1 {
		size = float64(m.Rect.Dx()) * 0.55
	}
	face, text := faceFor(letters, size)
	if face == nil {
		return false
	}
	// Centre the ink, not the boxes around it. Accents do not count: they would push the letter down.
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

// faceFor returns the first font that has the letters, and these as a text; or else without their
// accents: E for Ế is better than nothing.
func faceFor(letters []rune, size float64) (font.Face, string) {
	var plain []rune
	for _, r := range letters {
		plain = append(plain, []rune(norm.NFD.String(string(r)))[0])
	}
	for _, text := range [][]rune{letters, plain} {
		for _, data := range [][]byte{gobold.TTF, cjkFont} {
			f, _ := opentype.Parse(data) // cannot fail: the fonts are ours
			lacks := func(r rune) bool {
				i, err := f.GlyphIndex(nil, r)
				return err != nil || i == 0
			}
			if len(text) > 0 && !slices.ContainsFunc(text, lacks) {
				face, _ := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72})
				return face, string(text)
			}
		}
	}
	return nil, ""
}

// drawHead draws head and shoulders: two ellipses of four Bézier curves each.
func drawHead(m *image.RGBA) {
	const k = 0.5523 // makes a cubic curve nearly a quarter of a circle
	ink, edge := vector.NewRasterizer(m.Rect.Dx(), m.Rect.Dy()), float32(m.Rect.Dx())
	for _, e := range [][4]float32{{0.5, 0.39, 0.16, 0.18}, {0.5, 0.96, 0.32, 0.33}} {
		x, y, rx, ry := e[0]*edge, e[1]*edge, e[2]*edge, e[3]*edge
		ink.MoveTo(x+rx, y)
		ink.CubeTo(x+rx, y+k*ry, x+k*rx, y+ry, x, y+ry)
		ink.CubeTo(x-k*rx, y+ry, x-rx, y+k*ry, x-rx, y)
		ink.CubeTo(x-rx, y-k*ry, x-k*rx, y-ry, x, y-ry)
		ink.CubeTo(x+k*rx, y-ry, x+rx, y-k*ry, x+rx, y)
		ink.ClosePath()
	}
	ink.Draw(m, m.Rect, image.White, image.Point{})
}

// initials returns the first letters of the first and the last name, or the first character of a
// Chinese, Japanese or Korean name, which is the family's. If the display name has no letters, it
// uses the email address. It may return none.
func initials(displayName, email string) []rune {
	// NFKC also for Ｊａｎｅ, as Japanese keyboards write it.
	name := brackets.ReplaceAllString(norm.NFKC.String(displayName), " ")
	// Directories write "Family, Given" and "Name, Degree" alike.
	before, after, _ := strings.Cut(name, ",")
	after, _, _ = strings.Cut(after, ",")
	letters := firstLetters(strings.Fields(after + " " + before))
	if len(letters) == 0 {
		local, _, _ := strings.Cut(norm.NFKC.String(email), "@")
		letters = firstLetters(strings.FieldsFunc(local, func(r rune) bool { return !isLetter(r) }))
	}
	last := len(letters) - 1
	if last < 1 || ideographic(letters[0]) || ideographic(letters[last]) {
		return letters[:min(last+1, 1)] // "Bruce 李": do not mix the two scripts
	}
	return []rune{letters[0], letters[last]}
}

// firstLetters returns the first letter of each word, without titles and words without letters.
func firstLetters(words []string) (letters []rune) {
	for _, w := range words {
		if i := strings.IndexFunc(w, isLetter); i >= 0 && !slices.Contains(titles, strings.ToLower(strings.Trim(w, "."))) {
			letters = append(letters, unicode.ToUpper([]rune(w[i:])[0]))
		}
	}
	return letters
}

var titles = strings.Fields("dr prof professor ing dipl dipl.-ing mag med mr mrs ms miss mx sir herr frau m.d" +
	" jr sr ii iii iv phd ph.d md mba msc bsc esq cpa")

// brackets matches a part of a name in brackets, such as "(External)", and stray closing brackets.
var brackets = regexp.MustCompile(`[(\[{（【][^)\]}）】]*|[)\]}）】]`)

// isLetter reports whether a name may begin with r: a letter, but not a modifier letter such as the ʻ of ʻOkina.
func isLetter(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Lm, r) }

// ideographic reports whether r is of a script in which one character says as much as several letters.
func ideographic(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)
}
