package photo

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// code returns the code of a refusal, and fails if err is anything else.
func code(t tester, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error", err)
	}
	if e.Hint() == "" {
		t.Errorf("%v has no hint", e)
	}
	return e.Code
}

func TestUntouched(t *testing.T) {
	for format, data := range encoded(t, 96, 64) {
		got, err := Prepare(t.Context(), data, Options{MaxEdge: 96, MaxBytes: 1 << 20, StripMetadata: true})
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		want := Picture{Data: data, Format: format, Width: 96, Height: 64, SourceWidth: 96, SourceHeight: 64, SourceFormat: format}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", format, d)
		}
		if &got.Data[0] != &data[0] {
			t.Errorf("%s: bytes were copied", format)
		}
	}
}

func TestContentTypeAndExt(t *testing.T) {
	for format, want := range map[string][2]string{
		"jpeg": {"image/jpeg", ".jpg"}, "png": {"image/png", ".png"}, "gif": {"image/gif", ".gif"},
	} {
		p := Picture{Format: format}
		if p.ContentType() != want[0] || p.Ext() != want[1] {
			t.Errorf("%s: %s %s", format, p.ContentType(), p.Ext())
		}
	}
}

// onlyEndMissing reports whether nothing but the end mark of whole was missing, which
// was added again.
func onlyEndMissing(t tester, p, whole Picture) bool {
	t.Helper()
	if !slices.ContainsFunc(p.Changes, func(c string) bool { return strings.HasPrefix(c, "its missing ") }) {
		return false
	}
	if bytes.Equal(p.Data, whole.Data) {
		return true
	}
	got, want := pixelsOf(t, p), pixelsOf(t, whole)
	for y := want.Bounds().Min.Y; y < want.Bounds().Max.Y; y++ {
		for x := want.Bounds().Min.X; x < want.Bounds().Max.X; x++ {
			if got.At(x, y) != want.At(x, y) {
				return false
			}
		}
	}
	return true
}

// A copy that broke off is refused, wherever it broke off, unless its pixels are all
// there.
func TestTruncatedAnywhere(t *testing.T) {
	for format, data := range encoded(t, 24, 16) {
		whole := Picture{Data: data, Format: format, Width: 24, Height: 16}
		for n := 0; n < len(data); n += every(7) {
			p, err := Prepare(t.Context(), data[:n], Options{})
			want := Truncated
			if n == 0 {
				want = Empty
			}
			if got := code(t, err); got != want && !(err == nil && n >= len(data)-12 && onlyEndMissing(t, p, whole)) {
				t.Errorf("%s cut after %d of %d bytes: %q, want %q", format, n, len(data), got, want)
			}
		}
	}
}

// A copy that broke off and was closed properly by somebody is refused too.
func TestTruncatedAndClosed(t *testing.T) {
	all := encoded(t, 64, 64)
	j, p, g := all["jpeg"], all["png"], all["gif"]
	iend := p[len(p)-12:]
	for name, data := range map[string][]byte{
		"jpeg": join(j[:len(j)*3/4], []byte{0xff, 0xd9}),
		"png":  join(p[:33], chunk("IDAT", string(p[41:len(p)*3/4])), iend),
		"gif":  join(g[:len(g)-40], []byte{0, 0x3b}),
	} {
		_, err := Prepare(t.Context(), data, Options{})
		if got := code(t, err); got != Truncated {
			t.Errorf("%s: %q, want truncated", name, got)
		}
	}
}

// Cameras and converters leave things behind the end of a picture.
func TestTrailingBytes(t *testing.T) {
	for format, data := range encoded(t, 24, 16) {
		for _, more := range []string{"\x00", "\r\n", strings.Repeat("\x00", 5000), string(data), "\xff\xd8\xff\xe1 cut"} {
			long := join(data, []byte(more))
			got, err := Prepare(t.Context(), long, Options{})
			if err != nil {
				t.Errorf("%s and %d more bytes: %v", format, len(more), err)
			} else if !bytes.Equal(got.Data, long) {
				t.Errorf("%s and %d more bytes: changed without need", format, len(more))
			}
		}
	}
}

func TestRefused(t *testing.T) {
	all := encoded(t, 64, 64)
	flipped := bytes.Clone(all["png"])
	flipped[len(flipped)/2] ^= 1
	noisy := jpegOf(t, noise(64, 64), 95)
	copy(noisy[len(noisy)/2:], "\xff\xd0")
	tests := []struct {
		name string
		data string
		opts Options
		want string // code, and what the detail says
	}{
		{"nothing", "", Options{}, "empty"},
		{"one byte", "\xff", Options{}, "truncated: nothing but the first 1 bytes of a jpeg"},
		{"three zeros", "\x00\x00\x00", Options{}, "not_an_image: 3 zero bytes"},
		{"text", "no photo yet", Options{}, "not_an_image: text"},
		{"noise", "\x01\x02\x03\xfe\xff\x00", Options{}, "not_an_image: begins with 01 02 03 fe ff 00"},
		{"web page", "<!DOCTYPE html><h1>404</h1>", Options{}, "not_an_image: HTML"},
		{"pdf", "%PDF-1.7\n", Options{}, "not_an_image: PDF"},
		{"iphone", "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", Options{}, "unsupported_format: HEIC"},
		{"avif", "\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif", Options{}, "unsupported_format: AVIF"},
		{"video", "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42", Options{}, "not_an_image: video"},
		{"svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", Options{}, "unsupported_format: SVG"},
		{"svg file", "<?xml version='1.0'?>\n<!-- drawn -->\n<svg xmlns='http://www.w3.org/2000/svg'/>", Options{}, "unsupported_format: SVG"},
		{"xml", "<?xml version='1.0'?><people/>", Options{}, "not_an_image: XML"},
		{"big tiff", "II+\x00\x08\x00\x00\x00", Options{}, "unsupported_format: BigTIFF"},
		{"targa", "\x00\x00\x02\x00\x00\x00\x00\x00", Options{}, "unsupported_format: Targa"},
		{"cursor", "\x00\x00\x02\x00\x01\x00\x20\x20", Options{}, "unsupported_format: Windows icon"},
		{"flipped bit", string(flipped), Options{}, `truncated: PNG with a damaged "IDAT" chunk`},
		{"pixels", string(all["jpeg"]), Options{MaxPixels: 4095}, "too_many_pixels: 64 x 64 pixels, at most 4095 are allowed"},
		{"huge jpeg", string(resized("jpeg", all["jpeg"], 65535, 65535)), Options{}, "too_many_pixels: 65535 x 65535"},
		{"flipped bit in a jpeg", string(noisy), Options{}, "truncated: JPEG with damaged pixels"},
		{"cut jpeg", string(join(all["jpeg"][:len(all["jpeg"])*3/4], []byte{0xff, 0xd9})), Options{}, "truncated: JPEG with less than its 64 x 64 pixels"},
		{"huge png", string(resized("png", all["png"], 1<<31-1, 1<<31-1)), Options{}, "too_many_pixels: 2147483647 x 2147483647"},
		{"huge gif", string(resized("gif", all["gif"], 65535, 65535)), Options{}, "too_many_pixels: 65535 x 65535"},
		{"flat jpeg", string(resized("jpeg", all["jpeg"], 64, 0)), Options{}, "truncated: jpeg of 64x0 pixels"},
		{"negative png", string(resized("png", all["png"], -1, 5)), Options{}, "truncated: png of -1x5 pixels"},
		{"arithmetic jpeg", strings.Replace(string(all["jpeg"]), "\xff\xc0", "\xff\xc9", 1), Options{}, "unsupported_format: JPEG with arithmetic coding"},
		{"lossless jpeg", strings.Replace(string(all["jpeg"]), "\xff\xc0", "\xff\xc3", 1), Options{}, "unsupported_format: JPEG with lossless coding"},
		{"12 bits", strings.Replace(string(all["jpeg"]), "\xff\xc0\x00\x11\x08", "\xff\xc1\x00\x11\x0c", 1), Options{}, "unsupported_format: JPEG with 12 bits a sample"},
		{"apple png", "\x89PNG\r\n\x1a\n" + string(chunk("CgBI", "1234")), Options{}, "unsupported_format: PNG in Apple's"},
		{"no samples", strings.Replace(string(all["jpeg"]), "\x01\x22\x00", "\x01\x02\x00", 1), Options{}, "truncated: JPEG with impossible sampling factors 0x2"},
		{"many segments", string(withSegments(all["jpeg"], bytes.Repeat(segment(0xfe, ""), 20_000))), Options{}, "unsupported_format: JPEG with more than 10000 segments"},
		{"many scans", string(join(all["jpeg"][:len(all["jpeg"])-2], bytes.Repeat(segment(0xda, "\x01\x01\x00\x00\x3f\x00"), 200), []byte{0xff, 0xd9})), Options{}, "unsupported_format: JPEG with more than 100 scans"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Prepare(t.Context(), []byte(tt.data), tt.opts)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			code(t, err)
		})
	}
}

// The hint says what is true: damaged is not cut short, unsupported is not damaged.
func TestHints(t *testing.T) {
	data := encoded(t, 64, 64)["jpeg"]
	broken := bytes.Clone(data)
	broken[bytes.Index(broken, []byte{0xff, 0xc0})+11] = 0x77
	for want, bad := range map[string][]byte{
		"part of it is missing": data[:len(data)/2],
		"it is damaged":         broken,
		"it is whole":           file(t, "cases/08-cmyk-420-pillow.jpg"),
	} {
		_, err := Prepare(t.Context(), bad, Options{})
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Hint(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestHeicHint(t *testing.T) {
	_, err := Prepare(t.Context(), []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), Options{})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint(), "Most Compatible") {
		t.Errorf("hint of %v does not say how to get a JPEG", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Prepare(ctx, encoded(t, 8, 8)["jpeg"], Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFingerprint(t *testing.T) {
	if a, b := (Options{}).Fingerprint(), (Options{MaxPixels: 50_000_000, Crop: "none", Quality: 90, Background: "#FFFFFF"}).Fingerprint(); a != b {
		t.Errorf("defaults spelled out give another fingerprint: %q, %q", a, b)
	}
	seen := map[string]bool{}
	for _, o := range []Options{{}, {MaxEdge: 100}, {MaxBytes: 5000}, {MaxPixels: 7}, {Crop: "top"}, {Crop: "center"}, {StripMetadata: true}, {Quality: 80}, {Background: "#000000"}} {
		seen[o.Fingerprint()] = true
	}
	if len(seen) != 9 {
		t.Errorf("9 different settings give %d fingerprints", len(seen))
	}
}

// every is n with -short, as under the race detector, and 1 without: a test tries one
// case of so many.
func every(n int) int {
	if testing.Short() {
		return n
	}
	return 1
}

// Whatever happens to a file, the answer is a picture or a reason, soon.
func TestDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, name := range files(t) {
		data := file(t, name)
		for range 60 / every(5) {
			bad := bytes.Clone(data)
			for range 1 + r.IntN(4) {
				bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			}
			if r.IntN(4) == 0 {
				bad = bad[:r.IntN(len(bad))]
			}
			p, err := Prepare(t.Context(), bad, Options{MaxEdge: 30, MaxPixels: 1 << 20})
			if code(t, err) == "" {
				pixelsOf(t, p)
			}
		}
	}
}

// Everything that was cut short is refused, in every format, unless its pixels are all
// there. A TIFF may have other things behind them.
func TestTruncatedFiles(t *testing.T) {
	for _, name := range files(t) {
		data := file(t, name)
		whole, err := Prepare(t.Context(), data, Options{})
		if err != nil {
			continue
		}
		for n := range data {
			if n%every(5) != 0 {
				continue
			}
			p, err := Prepare(t.Context(), data[:n], Options{})
			if code(t, err) == "" && !(strings.HasSuffix(name, ".tiff") && bytes.Equal(p.Data, whole.Data)) && !onlyEndMissing(t, p, whole) {
				t.Errorf("%s cut after %d of %d bytes passes", name, n, len(data))
			}
		}
	}
}

// Text that was cut short is, too: in base64 the bytes end in the middle.
func TestTruncatedBase64(t *testing.T) {
	for format, data := range encoded(t, 24, 16) {
		text := strings.TrimRight(base64.StdEncoding.EncodeToString(data), "=")
		for n := range len(text) {
			p, err := Prepare(t.Context(), []byte(text[:n]), Options{})
			if code(t, err) == "" && !onlyEndMissing(t, p, Picture{Data: data, Format: format, Width: 24, Height: 16}) {
				t.Errorf("%s in base64 cut after %d of %d letters passes", format, n, len(text))
			}
		}
	}
}

func FuzzPrepare(f *testing.F) {
	for _, name := range files(f) {
		f.Add(file(f, name), true)
		f.Add(file(f, name), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, small bool) {
		o := Options{MaxEdge: 64, MaxBytes: 1 << 16, MaxPixels: 1 << 16, StripMetadata: true}
		if small {
			o = Options{MaxEdge: 16, MaxBytes: 4096, MaxPixels: 1 << 16, Crop: "top"}
		}
		before := bytes.Clone(data)
		p, err := Prepare(t.Context(), data, o)
		if !bytes.Equal(before, data) {
			t.Fatal("the source's bytes were changed")
		}
		if err != nil {
			code(t, err)
			return
		}
		again, err := Prepare(t.Context(), p.Data, o)
		if err != nil || len(again.Changes) > 0 || again.Width != p.Width || again.Height != p.Height || again.Format != p.Format {
			t.Fatalf("%v is not done with: %v, %v", p, again, err)
		}
	})
}
