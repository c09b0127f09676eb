package photo

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corners are the colours of the pictures in testdata: top left, top right,
// bottom left, bottom right.
var corners = [4]color.RGBA{{0xe0, 0x20, 0x20, 255}, {0x20, 0xc0, 0x20, 255}, {0x20, 0x20, 0xe0, 255}, {0x80, 0x80, 0x80, 255}}

func file(t tester, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// files returns the names of all pictures in testdata.
func files(t tester) []string {
	t.Helper()
	all, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		if e.Type().IsRegular() && e.Name() != "make.sh" {
			names = append(names, e.Name())
		}
	}
	return names
}

// pixelsOf decodes a finished picture and checks what it says of itself.
func pixelsOf(t tester, p Picture) image.Image {
	t.Helper()
	m, format, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatalf("the result cannot be decoded: %v", err)
	}
	if b := m.Bounds(); format != p.Format || b.Dx() != p.Width || b.Dy() != p.Height {
		t.Errorf("said to be %s %dx%d, is %s %v", p.Format, p.Width, p.Height, format, b)
	}
	return m
}

// isNear reports whether two colours look the same.
func isNear(a, b color.Color, tolerance int) bool {
	near := func(x, y uint32) bool { d := int(x>>8) - int(y>>8); return max(d, -d) <= tolerance }
	ar, ag, ab, aa := a.RGBA()
	br, bg, bb, ba := b.RGBA()
	return near(ar, br) && near(ag, bg) && near(ab, bb) && near(aa, ba)
}

// checkCorners compares the middle of each quarter of m.
func checkCorners(t tester, m image.Image, want [4]color.RGBA, tolerance int) {
	t.Helper()
	b := m.Bounds()
	for i, c := range want {
		x, y := b.Min.X+b.Dx()*(1+2*(i%2))/4, b.Min.Y+b.Dy()*(1+2*(i/2))/4
		if got := m.At(x, y); !isNear(got, c, tolerance) {
			t.Errorf("corner %d is %v, want %v", i, color.RGBAModel.Convert(got), c)
		}
	}
}

// Whatever a picture is stored as, its colours come out where they belong.
func TestFormats(t *testing.T) {
	grey := [4]color.RGBA{{85, 85, 85, 255}, {125, 125, 125, 255}, {54, 54, 54, 255}, {128, 128, 128, 255}}

	clear := corners
	clear[3] = color.RGBA{}
	tests := []struct {
		file    string
		want    [4]color.RGBA
		changes []string
	}{
		{"progressive.jpg", corners, nil},
		{"restart.jpg", corners, nil},
		{"444.jpg", corners, nil},
		{"411.jpg", corners, nil},
		{"440.jpg", corners, nil},
		{"rgb.jpg", corners, nil},
		{"grey.jpg", grey, nil},
		{"separate.jpg", corners, nil},
		{"camera.jpg", corners, nil},
		{"sideways.jpg", corners, []string{"rotated", "metadata removed", "encoded as JPEG of quality 90"}},
		{"cmyk.jpg", corners, []string{"converted from CMYK JPEG", "encoded as JPEG of quality 90"}},
		{"16bit.png", corners, nil},
		{"interlaced.png", corners, nil},
		{"palette.png", corners, nil},
		{"alpha.png", clear, nil},
		{"interlaced.gif", corners, nil},
		{"animated.gif", corners, nil},
		{"camera.png", corners, nil},
		{"camera.webp", corners, []string{"converted from WebP", "encoded as JPEG of quality 90"}},
		{"lossy.webp", corners, []string{"converted from WebP", "encoded as JPEG of quality 90"}},
		{"lossless.webp", corners, []string{"converted from WebP", "encoded as JPEG of quality 90"}},
		{"alpha.webp", clear, []string{"converted from WebP", "encoded as PNG"}},
		{"24bit.bmp", corners, []string{"converted from BMP", "encoded as JPEG of quality 90"}},
		{"palette.bmp", corners, []string{"converted from BMP", "encoded as JPEG of quality 90"}},
		{"alpha.bmp", clear, []string{"converted from BMP", "encoded as PNG"}},
		{"none.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
		{"lzw.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
		{"zip.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
		{"16bit.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
		{"msb.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
		{"jpeg.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
		{"cmyk.tiff", corners, []string{"converted from CMYK TIFF", "encoded as JPEG of quality 90"}},
		{"planar.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
		{"animated.webp", clear, []string{"converted from WebP", "first of 2 frames taken", "encoded as PNG"}},
		{"camera.tiff", corners, []string{"converted from TIFF", "encoded as JPEG of quality 90"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			data := file(t, tt.file)
			p, err := Prepare(t.Context(), data, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.changes, p.Changes); d != "" {
				t.Error(d)
			}
			if tt.changes == nil && !bytes.Equal(p.Data, data) {
				t.Error("changed without a word")
			}
			checkCorners(t, pixelsOf(t, p), tt.want, 6)

			// The same through our own pixels, half as large.
			p, err = Prepare(t.Context(), data, Options{MaxEdge: 24})
			if err != nil {
				t.Fatal(err)
			}
			if p.Width != 24 || p.Height != 16 || !slices.Contains(p.Changes, "scaled 48x32 -> 24x16") {
				t.Errorf("scaled to %dx%d: %q", p.Width, p.Height, p.Changes)
			}
			checkCorners(t, pixelsOf(t, p), tt.want, 24) // scaling sharpens what is this small
		})
	}
}

// A frame that covers a part of its GIF stays in its place.
func TestGIFOffset(t *testing.T) {
	p, err := Prepare(t.Context(), file(t, "offset.gif"), Options{MaxEdge: 32})
	if err != nil {
		t.Fatal(err)
	}
	m := pixelsOf(t, p)
	for at, want := range map[image.Point]color.RGBA{{1, 1}: {}, {10, 8}: corners[0], {22, 16}: corners[3], {30, 30}: {}} {
		if got := m.At(at.X, at.Y); !isNear(got, want, 8) {
			t.Errorf("at %v is %v, want %v", at, got, want)
		}
	}
}

// A BMP whose alpha is zero everywhere is one of a program that does not know of it.
func TestBMPWithoutAlpha(t *testing.T) {
	data := file(t, "alpha.bmp")
	for i := int(binary.LittleEndian.Uint32(data[10:])) + 3; i < len(data); i += 4 {
		data[i] = 0
	}
	p, err := Prepare(t.Context(), data, Options{})
	if err != nil || p.Format != "jpeg" {
		t.Fatalf("%s, %v", p.Format, err)
	}
	checkCorners(t, pixelsOf(t, p), corners, 6)
}

func TestRefusedFormats(t *testing.T) {
	heic := "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
	tests := []struct {
		name, data, want string
	}{
		{"arithmetic.jpg", "", "unsupported_format: JPEG with arithmetic coding"},
		{"many inks", string(tiffOf([][4]uint32{{256, 4, 1, 8}, {257, 4, 1, 8}, {259, 3, 1, 1}, {262, 3, 1, 5}, {277, 3, 1, 4}, {332, 3, 1, 2}})), "unsupported_format: TIFF with 4 samples"},
		{"cut bmp", string(file(t, "24bit.bmp")[:3000]), "truncated: BMP ends"},
		{"cut tiff", string(file(t, "none.tiff")[:3000]), "truncated: "},
		{"cut webp", string(file(t, "lossy.webp")[:100]), "truncated: WebP of 130 bytes, of which 100 are there"},
		{"heic in base64", base64.StdEncoding.EncodeToString([]byte(heic)), "unsupported_format: HEIC"},
		{"cut base64", base64.StdEncoding.EncodeToString(file(t, "444.jpg"))[:333], "truncated: JPEG ends before"},
		{"base64 of text", base64.StdEncoding.EncodeToString([]byte("forty two is the answer, they say")), "not_an_image: text"},
		{"words", strings.Repeat("abcdefgh", 100), "not_an_image: text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := []byte(tt.data)
			if tt.data == "" {
				data = file(t, tt.name)
			}
			_, err := Prepare(t.Context(), data, Options{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			code(t, err)
		})
	}
}

// What only our decoder cannot read may still be uploaded as it is.
func TestBeyondOurDecoder(t *testing.T) {
	data := file(t, "311.jpg")
	p, err := Prepare(t.Context(), data, Options{})
	if err != nil || !bytes.Equal(p.Data, data) {
		t.Errorf("not passed on: %v", err)
	}
	_, err = Prepare(t.Context(), data, Options{MaxEdge: 32})
	if got := code(t, err); got != UnsupportedFormat {
		t.Errorf("scaling it: %v", err)
	}
}

// As viewers do, a GIF takes its size from its first frame when its own is too small, and
// goes without its trailer.
func TestMendedGIF(t *testing.T) {
	whole := encoded(t, 24, 16)["gif"]
	for name, data := range map[string][]byte{
		"no screen":       resized("gif", whole, 0, 0),
		"small screen":    resized("gif", whole, 3, 16),
		"no trailer":      whole[:len(whole)-1],
		"zeros":           append(bytes.Clone(whole[:len(whole)-1]), 0, 0, 0, 0x3b),
		"zeros at end":    append(bytes.Clone(whole[:len(whole)-1]), 0, 0, 0),
		"something after": append(bytes.Clone(whole[:len(whole)-1]), "GIF89a"...),
	} {
		p, err := Prepare(t.Context(), data, Options{StripMetadata: true})
		if err != nil || !bytes.Equal(p.Data, whole) || len(p.Changes) == 0 {
			t.Errorf("%s: %d bytes, want %d, changes %q, %v", name, len(p.Data), len(whole), p.Changes, err)
		}
	}
}

// As viewers do, a PNG goes without its end, and without what is damaged and does not
// matter.
func TestMendedPNG(t *testing.T) {
	whole := encoded(t, 24, 16)["png"]
	bad := chunk("gAMA", "\x00\x01\x86\xa0")
	bad[len(bad)-1]++
	end := bytes.Clone(whole)
	end[len(end)-1]++
	for name, data := range map[string][]byte{
		"no end":      whole[:len(whole)-12],
		"half an end": whole[:len(whole)-5],
		"damaged end": end,
		"gamma":       withChunks(whole, bad),
	} {
		p, err := Prepare(t.Context(), data, Options{})
		if err != nil || !bytes.Equal(p.Data, whole) || len(p.Changes) != 1 {
			t.Errorf("%s: %d bytes, want %d, changes %q, %v", name, len(p.Data), len(whole), p.Changes, err)
		}
	}
}

// The entries of a TIFF may come in any order.
func TestUnsortedTIFF(t *testing.T) {
	data := file(t, "lzw.tiff")
	want, err := Prepare(t.Context(), data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	start := int(binary.LittleEndian.Uint32(data[4:]))
	entries := slices.Collect(slices.Chunk(data[start+2:][:12*int(binary.LittleEndian.Uint16(data[start:]))], 12))
	slices.Reverse(entries)
	copy(data[start+2:], bytes.Join(entries, nil))
	if got, err := Prepare(t.Context(), data, Options{}); err != nil || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("another picture, or %v", err)
	}
}

func TestBase64(t *testing.T) {
	data := encoded(t, 24, 16)["jpeg"]
	text := base64.StdEncoding.EncodeToString(data)
	var lines strings.Builder
	for line := range slices.Chunk([]byte(text), 76) {
		lines.WriteString(" " + string(line) + "\r\n")
	}
	for name, wrapped := range map[string]string{
		"plain":    text,
		"unpadded": strings.TrimRight(text, "="),
		"url":      base64.URLEncoding.EncodeToString(data),
		"lines":    lines.String(),
		"data url": "data:image/jpeg;base64," + text,
		"editor":   "\ufeff" + text + "\r\n",
		"quotes":   `"` + text + `"`,
		"json":     `"` + strings.ReplaceAll(strings.ReplaceAll(lines.String(), "/", `\/`), "\r\n", `\r\n`) + `",`,
		"narrow":   text[:3] + "\n" + text[3:5] + "\r\n" + text[5:],
	} {
		p, err := Prepare(t.Context(), []byte(wrapped), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(p.Data, data) || !slices.Equal(p.Changes, []string{"unwrapped from base64"}) {
			t.Errorf("%s: changes %q", name, p.Changes)
		}
	}
}

// A TIFF is refused when something that says how its pixels are read is not there: a
// picture that lies on its side, or is noise, is none.
func TestTIFFWithoutAValue(t *testing.T) {
	whole := file(t, "lzw.tiff")
	start := int(binary.LittleEndian.Uint32(whole[4:]))
	for _, tag := range []uint16{tagBits, tagFillOrder, tagOrientation, tagRowsPerStrip} {
		data := bytes.Clone(whole)
		for e := range slices.Chunk(data[start+2:][:12*int(binary.LittleEndian.Uint16(data[start:]))], 12) {
			if binary.LittleEndian.Uint16(e) == tag {
				binary.LittleEndian.PutUint32(e[4:], 1<<20) // as many as there are not
			}
		}
		if _, err := Prepare(t.Context(), data, Options{}); code(t, err) != Truncated {
			t.Errorf("tag %d: %v", tag, err)
		}
	}
}

// What goes with the mending is named.
func TestMendedWithMetadata(t *testing.T) {
	all := encoded(t, 24, 16)
	for format, data := range map[string][]byte{
		"jpeg": withSegments(all["jpeg"], segment(0xfe, secret))[:len(all["jpeg"])+len(segment(0xfe, secret))-2],
		"png":  withChunks(all["png"], chunk("tEXt", "Author\x00"+secret))[:len(all["png"])+len(chunk("tEXt", "Author\x00"+secret))-12],
	} {
		p, err := Prepare(t.Context(), data, Options{})
		if err != nil || len(p.Changes) != 2 || p.Changes[1] != "metadata removed" || bytes.Contains(p.Data, []byte(secret)) {
			t.Errorf("%s: changes %q, %v", format, p.Changes, err)
		}
	}
}
