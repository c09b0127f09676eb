package photo

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"io"
	"math"

	"golang.org/x/image/webp"
)

// readWebP walks the chunks of a WebP file (RFC 9649, section 2).
func (l *layout) readWebP(ctx context.Context) error {
	size := int64(binary.LittleEndian.Uint32(l.data[4:])) + 8
	if size > int64(len(l.data)) {
		return refuse(Truncated, "WebP of %d bytes, of which %d are there", size, len(l.data))
	}
	for d := l.data[12:max(size, 12)]; len(d) >= 8; {
		name := string(d[:4])
		n := int64(binary.LittleEndian.Uint32(d[4:]))
		if n > int64(len(d)-8) {
			return refuse(Truncated, "WebP with a %q chunk beyond its end", name)
		}
		body := d[8 : 8+n]
		switch name {
		case "ANIM", "ANMF":
			return refuse(UnsupportedFormat, "animated WebP")
		case "EXIF":
			// Some writers put JPEG's prefix before the block.
			l.turn = readOrientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		case "ICCP":
			l.profile = body
		}
		d = d[min(8+n+n&1, int64(len(d))):] // chunks begin at even places
	}
	return l.readBounds(ctx, 8, webp.DecodeConfig) // the pixels, and their transformed form
}

// decodeWebP decodes with the colours that were meant. Those of a lossy WebP are in the
// narrow range of video, black at 16 and white at 235 (RFC 9649, section 2.5), which
// the decoder hands on as if they were in the full range of a JPEG: they look faded.
func decodeWebP(r io.Reader) (image.Image, error) {
	m, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		widen(m)
	case *image.NYCbCrA:
		widen(&m.YCbCr)
	}
	return m, nil
}

// widen turns video's range into the full one.
func widen(m *image.YCbCr) {
	var luma, chroma [256]byte
	for i := range 256 {
		luma[i] = stretch(i, 16, 219, 0)
		chroma[i] = stretch(i, 128, 224, 128)
	}
	for i, y := range m.Y {
		m.Y[i] = luma[y]
	}
	for _, plane := range [][]byte{m.Cb, m.Cr} {
		for i, c := range plane {
			plane[i] = chroma[c]
		}
	}
}

// stretch spreads v, counted from zero, from a range to 255 values.
func stretch(v, zero, from, to int) byte {
	return byte(min(max(math.Round(float64(v-zero)*255/float64(from))+float64(to), 0), 255))
}

// readBounds asks a decoder for the number of pixels. It needs as many bytes
// for each.
func (l *layout) readBounds(ctx context.Context, perPixel int64, config func(io.Reader) (image.Config, error)) error {
	return l.guard(ctx, func(r *reader) error {
		c, err := config(r)
		l.width, l.height = c.Width, c.Height
		l.memory = perPixel * l.pixels()
		return err
	})
}
