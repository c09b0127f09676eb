package photo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

var errNoTrailer = &Error{Code: Truncated, Detail: "GIF ends before its trailer"}

// readGIF reads the blocks up to the trailer (GIF89a, appendix B). Like viewers, it tolerates
// zeros between blocks, a missing trailer, and a screen that is too small for the first frame.
func (l *layout) readGIF() error {
	d := l.data
	if len(d) < 13 || len(d) < 13+colorTable(d[10]) {
		return errNoTrailer
	}
	l.width = int(binary.LittleEndian.Uint16(d[6:]))
	l.height = int(binary.LittleEndian.Uint16(d[8:]))
	l.inks = 3
	l.keep(d[:13+colorTable(d[10])], true)
	for pos := len(l.kept[0]); ; {
		zeros := len(d[pos:]) - len(bytes.TrimLeft(d[pos:], "\x00"))
		if pos += zeros; zeros > 0 {
			l.repair("stray zeros between its blocks removed")
		}
		if l.frames > 0 && (pos == len(d) || !strings.ContainsRune("\x21\x2c\x3b", rune(d[pos]))) {
			d = append(d[:pos:pos], 0x3b) // instead of whatever is there
			l.repair("its missing trailer added")
		}
		if pos == len(d) {
			return errNoTrailer
		}
		start, shows := pos, true
		switch block := d[pos]; {
		case block == 0x3b: // trailer
			l.keep(d[pos:pos+1], true)
			l.memory = 5 * l.pixels() // the indexes, and the screen
			return nil
		case block == 0x21: // extension
			begins := func(label string) bool { return bytes.HasPrefix(d[start+1:], []byte(label)) }
			shows = slices.ContainsFunc(gifShown, begins)
			pos = subBlocks(d, pos+2)
		case block != 0x2c:
			return damaged("GIF with an unknown block %#02x at byte %d", block, pos)
		case pos+11 > len(d):
			return errNoTrailer
		default: // image descriptor
			if l.frames++; l.frames == 1 {
				l.enlarge(d[pos+1:])
			}
			pos = subBlocks(d, pos+11+colorTable(d[pos+9]))
		}
		if pos < 0 {
			return errNoTrailer
		}
		l.keep(d[start:pos], shows)
	}
}

// enlarge makes the screen large enough for the first frame, whose position and size are in its descriptor.
func (l *layout) enlarge(descriptor []byte) {
	number := func(i int) int { return int(binary.LittleEndian.Uint16(descriptor[i:])) }
	w, h := max(l.width, number(0)+number(4)), max(l.height, number(2)+number(6))
	if w == l.width && h == l.height || w > 0xffff || h > 0xffff {
		return
	}
	l.repair(fmt.Sprintf("its screen enlarged to its first frame, from %dx%d", l.width, l.height))
	l.width, l.height = w, h
	l.kept[0] = bytes.Clone(l.kept[0])
	binary.LittleEndian.PutUint16(l.kept[0][6:], uint16(w))
	binary.LittleEndian.PutUint16(l.kept[0][8:], uint16(h))
}

// colorTable returns the size of the colour table that follows, from the packed field of a screen
// or image descriptor.
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

// gifShown are the labels of the extensions that affect how the picture looks: graphic control, plain
// text, and those of applications with the loop count or the colour profile.
var gifShown = []string{"\xf9", "\x01", "\xff\x0bNETSCAPE2.0", "\xff\x0bANIMEXTS1.0", "\xff\x0bICCRGBG1012"}
