package photo

import (
	"bytes"
	"image"
	"image/color"
	_ "image/gif"
	_ "image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/image/draw"
)

// cases are pictures as cameras, phones and Photoshop make them, and what becomes of
// them: a code for each that is refused, and what is said to be changed.
var cases = []struct {
	file         string
	asItIs       string // code where nothing has to change
	made         string // code where it is encoded again
	change       string
	changeIsPass bool // also where nothing else changes
}{
	{"01-colour-with-gray-icc-1200px.png", "", "", "colour profile removed: it is for GRAY, the picture is not", false},
	{"02-progressive-420-restart.jpg", "", UnsupportedFormat, "", false},
	{"03-two-exif-6-then-none.jpg", "", "", "rotated", true},
	{"04-accepted-png-colourtype9.png", UnsupportedFormat, UnsupportedFormat, "", false},
	{"05-mjpeg-frame-no-dht.jpg", "", "", "its missing Huffman tables added (the standard ones)", true},
	{"06-gif-frame-beyond-screen.gif", "", "", "its screen enlarged to its first frame, from 150x113", true},
	{"06-gif-zero-byte-before-trailer.gif", "", "", "stray zeros between its blocks removed", true},
	{"07-animated.webp", "", "", "first of 2 frames taken", true},
	{"08-cmyk-420-pillow.jpg", UnsupportedFormat, UnsupportedFormat, "", false},
	{"09-no-eoi-zero-padded.jpg", "", "", "its missing end-of-image marker added", true},
	{"09-png-bad-crc-in-tEXt.png", "", "", "its damaged tEXt chunk removed", true},
	{"10-cicp-p3-1200px.png", "", "", "colours converted to sRGB", false},
	{"10-gama-1.0-1200px.png", "", "", "colours converted to sRGB", false},
	{"11-rle8.bmp", "", "", "converted from BMP", true},
	{"12-gray-alpha.tif", "", "", "converted from TIFF", true},
	{"12-jpeg-compressed.tif", "", "", "converted from TIFF", true},
	{"13-fillorder2-sent-as-noise.tif", "", "", "converted from TIFF", true},
	{"14-accepted-cut-progressive-odd-sampling.jpg", Truncated, Truncated, "", false},
}

func TestCases(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.file, func(t *testing.T) {
			data := file(t, filepath.Join("cases", tt.file))
			whole, err := Prepare(t.Context(), data, Options{})
			if got := code(t, err); got != tt.asItIs {
				t.Errorf("as it is: %v, want %q", err, tt.asItIs)
			}
			if got := slices.Contains(whole.Changes, tt.change); err == nil && got != tt.changeIsPass {
				t.Errorf("as it is: changes %q", whole.Changes)
			}
			small, err := Prepare(t.Context(), data, Options{MaxEdge: 140})
			if tt.file == "11-rle8.bmp" || tt.file[:2] > "11" && tt.made == "" { // is smaller
				small, err = Prepare(t.Context(), data, Options{MaxEdge: 100})
			}
			if got := code(t, err); got != tt.made {
				t.Errorf("encoded again: %v, want %q", err, tt.made)
			}
			if err == nil && !slices.Contains(small.Changes, tt.change) {
				t.Errorf("encoded again: changes %q", small.Changes)
			}
			for _, p := range []Picture{whole, small} {
				if p.Data != nil && len(p.Changes) > 0 {
					looksLike(t, p, file(t, filepath.Join("cases", "want", tt.file+".png")))
				}
			}
		})
	}
}

// looksLike compares a finished picture with a PNG of what it should be, whatever their
// sizes. Its colours may be off by three levels in the mean.
func looksLike(t *testing.T, p Picture, want []byte) {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if d := difference(pixelsOf(t, p), m); d > 3 {
		t.Errorf("%dx%d, %q: it is off by %.1f levels", p.Width, p.Height, p.Changes, d)
	}
}

// difference returns the mean difference of two pictures in levels, on white, both at 32
// pixels, where the noise of JPEG is gone.
func difference(a, b image.Image) float64 {
	var small [2]*image.RGBA
	for i, m := range []image.Image{a, b} {
		small[i] = image.NewRGBA(image.Rect(0, 0, 32, 32))
		draw.Draw(small[i], small[i].Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
		draw.CatmullRom.Scale(small[i], small[i].Rect, m, m.Bounds(), draw.Over, nil)
	}
	sum := 0
	for i := range small[0].Pix {
		d := int(small[0].Pix[i]) - int(small[1].Pix[i])
		sum += max(d, -d)
	}
	return float64(sum) / float64(32*32*3)
}
