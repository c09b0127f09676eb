package photo

import (
	"bytes"
	"encoding/binary"
	"image"
	"io"

	"golang.org/x/image/webp"
)

// readWebP reads the chunks of a WebP file (RFC 9649, section 2). Of an animation it keeps only the first frame.
func (l *layout) readWebP() error {
	d := l.data
	size := int64(binary.LittleEndian.Uint32(d[4:])) + 8
	if size > int64(len(d)) {
		return refuse(Truncated, "WebP of %d bytes, of which %d are there", size, len(d))
	}
	l.inks = 3
	var screen, frame []byte // width and height less one, 24 bits each; the frame's chunks
	for d = d[12:max(size, 12)]; len(d) >= 8; {
		name, n := string(d[:4]), int64(binary.LittleEndian.Uint32(d[4:]))
		if n > int64(len(d)-8) {
			return refuse(Truncated, "WebP with a %q chunk beyond its end", name)
		}
		chunk := d[:min(8+n+n&1, int64(len(d)))] // chunks begin at even places
		body := chunk[8 : 8+n : 8+n]
		d = d[len(chunk):]
		switch {
		case name == "EXIF":
			// Some programs write JPEG's prefix before the block.
			l.orient(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		case name == "ICCP":
			l.profile = body
		case name == "VP8X" && n >= 10:
			screen = body[4:10]
		case name == "ALPH", name == "VP8 ", name == "VP8L":
			frame = append(frame, chunk...)
		case name == "ANMF" && n >= 16:
			if l.frames++; l.frames == 1 {
				l.at = image.Pt(2*uint24(body), 2*uint24(body[3:]))
				l.data = extended(body[6:12], body[16:])
			}
		}
	}
	if screen != nil && l.frames == 0 {
		l.data = extended(screen, frame)
	}
	c, err := webp.DecodeConfig(bytes.NewReader(l.data))
	if err != nil {
		return l.decodeError(err)
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

// extended makes a WebP file from the size of a picture and the chunks of its pixels. It adds a
// header for transparency, if that is in a chunk of its own.
func extended(size, chunks []byte) []byte {
	d := append([]byte("RIFF....WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"), size...)
	if bytes.HasPrefix(chunks, []byte("ALPH")) {
		d[20] = 0x10
	}
	d = append(d, chunks...)
	binary.LittleEndian.PutUint32(d[4:], uint32(len(d)-8))
	return d
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// decodeWebP decodes with the right colours. A lossy WebP has the narrow range of video, black at
// 16 and white at 235 (RFC 9649, section 2.5), but the decoder returns its values as if they had
// the full range of a JPEG: they would look faded.
func decodeWebP(r io.Reader) (image.Image, error) {
	m, err := webp.Decode(r)
	lossy, _ := m.(*image.YCbCr)
	if m, ok := m.(*image.NYCbCrA); ok {
		lossy = &m.YCbCr
	}
	if err != nil || lossy == nil {
		return m, err
	}
	stretch := func(plane []byte, zero, levels, to int) {
		for i, v := range plane {
			n := 2*255*(int(v)-zero) + levels*(2*to+1) // (2 * value + 1) * levels, to round by half
			plane[i] = byte(min(max(n/(2*levels), 0), 255))
		}
	}
	stretch(lossy.Y, 16, 219, 0)
	stretch(lossy.Cb, 128, 224, 128)
	stretch(lossy.Cr, 128, 224, 128)
	return m, nil
}
