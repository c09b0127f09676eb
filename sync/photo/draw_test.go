package photo

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
)

// portrait draws a picture with smooth and sharp parts, different in every
// corner: red top left, green top right, blue bottom left, grey bottom right.
func portrait(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{uint8(40 * x / w), uint8(40 * y / h), uint8(x * y % 8), 255}
			switch right, low := x >= w/2, y >= h/2; {
			case !right && !low:
				c.R += 180
			case right && !low:
				c.G += 180
			case !right && low:
				c.B += 180
			default:
				c.R, c.G, c.B = 128, 128, 128
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

// tester is what *testing.T, *testing.F, *testing.B and *rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

func jpegOf(t tester, m image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t tester, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gifOf(t tester, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// encoded returns the same small portrait in the formats that Smartsheet takes.
func encoded(t tester, w, h int) map[string][]byte {
	m := portrait(w, h)
	return map[string][]byte{"jpeg": jpegOf(t, m, 90), "png": pngOf(t, m), "gif": gifOf(t, m)}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// segment makes a JPEG segment.
func segment(marker byte, body string) []byte {
	return join([]byte{0xff, marker}, binary.BigEndian.AppendUint16(nil, uint16(len(body)+2)), []byte(body))
}

// withSegments puts segments right after the start of a JPEG.
func withSegments(data []byte, segments ...[]byte) []byte {
	return join(data[:2], join(segments...), data[2:])
}

// chunk makes a PNG chunk.
func chunk(name, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(b, name+body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// withChunks puts chunks right after the header of a PNG.
func withChunks(data []byte, chunks ...[]byte) []byte {
	return join(data[:33], join(chunks...), data[33:])
}

// resized returns data with another size in its header, and nothing else
// changed.
func resized(format string, data []byte, w, h int) []byte {
	d := bytes.Clone(data)
	switch format {
	case "jpeg":
		i := bytes.Index(d, []byte{0xff, 0xc0})
		binary.BigEndian.PutUint16(d[i+5:], uint16(h))
		binary.BigEndian.PutUint16(d[i+7:], uint16(w))
	case "png":
		binary.BigEndian.PutUint32(d[16:], uint32(w))
		binary.BigEndian.PutUint32(d[20:], uint32(h))
		binary.BigEndian.PutUint32(d[29:], crc32.ChecksumIEEE(d[12:29]))
	case "gif":
		binary.LittleEndian.PutUint16(d[6:], uint16(w))
		binary.LittleEndian.PutUint16(d[8:], uint16(h))
	}
	return d
}
