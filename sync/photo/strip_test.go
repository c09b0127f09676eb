package photo

import (
	"bytes"
	"encoding/binary"
	"image/jpeg"
	"image/png"
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
