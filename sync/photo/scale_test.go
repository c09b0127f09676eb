package photo

import (
	"image"
	"image/color"
	"testing"

	"golang.org/x/image/draw"
	"pgregory.net/rapid"
)

// The filter agrees with a known good one.
func TestScaleLikeCatmullRom(t *testing.T) {
	src := portrait(301, 203)
	for _, size := range []image.Point{{301, 203}, {300, 202}, {150, 101}, {96, 64}, {7, 5}, {1, 1}} {
		want := image.NewRGBA(image.Rectangle{Max: size})
		draw.CatmullRom.Scale(want, want.Rect, src, src.Rect, draw.Src, nil)
		got := scale(src, src.Rect, size.X, size.Y)
		for i := range want.Pix {
			if d := int(got.Pix[i]) - int(want.Pix[i]); max(d, -d) > 2 {
				t.Fatalf("%v: byte %d is %d, want %d", size, i, got.Pix[i], want.Pix[i])
			}
		}
	}
}

// A plain area stays plain, to the last bit, and nothing brighter than its
// alpha comes out.
func TestScaleKeepsPlainAreas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 200).Draw(t, "w"), rapid.IntRange(1, 200).Draw(t, "h")
		c := color.RGBAModel.Convert(color.NRGBA{
			rapid.Byte().Draw(t, "r"), rapid.Byte().Draw(t, "g"), rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "a"),
		}).(color.RGBA)
		src := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.Draw(src, src.Rect, image.NewUniform(c), image.Point{}, draw.Src)
		got := scale(src, src.Rect, rapid.IntRange(1, w).Draw(t, "to w"), rapid.IntRange(1, h).Draw(t, "to h"))
		for i := 0; i < len(got.Pix); i += 4 {
			if p := (color.RGBA{got.Pix[i], got.Pix[i+1], got.Pix[i+2], got.Pix[i+3]}); p != c {
				t.Fatalf("%v became %v", c, p)
			}
		}
	})
}

func TestScaleStaysPremultiplied(t *testing.T) {
	src := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for i := range src.Pix {
		src.Pix[i] = byte(i * 97 % 251)
	}
	got := scale(src, src.Rect, 37, 29)
	for i := 0; i < len(got.Pix); i += 4 {
		if a := got.Pix[i+3]; got.Pix[i] > a || got.Pix[i+1] > a || got.Pix[i+2] > a {
			t.Fatalf("pixel %v is brighter than its alpha", got.Pix[i:i+4])
		}
	}
}

func BenchmarkScale12MP(b *testing.B) {
	src := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	b.ReportAllocs()
	for b.Loop() {
		scale(src, src.Rect, 1050, 788)
	}
}
