package photo

import (
	"bytes"
	"encoding/binary"
	"image"
	"io"
	"math"

	"golang.org/x/image/webp"
)

// readWebP walks the chunks of a WebP file (RFC 9649, section 2). Of an animated one
// nothing but the first frame is left.
func (l *layout) readWebP() error {
	d := l.data
	size := int64(binary.LittleEndian.Uint32(d[4:])) + 8
	if size > int64(len(d)) {
		return refuse(Truncated, "WebP of %d bytes, of which %d are there", size, len(d))
	}
	l.inks = 3
	var screen, frame []byte // width and height less one, 24 bits each; the frame's chunks
	for d = d[12:max(size, 12)]; len(d) >= 8; {
		name, body, rest := riffChunk(d)
		if body == nil {
			return refuse(Truncated, "WebP with a %q chunk beyond its end", name)
		}
		switch {
		case name == "EXIF":
			// Some writers put JPEG's prefix before the block.
			l.orient(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		case name == "ICCP":
			l.profile = body
		case name == "VP8X" && len(body) >= 10:
			screen = body[4:10]
		case name == "ALPH", name == "VP8 ", name == "VP8L":
			frame = append(frame, d[:len(d)-len(rest)]...)
		case name == "ANMF" && len(body) >= 16:
			if l.frames++; l.frames == 1 {
				l.at = image.Pt(2*uint24(body), 2*uint24(body[3:]))
				l.data = extended(body[6:12], body[16:])
			}
		}
		d = rest
	}
	if screen != nil && l.frames == 0 {
		l.data = extended(screen, frame)
	}
	c, err := webp.DecodeConfig(bytes.NewReader(l.data))
	if err != nil {
		return l.fault(err)
	}
	if l.width, l.height = c.Width, c.Height; screen != nil {
		l.width, l.height = uint24(screen)+1, uint24(screen[3:])+1
	}
	if l.at.X+c.Width > l.width || l.at.Y+c.Height > l.height {
		return damaged("WebP with a frame beyond its %d x %d pixels", l.width, l.height)
	}
	l.memory = 8 * l.pixels() // the pixels, and their transformed form
	return nil
}

// extended makes a WebP file with a header for transparency, if that is in a chunk of
// its own, from the size of a picture and the chunks that hold its pixels.
func extended(size, chunks []byte) []byte {
	d := append([]byte("RIFF....WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), size...)
	if bytes.HasPrefix(chunks, []byte("ALPH")) {
		d[20] = 0x10
	}
	d = append(d, chunks...)
	binary.LittleEndian.PutUint32(d[4:], uint32(len(d)-8))
	return d
}

// riffChunk returns the chunk that d begins with, and what follows it. The body is nil
// when d ends before it does.
func riffChunk(d []byte) (name string, body, rest []byte) {
	name = string(d[:4])
	n := int64(binary.LittleEndian.Uint32(d[4:]))
	if n > int64(len(d)-8) {
		return name, nil, nil
	}
	return name, d[8 : 8+n : 8+n], d[min(8+n+n&1, int64(len(d))):] // chunks begin at even places
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

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
