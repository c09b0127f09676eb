package photo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// exif makes an EXIF block whose first directory holds the orientation, among
// other things.
func exif(order binary.AppendByteOrder, o uint16) string {
	b := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, e := range [][2]uint16{{0x0100, 48}, {0x0112, o}} {
		b = order.AppendUint16(b, e[0])
		b = order.AppendUint16(b, 3) // SHORT
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, e[1])
		b = order.AppendUint16(b, 0)
	}
	return string(order.AppendUint32(b, 0))
}

// stored returns the pixels of upright as a camera stores them that was held
// as the orientation says.
func stored(upright *image.RGBA, o orientation) *image.RGBA {
	b := upright.Bounds()
	w, h := b.Dx(), b.Dy()
	if o >= 5 {
		w, h = h, w
	}
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range b.Dy() {
		for x := range b.Dx() {
			// The sentences of TIFF 6.0, page 36: where row 0 and column 0 are.
			var sx, sy int
			switch o {
			case 1: // top, left
				sx, sy = x, y
			case 2: // top, right
				sx, sy = w-1-x, y
			case 3: // bottom, right
				sx, sy = w-1-x, h-1-y
			case 4: // bottom, left
				sx, sy = x, h-1-y
			case 5: // left, top: rows are the picture's columns
				sx, sy = y, x
			case 6: // right, top
				sx, sy = y, h-1-x
			case 7: // right, bottom
				sx, sy = w-1-y, h-1-x
			case 8: // left, bottom
				sx, sy = w-1-y, x
			}
			m.SetRGBA(sx, sy, upright.RGBAAt(x, y))
		}
	}
	return m
}

func TestOrientation(t *testing.T) {
	upright := portrait(64, 48)
	want := [4]color.RGBA{upright.RGBAAt(16, 12), upright.RGBAAt(48, 12), upright.RGBAAt(16, 36), upright.RGBAAt(48, 36)}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for o := orientation(1); o <= 8; o++ {
			m := stored(upright, o)
			block := exif(order, uint16(o))
			for format, data := range map[string][]byte{
				"jpeg": withSegments(jpegOf(t, m, 95), segment(0xe1, "Exif\x00\x00"+block)),
				"png":  withChunks(pngOf(t, m), chunk("eXIf", block)),
			} {
				p, err := Prepare(t.Context(), data, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if o == 1 {
					if !bytes.Equal(p.Data, data) {
						t.Errorf("%s, upright: changed: %q", format, p.Changes)
					}
					continue
				}
				if p.Width != 64 || p.Height != 48 || p.SourceWidth != m.Rect.Dx() || p.Changes[0] != "rotated" {
					t.Errorf("%s, orientation %d: %dx%d from %d wide, %q", format, o, p.Width, p.Height, p.SourceWidth, p.Changes)
				}
				checkCorners(t, pixelsOf(t, p), want, 10)
				// Cropped and scaled, it is the same part that is left.
				p, err = Prepare(t.Context(), data, Options{Crop: "top", MaxEdge: 24})
				if err != nil || p.Width != 24 || p.Height != 24 {
					t.Fatalf("%s, orientation %d, cropped: %dx%d, %v", format, o, p.Width, p.Height, err)
				}
				checkCorners(t, pixelsOf(t, p), want, 24)
			}
		}
	}
}

func TestOrientationOfNonsense(t *testing.T) {
	for _, s := range []string{
		"", "II*\x00", "II*\x00\x08\x00\x00\x00", "II*\x00\xff\xff\xff\xff", "JJ*\x00\x08\x00\x00\x00\x00\x00",
		exif(binary.LittleEndian, 0), exif(binary.LittleEndian, 9), exif(binary.BigEndian, 6)[:30],
	} {
		var l layout
		if l.orient([]byte(s)); l.turn != 1 {
			t.Errorf("%q: %d", s, l.turn)
		}
	}
}

func TestCrop(t *testing.T) {
	// Three bands, so that the part that is left shows in its colours.
	bands := func(w, h int, along bool) *image.RGBA {
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				i := y * 3 / h
				if along {
					i = x * 3 / w
				}
				m.SetRGBA(x, y, [3]color.RGBA{{200, 0, 0, 255}, {0, 200, 0, 255}, {0, 0, 200, 255}}[i])
			}
		}
		return m
	}
	tests := []struct {
		name, crop string
		m          image.Image
		want       color.RGBA // of the middle
		change     string
	}{
		{"portrait center", "center", bands(32, 96, false), color.RGBA{0, 200, 0, 255}, "cropped 32x96 -> 32x32"},
		{"portrait top", "top", bands(32, 96, false), color.RGBA{200, 0, 0, 255}, "cropped 32x96 -> 32x32"},
		{"landscape center", "center", bands(96, 32, true), color.RGBA{0, 200, 0, 255}, "cropped 96x32 -> 32x32"},
		{"landscape top", "top", bands(96, 32, true), color.RGBA{0, 200, 0, 255}, "cropped 96x32 -> 32x32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Prepare(t.Context(), jpegOf(t, tt.m, 95), Options{Crop: tt.crop})
			if err != nil {
				t.Fatal(err)
			}
			if p.Width != 32 || p.Height != 32 || !slices.Contains(p.Changes, tt.change) {
				t.Errorf("%dx%d, %q", p.Width, p.Height, p.Changes)
			}
			if got := pixelsOf(t, p).At(16, 16); !isNear(got, tt.want, 12) {
				t.Errorf("middle is %v, want %v", got, tt.want)
			}
		})
	}
	data := encoded(t, 48, 48)["png"]
	if p, err := Prepare(t.Context(), data, Options{Crop: "center"}); err != nil || !bytes.Equal(p.Data, data) {
		t.Errorf("a square was changed: %v", err)
	}
}

func TestFit(t *testing.T) {
	tests := []struct {
		w, h, edge, wantW, wantH int
	}{
		{100, 50, 0, 100, 50},
		{100, 50, 100, 100, 50},
		{3000, 2000, 1050, 1050, 700},
		{2000, 3000, 1050, 700, 1050},
		{1051, 1051, 1050, 1050, 1050},
		{10000, 1, 1050, 1050, 1},
		{4032, 3024, 1050, 1050, 788}, // 787.5
	}
	for _, tt := range tests {
		if got := fit(image.Pt(tt.w, tt.h), tt.edge); got != image.Pt(tt.wantW, tt.wantH) {
			t.Errorf("%dx%d within %d: %v, want %dx%d", tt.w, tt.h, tt.edge, got, tt.wantW, tt.wantH)
		}
	}
}

// noise is a picture that hardly compresses.
func noise(w, h int) *image.RGBA {
	r := rand.New(rand.NewPCG(1, 2))
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = byte(r.Uint32()) | 3 // never fully transparent
	}
	return m
}

func opaque(m *image.RGBA) *image.RGBA {
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m
}

func TestMaxBytes(t *testing.T) {
	grain := opaque(noise(200, 150))
	tests := []struct {
		name    string
		data    []byte
		max     int64
		format  string
		changes string // joined
	}{
		{"less quality", jpegOf(t, grain, 98), 20_000, "jpeg", "encoded as JPEG of quality 70"},
		{"fewer pixels", jpegOf(t, grain, 98), 5_000, "jpeg", "scaled to 128x96 to fit; encoded as JPEG of quality 60"},
		{"png becomes jpeg", pngOf(t, grain), 30_000, "jpeg", "encoded as JPEG of quality 90"},
		{"metadata alone", withSegments(jpegOf(t, grain, 50), segment(0xfe, strings.Repeat("x", 60000))), 30_000, "jpeg", "metadata removed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Prepare(t.Context(), tt.data, Options{MaxBytes: tt.max})
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(p.Data)) > tt.max || p.Format != tt.format || strings.Join(p.Changes, "; ") != tt.changes {
				t.Errorf("%d bytes of %s: %q", len(p.Data), p.Format, p.Changes)
			}
			pixelsOf(t, p)
		})
	}
	_, err := Prepare(t.Context(), jpegOf(t, grain, 98), Options{MaxBytes: 200})
	if got := code(t, err); got != TooLarge {
		t.Errorf("no picture has 200 bytes: %v", err)
	}
}

// A picture with holes stays a PNG as long as it fits, and gets a background
// when it does not.
func TestAlpha(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 200, 200))
	draw.Draw(m, image.Rect(0, 0, 200, 100), opaque(noise(200, 100)), image.Point{}, draw.Src)
	data := pngOf(t, m)
	p, err := Prepare(t.Context(), data, Options{MaxEdge: 100})
	if err != nil || p.Format != "png" {
		t.Fatalf("%s, %v", p.Format, err)
	}
	if c := pixelsOf(t, p).At(50, 75); !isNear(c, color.RGBA{}, 0) {
		t.Errorf("the hole became %v", c)
	}
	p, err = Prepare(t.Context(), data, Options{MaxBytes: 30_000, Background: "#0080FF"})
	if err != nil || p.Format != "jpeg" || p.Changes[0] != "flattened on #0080ff" {
		t.Fatalf("%s, %q, %v", p.Format, p.Changes, err)
	}
	if c := pixelsOf(t, p).At(100, 150); !isNear(c, color.RGBA{0, 0x80, 0xff, 255}, 6) {
		t.Errorf("the hole became %v", c)
	}
}

// A JPEG cannot be longer than its header can say; other pictures can.
func TestLongerThanAJPEG(t *testing.T) {
	p, err := Prepare(t.Context(), withChunks(pngOf(t, portrait(66_000, 1)), chunk("eXIf", exif(binary.BigEndian, 3))), Options{})
	if err != nil || p.Format != "jpeg" || p.Width != longestJPEG {
		t.Errorf("%s %dx%d, %v", p.Format, p.Width, p.Height, err)
	}
}

// A prepared picture needs no more work: preparing it again gives the same bytes.
func TestPreparedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 50).Draw(t, "width"), rapid.IntRange(1, 50).Draw(t, "height")
		m := portrait(w, h)
		if rapid.Bool().Draw(t, "noise") {
			m = noise(w, h)
		}
		var data []byte
		switch rapid.SampledFrom([]string{"jpeg", "png", "gif"}).Draw(t, "format") {
		case "jpeg":
			o := rapid.Uint16Range(1, 8).Draw(t, "orientation")
			data = withSegments(jpegOf(t, m, rapid.IntRange(1, 100).Draw(t, "quality")), segment(0xe1, "Exif\x00\x00"+exif(binary.BigEndian, o)))
		case "png":
			data = withChunks(pngOf(t, m), chunk("tEXt", "Author\x00somebody"))
		case "gif":
			data = gifOf(t, m)
		}
		o := Options{
			MaxEdge:       rapid.SampledFrom([]int{0, 16, 30}).Draw(t, "edge"),
			MaxBytes:      rapid.SampledFrom([]int64{0, 4096}).Draw(t, "bytes"),
			Crop:          rapid.SampledFrom([]string{"none", "center", "top"}).Draw(t, "crop"),
			StripMetadata: rapid.Bool().Draw(t, "strip"),
		}
		p, err := Prepare(t.Context(), data, o)
		if err != nil {
			t.Fatal(err)
		}
		if o.MaxEdge > 0 && max(p.Width, p.Height) > o.MaxEdge || o.MaxBytes > 0 && int64(len(p.Data)) > o.MaxBytes {
			t.Fatalf("%dx%d, %d bytes do not fit", p.Width, p.Height, len(p.Data))
		}
		if o.Crop != "none" && p.Width != p.Height {
			t.Fatalf("%dx%d is no square", p.Width, p.Height)
		}
		if (len(p.Changes) == 0) != bytes.Equal(p.Data, data) {
			t.Fatalf("bytes changed or not, against %q", p.Changes)
		}
		again, err := Prepare(t.Context(), p.Data, o)
		if err != nil || len(again.Changes) > 0 {
			t.Fatalf("not stable: %q, %v", again.Changes, err)
		}
		twice, err := Prepare(t.Context(), data, o)
		if err != nil || !bytes.Equal(twice.Data, p.Data) {
			t.Fatal("the same bytes gave another picture")
		}
	})
}

// The same bytes give the same picture on every machine, with every Go, and with the race
// detector or without. Where they do not, version has to be raised, so that people's
// pictures are looked at again.
func TestSameAsEver(t *testing.T) {
	const want = "v3 5ecde2c6e4e6984e4bc7a771afa9d9345b37ecc80ee9cbcc6da947e523b5147c"
	sum := sha256.New()
	names := []string{
		"444.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "sideways.jpg", "16bit.png", "palette.png", "alpha.png",
		"offset.gif", "animated.webp", "lossy.webp", "alpha.webp", "palette.bmp", "lzw.tiff", "jpeg.tiff", "cmyk.tiff", "planar.tiff",
	}
	for _, c := range cases {
		if c.made == "" {
			names = append(names, filepath.Join("cases", c.file))
		}
	}
	pictures := map[string][]byte{"adobe": withProfile(jpegOf(t, portrait(48, 32), 90), iccProfile("RGB ", 2.2))}
	for _, name := range names {
		pictures[name] = file(t, name)
	}
	for _, name := range slices.Sorted(maps.Keys(pictures)) {
		for _, o := range []Options{{MaxEdge: 31}, {Crop: "top", Quality: 75, Background: "#204060"}} {
			p, err := Prepare(t.Context(), pictures[name], o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sum.Write(p.Data)
		}
	}
	if got := fmt.Sprintf("v%d %x", version, sum.Sum(nil)); got != want {
		t.Errorf("the pictures of %q have become those of %q: raise version", want, got)
	}
}

// What an encoder does not take must not become a picture of no bytes.
func TestNoPictureWithoutBytes(t *testing.T) {
	for name, encode := range map[string]func() []byte{
		"JPEG": func() []byte { return encodeJPEG(image.NewGray(image.Rect(0, 0, 1<<16, 1)), 90) },
		"PNG":  func() []byte { return encodePNG(image.NewGray(image.Rectangle{})) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			encode()
		}()
	}
}
