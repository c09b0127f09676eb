package photo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/color"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// iccProfile makes a profile (ICC.1) with the primaries of Adobe RGB (1998) as they are
// seen at D50, and a gamma for RGB or GRAY.
func iccProfile(space string, gamma float64) []byte {
	tags := map[string]string{}
	curve := "curv\x00\x00\x00\x00\x00\x00\x00\x01" + string(binary.BigEndian.AppendUint16(nil, uint16(gamma*256))) + "\x00\x00"
	for i, name := range []string{"rXYZ", "gXYZ", "bXYZ"} {
		xyz := [][3]float64{{0.60974, 0.31111, 0.01947}, {0.20528, 0.62567, 0.06087}, {0.14919, 0.06322, 0.74457}}[i]
		b := []byte("XYZ \x00\x00\x00\x00")
		for _, v := range xyz {
			b = binary.BigEndian.AppendUint32(b, uint32(int32(math.Round(v*65536))))
		}
		tags[name], tags[name[:1]+"TRC"] = string(b), curve
	}
	if space == "GRAY" {
		tags = map[string]string{"kTRC": curve}
	}
	head := make([]byte, 128)
	head[8] = 2
	copy(head[12:], "mntr"+space+"XYZ ")
	copy(head[36:], "acsp")
	for i, v := range []uint32{0xf6d6, 0x10000, 0xd32d} { // D50
		binary.BigEndian.PutUint32(head[68+4*i:], v)
	}
	index, body := binary.BigEndian.AppendUint32(nil, uint32(len(tags))), []byte{}
	for name, value := range tags {
		index = append(index, name...)
		index = binary.BigEndian.AppendUint32(index, uint32(132+12*len(tags)+len(body)))
		index = binary.BigEndian.AppendUint32(index, uint32(len(value)))
		body = append(body, value...)
	}
	p := join(head, index, body)
	binary.BigEndian.PutUint32(p, uint32(len(p)))
	return p
}

// withProfile puts a profile into a JPEG or a PNG.
func withProfile(data, profile []byte) []byte {
	if bytes.HasPrefix(data, []byte("\xff\xd8")) {
		var parts [][]byte
		for part := range slices.Chunk(profile, 60_000) {
			parts = append(parts, part)
		}
		for i, part := range parts {
			parts[i] = segment(0xe2, iccHeader+string([]byte{byte(i + 1), byte(len(parts))})+string(part))
		}
		slices.Reverse(parts) // the order does not matter
		return withSegments(data, parts...)
	}
	var z bytes.Buffer
	w, _ := zlib.NewWriterLevel(&z, zlib.BestSpeed)
	w.Write(profile)
	w.Close()
	return withChunks(data, chunk("iCCP", "icc\x00\x00"+z.String()))
}

// plain is a picture of one colour.
func plain(c color.Color) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, 32, 32))
	for y := range 32 {
		for x := range 32 {
			m.Set(x, y, c)
		}
	}
	return m
}

// Colours are made those of sRGB, as their profile, PNG chunk or BMP header says. What
// they become has been worked out with Little CMS and with Chromium's canvas.
func TestColours(t *testing.T) {
	sand, sum := color.RGBA{200, 150, 100, 255}, func(space string, gamma float64) []byte { return iccProfile(space, gamma) }
	grey := image.NewGray(image.Rect(0, 0, 32, 32))
	for i := range grey.Pix {
		grey.Pix[i] = 128
	}
	adobe, dot := sum("RGB ", 2.2), sum("GRAY", 1)
	be := func(ns ...uint32) string {
		var b []byte
		for _, n := range ns {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return string(b)
	}
	p3 := be(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
	half := color.NRGBA{200, 150, 100, 128}
	png, jpeg := pngOf(t, plain(sand)), jpegOf(t, plain(sand), 98)
	const converted, named = "colours converted from their profile to sRGB", "colours converted to sRGB"
	tests := []struct {
		name   string
		data   []byte
		want   color.Color
		change string
	}{
		{"jpeg", withProfile(jpeg, adobe), color.RGBA{219, 150, 96, 255}, converted},
		{"png", withProfile(png, adobe), color.RGBA{219, 150, 96, 255}, converted},
		{"transparent", withProfile(pngOf(t, plain(half)), adobe), color.NRGBA{219, 150, 96, 128}, converted},
		{"grey", withProfile(jpegOf(t, grey, 98), dot), color.RGBA{188, 188, 188, 255}, converted},
		{"grey png", withProfile(pngOf(t, grey), dot), color.RGBA{188, 188, 188, 255}, converted},
		{"grey profile, colours", withProfile(jpeg, dot), sand, "colour profile removed: it is for GRAY, the picture is not"},
		{"rgb profile, grey", withProfile(jpegOf(t, grey, 98), adobe), color.RGBA{128, 128, 128, 255}, "colour profile removed: it is for RGB, the picture is not"},
		{"damaged profile", withProfile(jpeg, adobe[:200]), sand, "colour profile removed: it is damaged"},
		{"empty tags", withProfile(jpeg, append(bytes.Clone(adobe[:128]), 0, 0, 0, 0)), sand, "colour profile removed: it is damaged"},
		{"many tags", withProfile(jpeg, append(bytes.Clone(adobe[:128]), 0xff, 0xff, 0xff, 0xff)), sand, "colour profile removed: it is damaged"},
		{"long curve", withProfile(jpeg, bytes.ReplaceAll(adobe, []byte("curv\x00\x00\x00\x00\x00\x00\x00\x01"), []byte("curv\x00\x00\x00\x00\xff\xff\xff\xff"))), sand, "colour profile removed: it is damaged"},
		{"gamma", withChunks(png, chunk("gAMA", be(100000))), color.RGBA{228, 201, 167, 255}, named},
		{"usual gamma", withChunks(png, chunk("gAMA", be(45455)), chunk("cHRM", be(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))), sand, ""},
		{"chromaticities", withChunks(png, chunk("cHRM", p3)), color.RGBA{209, 147, 91, 255}, named},
		{"sRGB before gamma", withChunks(png, chunk("sRGB", "\x00"), chunk("gAMA", be(100000))), sand, ""},
		{"display p3", withChunks(png, chunk("cICP", "\x0c\x0d\x00\x01"), chunk("gAMA", be(100000))), color.RGBA{209, 147, 91, 255}, named},
		{"television", withChunks(png, chunk("cICP", "\x01\x01\x00\x01")), color.RGBA{197, 144, 91, 255}, named},
		{"cICP says nothing", withChunks(png, chunk("cICP", "\x02\x02\x00\x01")), sand, ""},
		{"linear", withChunks(png, chunk("cICP", "\x01\x08\x00\x01")), color.RGBA{228, 201, 167, 255}, named},
		{"black chromaticities", withChunks(png, chunk("cHRM", be(0, 0, 0, 0, 0, 0, 0, 0))), sand, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Prepare(t.Context(), tt.data, Options{MaxEdge: 24})
			if err != nil {
				t.Fatal(err)
			}
			if got := pixelsOf(t, p).At(12, 12); !isNear(got, tt.want, 2) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if tt.change != "" && !slices.Contains(p.Changes, tt.change) || tt.change == "" && len(p.Changes) > 2 {
				t.Errorf("changes %q", p.Changes)
			}
			if l, err := read(p.Data); err != nil || l.profile != nil || l.profileParts != nil {
				t.Errorf("a profile is left, or %v", err)
			}
		})
	}
	hdr := withChunks(png, chunk("cICP", "\x09\x10\x00\x01"))
	if p, err := Prepare(t.Context(), hdr, Options{}); err != nil || !bytes.Equal(p.Data, hdr) {
		t.Errorf("high dynamic range, as it is: %v", err)
	}
	if _, err := Prepare(t.Context(), hdr, Options{MaxEdge: 24}); code(t, err) != UnsupportedFormat {
		t.Errorf("high dynamic range, encoded again: %v", err)
	}
}

// A BMP may have a profile in its header's place. Its end points count as little as in
// browsers.
func TestColoursOfBMP(t *testing.T) {
	header := make([]byte, 14+124)
	copy(header, "BM")
	put := func(at int, v uint32) { binary.LittleEndian.PutUint32(header[at:], v) }
	for at, v := range map[int]uint32{10: uint32(len(header)), 14: 124, 18: 32, 22: 32, 26: 1 | 24<<16, 14 + 60: 1 << 29, 14 + 64: 1 << 29, 14 + 96: 1 << 16} {
		put(at, v)
	}
	pixels, profile := bytes.Repeat([]byte{100, 150, 200}, 32*32), iccProfile("RGB ", 2.2)
	check := func(want color.RGBA) {
		t.Helper()
		p, err := Prepare(t.Context(), join(header, pixels, profile), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := pixelsOf(t, p).At(12, 12); !isNear(got, want, 2) {
			t.Errorf("%v, want %v: %q", got, want, p.Changes)
		}
	}
	check(color.RGBA{200, 150, 100, 255})
	put(14+56, 0x4d424544)
	put(14+112, uint32(124+len(pixels)))
	put(14+116, uint32(len(profile)))
	check(color.RGBA{219, 150, 96, 255})
	put(14+116, 1<<31)
	check(color.RGBA{200, 150, 100, 255})
}

// A bomb in place of a profile is not unpacked further than any profile goes.
func TestProfileBomb(t *testing.T) {
	data := withProfile(pngOf(t, portrait(48, 32)), append(iccProfile("RGB ", 2.2), make([]byte, 50<<20)...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := Prepare(t.Context(), data, Options{MaxEdge: 24})
	runtime.ReadMemStats(&after)
	if err != nil || !slices.Contains(p.Changes, "colour profile removed: it is damaged") {
		t.Errorf("%q, %v", p.Changes, err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 40<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// Whatever stands in a profile, it is used or removed, and nothing is the worse for it.
func FuzzProfile(f *testing.F) {
	f.Add(iccProfile("RGB ", 2.2), false)
	f.Add(iccProfile("GRAY", 1.8), true)
	for _, name := range []string{"default_cmyk", "esrgb", "default_gray"} {
		if p, err := os.ReadFile(iccs + name + ".icc"); err == nil {
			f.Add(p, strings.HasSuffix(name, "gray"))
		}
	}
	f.Fuzz(func(t *testing.T, profile []byte, grey bool) {
		for _, inks := range []int{1, 3, 4} {
			l := &layout{inks: inks, profile: profile}
			p, _ := l.conversion()
			toSRGB(portrait(8, 8), inks, p)
		}
	})
}
