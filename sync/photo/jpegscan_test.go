package photo

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"testing"

	"pgregory.net/rapid"
)

// Counting blocks and decoding them come to the same answer, wherever a JPEG
// broke off before it was closed.
func TestCompleteLikeDecoder(t *testing.T) {
	files := map[string][]byte{}
	for _, name := range []string{"progressive.jpg", "restart.jpg", "444.jpg", "411.jpg", "440.jpg", "rgb.jpg", "grey.jpg", "separate.jpg", "cmyk.jpg"} {
		files[name] = file(t, name)
	}
	files["noise"] = jpegOf(t, noise(50, 30), 95)
	for name, data := range files {
		for cut := bytes.Index(data, []byte{0xff, markSOS}); cut < len(data)-1; cut += every(7) {
			closed := join(data[:cut], []byte{0xff, markEOI})
			_, err := jpeg.Decode(bytes.NewReader(closed))
			l, readErr := read(closed)
			got := readErr == nil && l.countBlocks() == nil
			if (name == "separate.jpg" || name == "progressive.jpg") && err == nil {
				if got && cut < len(data)-2 && !sameJPEG(t, closed, data) {
					t.Errorf("%s cut at %d of %d is not the whole picture", name, cut, len(data))
				}
				continue // the decoder is content without all colours and details
			}
			if got != (err == nil) {
				t.Errorf("%s cut at %d of %d: complete %t, decoder: %v", name, cut, len(data), got, err)
			}
		}
	}
}

// sameJPEG reports whether two JPEGs have the same pixels.
func sameJPEG(t *testing.T, a, b []byte) bool {
	t.Helper()
	var m [2]image.Image
	for i, data := range [][]byte{a, b} {
		var err error
		if m[i], err = jpeg.Decode(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	return difference(m[0], m[1]) == 0
}

func TestCompleteAnySize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := noise(rapid.IntRange(1, 80).Draw(t, "w"), rapid.IntRange(1, 80).Draw(t, "h"))
		data := jpegOf(t, m, rapid.IntRange(1, 100).Draw(t, "quality"))
		l, err := read(data)
		if err != nil || l.countBlocks() != nil {
			t.Fatalf("a sound JPEG is refused: %v", err)
		}
	})
}

func FuzzComplete(f *testing.F) {
	for _, name := range []string{"restart.jpg", "411.jpg", "grey.jpg", "separate.jpg", "cmyk.jpg", "progressive.jpg", "cases/02-progressive-420-restart.jpg"} {
		f.Add(file(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := read(data)
		if err == nil && l.format == formatJPEG && l.width*l.height < 1<<20 {
			l.countBlocks() // must end, and not panic
		}
	})
}

// BenchmarkPrepare measures what an upload of an ordinary directory photo costs
// here, and what decoding it would.
func BenchmarkPrepare(b *testing.B) {
	for _, edge := range []int{96, 240, 648} {
		m := portrait(edge, edge)
		for i, v := range noise(edge, edge).Pix {
			m.Pix[i] += v / 16 // about the grain of a photo
		}
		data := jpegOf(b, opaque(m), 90)
		name := fmt.Sprintf("%dpx-%dB", edge, len(data))
		o := Options{MaxEdge: 1050, MaxBytes: 1 << 20, StripMetadata: true}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := Prepare(b.Context(), data, o); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/decoding", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
