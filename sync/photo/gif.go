package photo

import (
	"bytes"
	"encoding/binary"
)

var errNoTrailer = &Error{Code: Truncated, Detail: "GIF ends before its trailer"}

// readGIF walks the blocks up to the trailer (GIF89a, appendix B).
func (l *layout) readGIF() error {
	d := l.data
	if len(d) < 13 {
		return errNoTrailer
	}
	l.width = int(binary.LittleEndian.Uint16(d[6:]))
	l.height = int(binary.LittleEndian.Uint16(d[8:]))
	l.memory = 5 * l.pixels() // the indexes, and the screen
	pos := 13 + colorTable(d[10])
	if pos > len(d) {
		return errNoTrailer
	}
	l.keep(d[:pos])
	for {
		if pos >= len(d) {
			return errNoTrailer
		}
		end, keep := 0, true
		switch d[pos] {
		case 0x3b: // trailer
			if l.frames == 0 {
				return refuse(Truncated, "GIF without pixels")
			}
			l.keep(d[pos : pos+1])
			return nil
		case 0x2c: // image descriptor
			if pos+11 > len(d) {
				return errNoTrailer
			}
			l.frames++
			end = subBlocks(d, pos+10+colorTable(d[pos+9])+1)
		case 0x21: // extension
			end = subBlocks(d, pos+2)
			keep = end < 0 || gifShows(d[pos+1:end])
		default:
			return refuse(Truncated, "GIF with an unknown block %#02x at byte %d", d[pos], pos)
		}
		if end < 0 {
			return errNoTrailer
		}
		if keep {
			l.keep(d[pos:end])
		}
		pos = end
	}
}

// colorTable returns the bytes of the colour table that follows, by the packed
// field of a screen or image descriptor.
func colorTable(packed byte) int {
	if packed&0x80 == 0 {
		return 0
	}
	return 3 << (packed&7 + 1)
}

// subBlocks returns the end of the sub-blocks at pos, or -1 if data ends first.
func subBlocks(d []byte, pos int) int {
	for pos < len(d) {
		n := int(d[pos])
		pos += 1 + n
		if n == 0 {
			return pos
		}
	}
	return -1
}

// gifShows reports whether an extension, from its label on, matters to how the
// picture looks: graphic control, plain text, and the applications that hold
// the loop count and the colour profile.
func gifShows(ext []byte) bool {
	switch ext[0] {
	case 0xf9, 0x01:
		return true
	case 0xff:
		for _, app := range []string{"\x0bNETSCAPE2.0", "\x0bANIMEXTS1.0", "\x0bICCRGBG1012"} {
			if bytes.HasPrefix(ext[1:], []byte(app)) {
				return true
			}
		}
	}
	return false
}
