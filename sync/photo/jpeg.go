package photo

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"image"
	"sync"
)

// Markers of ITU-T T.81, table B.1.
const (
	markSOF0 = 0xc0 // baseline
	markSOF1 = 0xc1 // extended sequential
	markSOF2 = 0xc2 // progressive
	markDHT  = 0xc4
	markJPG  = 0xc8
	markDAC  = 0xcc
	markRST0 = 0xd0
	markRST7 = 0xd7
	markSOI  = 0xd8
	markEOI  = 0xd9
	markSOS  = 0xda
	markDQT  = 0xdb
	markDRI  = 0xdd
	markAPP0 = 0xe0
	markAPPF = 0xef
	markCOM  = 0xfe
	markTEM  = 0x01
)

// maxScans is far above the ten or so scans that encoders of progressive JPEG
// write. Each scan costs a pass over all pixels and may take but a few bytes,
// so that without a bound a small file could keep a processor busy for hours.
const maxScans = 100

// maxSegments is far above the some hundred that a JPEG has with the longest of
// profiles and XMP. What is remembered of each takes more memory than an empty one.
const maxSegments = 10_000

// readJPEG walks the segments up to the end-of-image marker. What follows it
// (previews of the multi-picture format, motion photos, padding) is nothing
// that a viewer shows, and counts as metadata.
func (l *layout) readJPEG() error {
	d := l.data
	l.keep(d[:2])
	scans, tables := 0, false
	for pos, n := 2, 0; ; n++ {
		start, segment, err := nextSegment(d, pos)
		if scans > 0 && errors.Is(err, errNoEOI) {
			// Viewers show it if the blocks are all there, which is looked at later.
			segment, err = []byte{0xff, markEOI}, nil
			l.mend("its missing end-of-image marker added")
		}
		if err != nil {
			return err
		}
		marker := segment[1]
		switch {
		case marker == markEOI && scans == 0:
			return damaged("JPEG without pixels")
		case marker == markEOI:
			l.keep(segment)
			return nil
		case n >= maxSegments:
			return refuse(UnsupportedFormat, "JPEG with more than %d segments", maxSegments)
		case marker == markDHT:
			tables = true
		case marker == markSOS && l.inks == 0:
			return damaged("JPEG without a frame header before its pixels")
		case marker == markSOS && scans == maxScans:
			return refuse(UnsupportedFormat, "JPEG with more than %d scans", maxScans)
		case marker == markSOS && !tables && !l.progressive:
			tables = true
			l.keep(standardTables())
			l.mend("its missing Huffman tables added, the standard ones")
		}
		pos = start + len(segment)
		if err := l.jpegSegment(marker, segment); err != nil {
			return err
		}
		if marker == markSOS {
			scans++
			end := scanEnd(d, pos)
			l.keep(d[pos:end])
			pos = end
		}
	}
}

// standardTables returns a segment with the Huffman tables of annex K, which webcams
// leave out of their frames. Go's encoder writes no others.
var standardTables = sync.OnceValue(func() []byte {
	d := encodeJPEG(image.NewRGBA(image.Rect(0, 0, 8, 8)), defaultQuality)
	for pos := 2; ; {
		start, segment, err := nextSegment(d, pos)
		if err != nil || segment[1] == markDHT {
			return segment
		}
		pos = start + len(segment)
	}
})

var errNoEOI = &Error{Code: Truncated, Detail: "JPEG ends before its end-of-image marker"}

// nextSegment returns the segment that begins at or after pos, its marker included.
func nextSegment(d []byte, pos int) (start int, segment []byte, err error) {
	for {
		start, err := nextMarker(d, pos)
		if err != nil {
			return 0, nil, err
		}
		switch marker := d[start+1]; {
		case marker == markEOI:
			return start, d[start : start+2], nil
		case marker == markSOI:
			return 0, nil, damaged("JPEG with another one inside, before its own end")
		case marker == markTEM, marker >= markRST0 && marker <= markRST7:
			pos = start + 2 // stray, without content
			continue
		}
		if start+4 > len(d) {
			return 0, nil, errNoEOI
		}
		n := int(binary.BigEndian.Uint16(d[start+2:]))
		if n < 2 {
			return 0, nil, damaged("JPEG with a segment of impossible length at byte %d", start)
		}
		if start+2+n > len(d) {
			return 0, nil, errNoEOI
		}
		return start, d[start : start+2+n], nil
	}
}

// nextMarker returns the place of the 0xff before the next marker at or after
// pos. Bytes between segments are passed over, as libjpeg does.
func nextMarker(d []byte, pos int) (int, error) {
	for {
		i := bytes.IndexByte(d[pos:], 0xff)
		if i < 0 || pos+i+1 >= len(d) {
			return 0, errNoEOI
		}
		pos += i
		switch d[pos+1] {
		case 0xff: // fill byte (B.1.1.2)
			pos++
		case 0x00:
			pos += 2
		default:
			return pos, nil
		}
	}
}

// scanEnd returns where the entropy-coded data from pos on ends: at the first
// marker that is no restart marker (B.1.1.5), or before the zeros that fill up a
// file without its end, but for two, which may belong to the data.
func scanEnd(d []byte, pos int) int {
	for at := pos; ; at += 2 {
		next, err := nextMarker(d, at)
		if err != nil {
			if cut, half := bytes.CutSuffix(d, []byte{0xff}); half { // half a marker
				return len(cut)
			}
			return min(max(len(bytes.TrimRight(d, "\x00")), pos)+2, len(d))
		}
		if at = next; d[at+1] < markRST0 || d[at+1] > markRST7 {
			return at
		}
	}
}

// jpegSegment notes what a segment says, and keeps it unless it is metadata.
func (l *layout) jpegSegment(marker byte, s []byte) error {
	body := s[4:]
	switch {
	case marker == markSOF0, marker == markSOF1, marker == markSOF2:
		l.progressive = marker == markSOF2
		if err := l.jpegFrame(body); err != nil {
			return err
		}
	case marker >= markSOF0 && marker <= markEOI && marker != markDHT && marker != markJPG && marker != markDAC:
		coding := map[byte]string{0xc3: "lossless", 0xc9: "arithmetic", 0xca: "arithmetic", 0xcb: "arithmetic"}[marker]
		return refuse(UnsupportedFormat, "JPEG with %s coding (marker ff%02x)", cmp.Or(coding, "hierarchical"), marker)
	case marker == markCOM:
		l.dropped = true
		return nil
	case marker >= markAPP0 && marker <= markAPPF:
		l.jpegApp(marker, s)
		return nil
	}
	l.keep(s)
	return nil
}

// jpegFrame reads a frame header (B.2.2).
func (l *layout) jpegFrame(body []byte) error {
	if len(body) < 6 || len(body) != 6+3*int(body[5]) {
		return damaged("JPEG with a frame header of the wrong length")
	}
	if l.inks != 0 {
		return damaged("JPEG with two frames")
	}
	if body[0] != 8 {
		return refuse(UnsupportedFormat, "JPEG with %d bits a sample", body[0])
	}
	l.height = int(binary.BigEndian.Uint16(body[1:]))
	l.width = int(binary.BigEndian.Uint16(body[3:]))
	l.inks = int(body[5])
	if l.inks != 1 && l.inks != 3 && l.inks != 4 {
		return refuse(UnsupportedFormat, "JPEG with %d colour components", l.inks)
	}
	samples := 0
	for s := body[6:]; len(s) > 0; s = s[3:] {
		p := component{id: s[0], h: int(s[1] >> 4), v: int(s[1] & 15), table: s[2]}
		if p.h < 1 || p.h > 4 || p.v < 1 || p.v > 4 || p.table > 3 {
			return damaged("JPEG with impossible sampling factors %dx%d or quantization table %d", p.h, p.v, p.table)
		}
		samples += p.h * p.v
		l.hMax, l.vMax = max(l.hMax, p.h), max(l.vMax, p.v)
		l.parts = append(l.parts, p)
	}
	// The samples, a coefficient of four bytes for each if they come in several scans, and four
	// bytes a pixel for inks.
	l.memory = l.pixels() * int64(samples) / int64(l.hMax*l.vMax)
	if l.progressive {
		l.memory *= 5
	}
	if l.inks == 4 {
		l.memory += 4 * l.pixels()
	}
	return nil
}

// jpegApp sorts an application segment. Kept is what changes how the pixels
// look: the JFIF header, the colour profile, Adobe's colour transform.
func (l *layout) jpegApp(marker byte, s []byte) {
	body := s[4:]
	switch {
	case marker == markAPP0 && bytes.HasPrefix(body, []byte("JFIF\x00")) && len(body) >= 14:
		l.keepJFIF(s)
	case marker == markAPP0+1 && bytes.HasPrefix(body, []byte("Exif\x00")) && len(body) >= 6:
		l.orient(body[6:])
		l.dropped = true
	case marker == markAPP0+2 && bytes.HasPrefix(body, []byte(iccHeader)) && len(body) >= len(iccHeader)+2:
		l.profileParts = append(l.profileParts, body[len(iccHeader):])
		l.keep(s)
	case marker == markAPP0+14 && bytes.HasPrefix(body, []byte("Adobe")) && len(body) >= 12:
		l.adobe = true
		l.keep(s)
	default:
		l.dropped = true
	}
}

// iccHeader begins an APP2 segment that holds a part of a colour profile (ICC.1,
// annex B.4); the number of the part and of all parts follow, a byte each.
const iccHeader = "ICC_PROFILE\x00"

// keepJFIF keeps a JFIF header without its thumbnail (JFIF 1.02, page 5).
func (l *layout) keepJFIF(s []byte) {
	const plain = 2 + 2 + 14
	if len(s) == plain && s[16] == 0 && s[17] == 0 {
		l.keep(s)
		return
	}
	b := bytes.Clone(s[:plain])
	binary.BigEndian.PutUint16(b[2:], plain-2)
	b[16], b[17] = 0, 0
	l.dropped = true
	l.keep(b)
}
