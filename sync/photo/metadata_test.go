package photo

import (
	"bytes"
	"encoding/binary"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/bep/imagemeta"
)

// tags returns what a library for metadata finds in a picture.
func tags(t *testing.T, format string, data []byte) map[string]imagemeta.TagInfo {
	t.Helper()
	formats := map[string]imagemeta.ImageFormat{formatJPEG: imagemeta.JPEG, formatPNG: imagemeta.PNG, formatWebP: imagemeta.WebP, formatTIFF: imagemeta.TIFF}
	found := map[string]imagemeta.TagInfo{}
	_, err := imagemeta.Decode(imagemeta.Options{
		R: bytes.NewReader(data), ImageFormat: formats[format], Sources: imagemeta.EXIF | imagemeta.IPTC | imagemeta.XMP,
		HandleTag: func(tag imagemeta.TagInfo) error {
			found[tag.Source.String()+" "+tag.Tag] = tag
			return nil
		},
	})
	if err != nil {
		t.Fatalf("read metadata of a %s: %v", format, err)
	}
	return found
}

// Our few lines and a library for metadata agree on how a picture stands.
func TestOrientationLikeImagemeta(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for o := uint16(1); o <= 8; o++ {
			block := exif(order, o)
			for format, data := range map[string][]byte{
				formatJPEG: withSegments(encoded(t, 8, 8)["jpeg"], segment(0xe1, "Exif\x00\x00"+block)),
				formatPNG:  withChunks(encoded(t, 8, 8)["png"], chunk("eXIf", block)),
			} {
				l, err := read(data)
				if err != nil {
					t.Fatal(err)
				}
				if got := tags(t, format, data)["EXIF Orientation"].Value; got != o || l.turn != orientation(o) {
					t.Errorf("%s of orientation %d: imagemeta %v, ours %d", format, o, got, l.turn)
				}
			}
		}
	}
	for name, want := range map[string]orientation{"sideways.jpg": 6, "camera.jpg": 1, "camera.png": 1, "camera.webp": 1, "camera.tiff": 1} {
		l, err := read(file(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := tags(t, l.format, file(t, name))["EXIF Orientation"].Value; got != uint16(want) || l.turn != want {
			t.Errorf("%s: imagemeta %v, ours %d, want %d", name, got, l.turn, want)
		}
	}
}

// Of a photo as cameras and picture editors leave it nothing is left but what
// shows: for our own eyes, and for a library's.
func TestNothingIsLeftOfMetadata(t *testing.T) {
	for _, name := range []string{"camera.jpg", "sideways.jpg", "camera.png", "camera.webp", "camera.tiff"} {
		data := file(t, name)
		before, err := read(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(tags(t, before.format, data)) < 2 || !bytes.Contains(data, []byte("Secret")) {
			t.Fatalf("%s has no metadata to strip", name)
		}
		p, err := Prepare(t.Context(), data, Options{MaxEdge: 1050, MaxBytes: 1_000_000, StripMetadata: true})
		if err != nil {
			t.Fatal(err)
		}
		if left := tags(t, p.Format, p.Data); len(left) > 0 || bytes.Contains(p.Data, []byte("Secret")) {
			t.Errorf("%s keeps %v", name, left)
		}
		checkCorners(t, pixelsOf(t, p), corners, 24)
	}
}

// Stripping a JPEG touches no pixel.
func TestStripCameraLossless(t *testing.T) {
	data := file(t, "camera.jpg")
	p, err := Prepare(t.Context(), data, Options{StripMetadata: true})
	if err != nil || strings.Join(p.Changes, "; ") != "metadata removed" {
		t.Fatalf("changes %q, error %v", p.Changes, err)
	}
	was, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	is := pixelsOf(t, p)
	for y := range 32 {
		for x := range 48 {
			if is.At(x, y) != was.At(x, y) {
				t.Fatalf("pixel %d,%d changed", x, y)
			}
		}
	}
}
