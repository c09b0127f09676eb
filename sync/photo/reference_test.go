package photo

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// variant is a picture that a program of Debian makes: of a portrait (photo.ppm), one with
// transparency (alpha.png), or a grey one (grey.pgm).
type variant struct {
	file    string // its name ends with the format
	args    string // of cjpeg, convert, tiffcp or cwebp, which is the first; the file comes last
	refused string // the code, if it is refused where it is encoded again
	profile bool   // it has a colour profile that ImageMagick has to apply
}

const iccs = "/usr/share/color/icc/ghostscript/"

// variants returns every kind of picture that the programs make and that people have.
func variants() (vs []variant) {
	add := func(refused string, profile bool, file, args string, with ...any) {
		vs = append(vs, variant{strings.ReplaceAll(file, " ", "_"), fmt.Sprintf(args, with...), refused, profile})
	}
	jpegVariants(add)
	for _, space := range []string{"a98", "rommrgb", "esrgb", "srgb", "default_rgb"} {
		for _, ext := range []string{"jpg", "png", "tif", "webp"} {
			add("", true, space+"."+ext, "convert photo.ppm -profile %ssrgb.icc -profile %s%s.icc -quality 95", iccs, iccs, space)
		}
		add("", true, space+"-16.png", "convert photo.ppm -profile %ssrgb.icc -profile %s%s.icc -depth 16", iccs, iccs, space)
		add("", true, space+"-alpha.png", "convert alpha.png -profile %ssrgb.icc -profile %s%s.icc", iccs, iccs, space)
	}
	for _, space := range []string{"ps_gray", "sgray", "default_gray"} {
		for _, ext := range []string{"jpg", "png", "tif"} {
			add("", true, space+"."+ext, "convert photo.ppm -profile %ssrgb.icc -profile %s%s.icc -quality 95", iccs, iccs, space)
		}
	}
	for _, space := range []string{"default_cmyk", "ps_cmyk"} {
		for _, ext := range []string{"jpg", "tif"} {
			add("", true, space+"."+ext, "convert photo.ppm -profile %ssrgb.icc -profile %s%s.icc -quality 95", iccs, iccs, space)
		}
	}
	for _, o := range []string{"TopLeft", "TopRight -flop", "BottomRight -rotate 180", "BottomLeft -flip", "LeftTop -transpose", "RightTop -rotate -90", "RightBottom -transverse", "LeftBottom -rotate 90"} {
		name, turn, _ := strings.Cut(o, " ")
		add("", false, name+".tif", "convert photo.ppm %s -orient %s", turn, name)
	}
	pngVariants(add)
	tiffVariants(add)
	for _, args := range []string{"BMP2:rgb", "BMP2:8 -colors 200", "BMP2:4 -colors 16", "BMP2:1 -monochrome", "BMP3:rgb", "BMP3:8 -colors 200", "BMP3:4 -colors 16",
		"BMP3:1 -monochrome", "BMP3:rle8 -colors 200 -compress RLE", "BMP:rgb", "BMP:565 -define bmp:subtype=RGB565", "BMP:555 -define bmp:subtype=RGB555", "BMP3:565 -define bmp:subtype=RGB565"} {
		kind, options, _ := strings.Cut(args, " ")
		format, name, _ := strings.Cut(kind, ":")
		add("", false, format+"-"+name+".bmp", "convert photo.ppm %s %s:", options, format)
	}
	add("", false, "alpha.bmp", "convert alpha.png BMP:")
	for _, args := range []string{"plain", "few -colors 8", "two -monochrome", "interlaced -interlace GIF", "offset -page 300x300+40+30"} {
		name, options, _ := strings.Cut(args, " ")
		add("", false, name+".gif", "convert photo.ppm %s", options)
	}
	add("", false, "clear.gif", "convert alpha.png")
	add("", false, "moving.gif", "convert -delay 10 photo.ppm ( photo.ppm -negate ) ( photo.ppm -flop )")
	for _, q := range []string{"-q 30", "-q 90", "-q 100 -m 6", "-lossless", "-near_lossless 60"} {
		add("", false, "photo"+q+".webp", "cwebp -quiet %s photo.ppm -o", q)
		add("", false, "alpha"+q+".webp", "cwebp -quiet %s alpha.png -o", q)
	}
	add("", false, "moving.webp", "convert -delay 10 photo.ppm ( photo.ppm -negate ) -quality 90")
	return vs
}

type adder func(refused string, profile bool, file, args string, with ...any)

// jpegVariants are sampling x progressive x restart x colours.
func jpegVariants(add adder) {
	for _, sample := range []string{"1x1", "2x1", "1x2", "2x2", "4x1", "4x2", "1x4", "3x1", "2x2,1x2,1x2", "2x2,2x1,1x1", "1x1,2x2,2x2"} {
		for _, mode := range []string{"", "-progressive", "-arithmetic"} {
			for _, restart := range []string{"", "-restart 5B"} {
				refused := ""
				_, chroma, mixed := strings.Cut(sample, ",")
				odd := sample == "3x1" || sample == "1x4" || mixed && chroma != "1x2,1x2"
				counted := mode == "-progressive" && restart != "" && sample != "1x1"
				if odd || counted || mode == "-arithmetic" {
					refused = UnsupportedFormat
				}
				add(refused, false, sample+mode+restart+".jpg", "cjpeg -quality 92 -sample %s %s %s photo.ppm >", sample, mode, restart)
			}
		}
	}
	for _, mode := range []string{"-grayscale", "-rgb", "-baseline", "-optimize", "-optimize -restart 1", "-dct float", "-quality 30,80 -qslots 0,1", "-scans scans.txt", "-scans scans.txt -sample 1x1"} {
		add("", false, "mode"+strings.ReplaceAll(mode, "/", "")+".jpg", "cjpeg %s photo.ppm >", mode)
	}
	add("", false, "grey-progressive.jpg", "cjpeg -progressive -restart 1 grey.pgm >")
	add(UnsupportedFormat, false, "alone-restart.jpg", "cjpeg -scans scans.txt -restart 5B photo.ppm >")
	add("", false, "cmyk.jpg", "convert photo.ppm -colorspace CMYK -quality 95")
	add("", false, "cmyk-progressive.jpg", "convert photo.ppm -colorspace CMYK -interlace Plane -quality 95")
	add(UnsupportedFormat, false, "cmyk-sampled.jpg", "convert photo.ppm -colorspace CMYK -sampling-factor 2x2 -quality 95")
}

// pngVariants are colour type x bits x interlacing.
func pngVariants(add adder) {
	for _, kind := range []string{"0:1", "0:2", "0:4", "0:8", "0:16", "2:8", "2:16", "3:1", "3:2", "3:4", "3:8", "4:8", "4:16", "6:8", "6:16"} {
		colour, depth, _ := strings.Cut(kind, ":")
		from := map[string]string{"0": "grey.pgm", "2": "photo.ppm", "3": "photo.ppm", "4": "alpha.png -colorspace Gray", "6": "alpha.png"}[colour]
		if colour == "3" {
			from += " -colors " + map[string]string{"1": "2", "2": "4", "4": "16", "8": "200"}[depth]
		}
		for _, interlace := range []string{"None", "PNG"} {
			add("", false, colour+"-"+depth+interlace+".png", "convert %s -interlace %s -define png:color-type=%s -define png:bit-depth=%s", from, interlace, colour, depth)
		}
	}
}

// tiffVariants are compression x colours x layout.
func tiffVariants(add adder) {
	for _, compress := range []string{"none", "lzw", "zip", "rle", "jpeg"} {
		for _, kind := range []string{"rgb photo.ppm", "grey grey.pgm", "cmyk photo.ppm -colorspace CMYK", "palette photo.ppm -colors 200", "two grey.pgm -monochrome",
			"alpha alpha.png", "greyalpha alpha.png -colorspace Gray", "rgb16 photo.ppm -depth 16", "grey2 grey.pgm -depth 2", "grey4 grey.pgm -depth 4", "palette4 photo.ppm -colors 16"} {
			name, options, _ := strings.Cut(kind, " ")
			if compress == "jpeg" && name != "rgb" && name != "grey" && name != "cmyk" {
				continue
			}
			refused := ""
			if compress == "jpeg" && name == "cmyk" || compress == "rle" {
				refused = UnsupportedFormat
			}
			add(refused, false, name+"-"+compress+".tif", "convert %s -compress %s", options, compress)
		}
	}
	add(UnsupportedFormat, false, "group4.tif", "convert grey.pgm -threshold 50%% -compress group4")
	add(UnsupportedFormat, false, "group3.tif", "convert grey.pgm -threshold 50%% -compress fax")
	for _, args := range []string{"-p separate", "-t -w 32 -l 48", "-p separate -t -w 32 -l 48", "-f lsb2msb", "-B", "-r 7", "-c lzw:2 -r 7", "-c zip:2 -p separate", "-c lzw -f lsb2msb", "-c jpeg:90:r -r 16", "-c jpeg:90 -r 16", "-c jpeg:90 -t -w 32 -l 48"} {
		add("", false, "tiffcp "+args+".tif", "tiffcp %s base.tif", args)
	}
	for _, args := range []string{"-t -w 32 -l 48", "-c lzw:2", "-B"} {
		add("", false, "tiffcp16 "+args+".tif", "tiffcp %s base16.tif", args)
	}
}

// run runs a program in dir. Its last argument is file, or its output goes there.
func (v variant) run(dir string) error {
	args := strings.Fields(v.args)
	file := filepath.Join(dir, v.file)
	var out bytes.Buffer
	last := args[len(args)-1]
	switch {
	case last == ">":
		args = args[:len(args)-1]
	case strings.HasSuffix(last, ":"):
		args[len(args)-1] += file
	default:
		args = append(args, file)
	}
	c := exec.Command(args[0], args[1:]...)
	c.Dir = dir
	var faults bytes.Buffer
	c.Stdout, c.Stderr = &out, &faults
	if err := c.Run(); err != nil {
		return fmt.Errorf("%q: %w: %s", args, err, faults.String())
	}
	if last == ">" {
		return os.WriteFile(file, out.Bytes(), 0o600)
	}
	return nil
}

// reference returns what ImageMagick makes of it.
func (v variant) reference(dir string) (image.Image, error) {
	args := []string{v.file + "[0]"}
	if strings.Contains(v.args, "-orient") {
		args = append(args, "-auto-orient", "+repage")
	}
	if v.profile {
		args = append(args, "-intent", "Perceptual", "-black-point-compensation", "-profile", iccs+"srgb.icc")
	}
	args = append(args, "-background", "white", "-flatten", "-colorspace", "sRGB", "-resize", "64x64!", "-depth", "8", "png:-")
	c := exec.Command("convert", args...)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%q: %w", args, err)
	}
	return png.Decode(bytes.NewReader(out))
}

// sources writes what the variants are made of.
func sources(t *testing.T, dir string) {
	m := image.NewNRGBA(image.Rect(0, 0, 150, 113))
	for y := range 113 {
		for x := range 150 {
			wave := func(a, b float64) uint8 { return uint8(127 + 120*math.Sin(float64(x)/a+float64(y)/b)) }
			m.SetNRGBA(x, y, color.NRGBA{wave(31, 90), wave(-57, 23), wave(80, -40), 255})
		}
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	photo, grey := []byte("P6\n150 113\n255\n"), []byte("P5\n150 113\n255\n")
	for i := 0; i < len(m.Pix); i += 4 {
		photo = append(photo, m.Pix[i:i+3]...)
		grey = append(grey, m.Pix[i])
	}
	for i := 3; i < len(m.Pix)/2; i += 4 {
		m.Pix[i] = uint8(i / 4 % 150)
	}
	write("photo.ppm", photo)
	write("grey.pgm", grey)
	write("alpha.png", pngOf(t, m))
	write("scans.txt", []byte("0;\n1;\n2;\n"))
	for _, v := range []variant{{file: "base.tif", args: "convert photo.ppm -compress none"}, {file: "base16.tif", args: "convert photo.ppm -depth 16 -compress none"}} {
		if err := v.run(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever a picture is stored as, it comes out as ImageMagick, with libjpeg, libtiff,
// libpng, libwebp and Little CMS, shows it.
func TestLikeReference(t *testing.T) {
	dir := t.TempDir()
	sources(t, dir)
	all := variants()
	if len(all) < 200 {
		t.Errorf("%d variants", len(all))
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, v := range all {
		if i%every(5) != 0 {
			continue
		}
		g.Go(func() error {
			if err := v.run(dir); err != nil {
				t.Errorf("%s: %v", v.file, err)
				return nil
			}
			want, err := v.reference(dir)
			if err != nil {
				t.Errorf("%s: %v", v.file, err)
				return nil
			}
			data, err := os.ReadFile(filepath.Join(dir, v.file))
			if err != nil {
				t.Error(err)
				return nil
			}
			v.compare(t, data, want)
			return nil
		})
	}
	g.Wait() // reported above
}

func (v variant) compare(t *testing.T, data []byte, want image.Image) {
	if strings.HasSuffix(v.file, ".jpg") {
		v.compareJPEG(t, data)
	}
	p, err := Prepare(t.Context(), data, Options{MaxEdge: 64, Quality: 95})
	if got := code(t, err); got != v.refused {
		t.Errorf("%s made by %s: %v, want %q", v.file, v.args, err, v.refused)
		return
	}
	if err != nil {
		return
	}
	if d := difference(pixelsOf(t, p), want); d > 3 {
		t.Errorf("%s made by %s: it is off by %.1f levels: %q", v.file, v.args, d, p.Changes)
	}
	// The same in another order, and once more.
	again, err := Prepare(t.Context(), data, Options{MaxEdge: 64, Quality: 95})
	if err != nil || !bytes.Equal(again.Data, p.Data) {
		t.Errorf("%s: another picture the second time, %v", v.file, err)
	}
}

// compareJPEG checks that a JPEG passes as it is, also where Go's decoder cannot read it,
// and that a part of it does not.
func (v variant) compareJPEG(t *testing.T, data []byte) {
	if strings.Contains(v.args, "-arithmetic") || bytes.Contains(data, []byte("Adobe\x00\x64\x00\x00\x00\x00\x02")) {
		return // refused, or CMYK
	}
	p, err := Prepare(t.Context(), data, Options{})
	if err == nil && !bytes.Equal(p.Data, data) || err != nil && !strings.Contains(v.args, "CMYK") && !strings.Contains(v.args, "_cmyk") {
		t.Errorf("%s made by %s, as it is: %v, %q", v.file, v.args, err, p.Changes)
	}
	part := join(data[:len(data)*3/4], []byte{0xff, 0xd9})
	if _, err := Prepare(t.Context(), part, Options{}); code(t, err) != Truncated {
		t.Errorf("%s made by %s, cut short: %v", v.file, v.args, err)
	}
}
