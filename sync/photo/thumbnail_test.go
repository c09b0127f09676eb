package photo

import (
	"bytes"
	"fmt"
	"image/color"
	"image/jpeg"
	"strings"
	"testing"
)

func TestThumbnail(t *testing.T) {
	white := corners
	white[3] = color.RGBA{255, 255, 255, 255}
	for name, want := range map[string][4]color.RGBA{
		"444.jpg": corners, "progressive.jpg": corners, "cmyk.jpg": corners, "palette.png": corners, "16bit.png": corners,
		"animated.gif": corners, "lossy.webp": corners, "alpha.png": white, "alpha.webp": white,
	} {
		p, err := Prepare(t.Context(), file(t, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for edge, size := range map[int]string{24: "24x16", 96: "48x32", 1: "1x1"} {
			data, err := Thumbnail(t.Context(), p.Data, edge)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m, err := jpeg.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := fmt.Sprintf("%dx%d", m.Bounds().Dx(), m.Bounds().Dy()); got != size {
				t.Errorf("%s within %d pixels: %s, want %s", name, edge, got, size)
			}
			if edge > 1 {
				checkCorners(t, m, want, 48)
			}
		}
	}
}

// What a picture says about its place is not carried into a report.
func TestThumbnailHasNoMetadata(t *testing.T) {
	data, err := Thumbnail(t.Context(), withSegments(jpegOf(t, portrait(48, 32), 90), segment(0xfe, secret)), 96)
	if err != nil || bytes.Contains(data, []byte(secret)) {
		t.Errorf("the secret is in it, or error %v", err)
	}
}

func TestThumbnailIsSmall(t *testing.T) {
	m := portrait(1050, 1050)
	for i, v := range noise(1050, 1050).Pix {
		m.Pix[i] += v / 16 // about the grain of a photo
	}
	if data, err := Thumbnail(t.Context(), jpegOf(t, opaque(m), 90), 96); err != nil || len(data) > 4000 {
		t.Errorf("%d bytes, error %v", len(data), err)
	}
}

func TestThumbnailRefuses(t *testing.T) {
	data := encoded(t, 24, 16)["png"]
	if _, err := Thumbnail(t.Context(), data[:len(data)/2], 96); code(t, err) != Truncated {
		t.Errorf("a truncated picture: %v", err)
	}
	if _, err := Thumbnail(t.Context(), data, 0); err == nil || !strings.Contains(err.Error(), "edge is 0") {
		t.Errorf("edge 0: %v", err)
	}
}

func BenchmarkThumbnail(b *testing.B) {
	for _, edge := range []int{240, 1050} {
		m := portrait(edge, edge)
		for i, v := range noise(edge, edge).Pix {
			m.Pix[i] += v / 16
		}
		p := Picture{Data: jpegOf(b, opaque(m), 90)}
		b.Run(fmt.Sprintf("%dpx", edge), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Thumbnail(b.Context(), p.Data, 96); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
