package photo

import (
	"bytes"
	"encoding/binary"
	"image/color"
	"image/jpeg"
	"image/png"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// profileFor makes the header of a colour profile, which is all that is looked
// at.
func profileFor(space string) string {
	p := make([]byte, 300)
	binary.BigEndian.PutUint32(p, 300)
	copy(p[12:], "mntr"+space+"XYZ ")
	copy(p[36:], "acsp")
	return string(p)
}

const secret = "52.5200N 13.4050E Jane Doe"

// jfif is the header that most JPEGs begin with, with a thumbnail if asked for.
func jfif(thumbnail string) []byte {
	n := byte(0)
	if thumbnail != "" {
		n = 1
	}
	return segment(0xe0, "JFIF\x00\x01\x02\x00\x00\x01\x00\x01"+string([]byte{n, n})+thumbnail)
}

func TestStripJPEG(t *testing.T) {
	plain := jpegOf(t, portrait(48, 32), 90)
	icc := segment(0xe2, iccHeader+"\x01\x01"+profileFor("RGB "))
	adobe := segment(0xee, "Adobe\x00\x64\x00\x00\x00\x00\x01")
	exifBlock := segment(0xe1, "Exif\x00\x00"+exif(binary.BigEndian, 1)+secret)
	tests := []struct {
		name       string
		data, want []byte
	}{
		{"nothing", plain, plain},
		{"what shows", withSegments(plain, jfif(""), icc, adobe), withSegments(plain, jfif(""), icc, adobe)},
		{"exif", withSegments(plain, exifBlock), plain},
		{"all kinds", withSegments(plain, jfif(""), exifBlock,
			segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>"+secret), icc,
			segment(0xe2, "MPF\x00"+secret), segment(0xed, "Photoshop 3.0\x00"+secret),
			segment(0xe0, "JFXX\x00\x10"+secret), segment(0xef, secret), segment(0xfe, secret), adobe,
		), withSegments(plain, jfif(""), icc, adobe)},
		{"jfif thumbnail", withSegments(plain, jfif("rgb")), withSegments(plain, jfif(""))},
		{"fill bytes", withSegments(plain, []byte{0xff, 0xff, 0xff}, segment(0xfe, secret)), plain},
		{"second picture behind", join(plain, []byte(secret), plain), plain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Prepare(t.Context(), tt.data, Options{StripMetadata: true})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.Data, tt.want) {
				t.Errorf("%d bytes, want %d: %q", len(p.Data), len(tt.want), p.Changes)
			}
			if bytes.Contains(p.Data, []byte(secret)) {
				t.Error("the secret is still in it")
			}
			same := bytes.Equal(tt.data, tt.want)
			if got := strings.Join(p.Changes, "; "); (got == "metadata removed") == same {
				t.Errorf("changes: %q", got)
			}
			kept, err := Prepare(t.Context(), tt.data, Options{})
			if err != nil || !bytes.Equal(kept.Data, tt.data) {
				t.Errorf("without stripping: changed, %v", err)
			}
			m, err := jpeg.Decode(bytes.NewReader(p.Data))
			if err != nil {
				t.Fatal(err)
			}
			orig, err := jpeg.Decode(bytes.NewReader(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			for y := range 32 {
				for x := range 48 {
					if m.At(x, y) != orig.At(x, y) {
						t.Fatalf("pixel %d,%d changed", x, y)
					}
				}
			}
		})
	}
}

func TestStripPNG(t *testing.T) {
	plain := pngOf(t, portrait(48, 32))
	shows := [][]byte{chunk("sRGB", "\x00"), chunk("pHYs", "\x00\x00\x0b\x13\x00\x00\x0b\x13\x01")}
	want := withChunks(plain, shows...)
	data := withChunks(plain, append(shows, chunk("tEXt", "Comment\x00"+secret), chunk("iTXt", "XML:com.adobe.xmp\x00\x00\x00\x00\x00"+secret),
		chunk("eXIf", exif(binary.BigEndian, 1)+secret), chunk("tIME", "\x07\xea\x01\x02\x03\x04\x05"), chunk("prVt", secret))...)
	p, err := Prepare(t.Context(), join(data, []byte(secret)), Options{StripMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Data, want) {
		t.Errorf("%d bytes, want %d", len(p.Data), len(want))
	}
	if _, err := png.Decode(bytes.NewReader(p.Data)); err != nil {
		t.Error(err)
	}
}

func TestStripGIF(t *testing.T) {
	plain := gifOf(t, portrait(48, 32))
	head := 13 + 3<<(plain[10]&7+1)
	loop := []byte("\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
	comment := []byte("\x21\xfe" + string(rune(len(secret))) + secret + "\x00")
	xmp := []byte("\x21\xff\x0bXMP DataXMP" + string(rune(len(secret))) + secret + "\x00")
	data := join(plain[:head], loop, comment, xmp, plain[head:], []byte(secret))
	p, err := Prepare(t.Context(), data, Options{StripMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := join(plain[:head], loop, plain[head:]); !bytes.Equal(p.Data, want) {
		t.Errorf("%d bytes, want %d", len(p.Data), len(want))
	}
}

// profileOf returns the colour profile of a picture that has one.
func profileOf(t *testing.T, data []byte) string {
	t.Helper()
	l, err := read(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := l.colorProfile()
	if p == nil {
		t.Fatal("no profile")
	}
	return string(p)
}

// A picture made anew keeps its colour profile, unless that is for ink.
func TestProfileSurvives(t *testing.T) {
	rgb, grey, ink := profileFor("RGB "), profileFor("GRAY"), profileFor("CMYK")
	icc := func(p string) []byte { return segment(0xe2, iccHeader+"\x01\x01"+p) }
	long := rgb + strings.Repeat("0123456789", 15_000)
	parts := func(order ...int) (all []byte) {
		for _, i := range order {
			all = append(all, segment(0xe2, iccHeader+string([]byte{byte(i + 1), 3})+long[i*60_000:min((i+1)*60_000, len(long))])...)
		}
		return all
	}
	holes := portrait(48, 32)
	holes.SetRGBA(0, 0, color.RGBA{})
	var zipped bytes.Buffer
	zipped.Write(pngWithProfile(pngOf(t, holes), []byte(rgb)))
	tests := []struct {
		name string
		data []byte
		want string // the profile
		inks int
	}{
		{"rgb jpeg", withSegments(jpegOf(t, portrait(48, 32), 90), icc(rgb)), rgb, 3},
		{"grey jpeg", withSegments(file(t, "grey.jpg"), icc(grey)), grey, 1},
		{"grey jpeg without", file(t, "grey.jpg"), "", 3},
		{"cmyk jpeg", withSegments(file(t, "cmyk.jpg"), icc(ink)), "", 3},
		{"long jpeg", withSegments(jpegOf(t, portrait(48, 32), 90), parts(0, 1, 2)), long, 3},
		{"long jpeg, out of order", withSegments(jpegOf(t, portrait(48, 32), 90), parts(2, 0, 1)), long, 3},
		{"long png", pngWithProfile(pngOf(t, portrait(48, 32)), []byte(long)), long, 3},
		{"broken", withSegments(jpegOf(t, portrait(48, 32), 90), icc("short")), "", 3},
		{"tiff", file(t, "camera.tiff"), profileOf(t, file(t, "camera.jpg")), 3},
		{"png", pngWithProfile(pngOf(t, portrait(48, 32)), []byte(rgb)), rgb, 3},
		{"png with holes", zipped.Bytes(), rgb, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Prepare(t.Context(), tt.data, Options{MaxEdge: 24})
			if err != nil {
				t.Fatal(err)
			}
			pixelsOf(t, p)
			if got, want := slices.Contains(p.Changes, "colour profile removed"), tt.name == "broken"; got != want {
				t.Errorf("changes: %q", p.Changes)
			}
			l, err := read(t.Context(), p.Data)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := l.colorProfile(); string(got) != tt.want || l.inks != tt.inks {
				t.Errorf("profile of %d bytes for %d inks, want %d for %d", len(got), l.inks, len(tt.want), tt.inks)
			}
		})
	}
}

// A profile that leaves no room for the picture goes, and not without a word.
func TestProfileTooLong(t *testing.T) {
	data := pngWithProfile(pngOf(t, portrait(48, 32)), []byte(profileFor("RGB ")+strings.Repeat("x", 20_000)))
	p, err := Prepare(t.Context(), data, Options{MaxEdge: 24, MaxBytes: 30_000})
	if err != nil || !slices.Contains(p.Changes, "colour profile removed") || len(p.Data) > 2000 {
		t.Errorf("%d bytes, %q, %v", len(p.Data), p.Changes, err)
	}
}

// A bomb in place of a profile is not unpacked further than any profile goes.
func TestProfileBomb(t *testing.T) {
	data := pngWithProfile(pngOf(t, portrait(48, 32)), append([]byte(profileFor("RGB ")), make([]byte, 50<<20)...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := Prepare(t.Context(), data, Options{MaxEdge: 24})
	runtime.ReadMemStats(&after)
	if err != nil || !slices.Contains(p.Changes, "colour profile removed") {
		t.Errorf("%q, %v", p.Changes, err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 20<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}
