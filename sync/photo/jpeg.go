package photo

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"image"
	"slices"
	"sync"
)

// Markers of ITU-T T.81, table B.1.
const (
	markSOF0, markSOF2        = 0xc0, 0xc2 // baseline and extended sequential, progressive
	markSOF15                 = 0xcf
	markDHT, markJPG, markDAC = 0xc4, 0xc8, 0xcc
	markRST0, markRST7        = 0xd0, 0xd7
	markSOI, markEOI, markSOS = 0xd8, 0xd9, 0xda
	markDQT, markDRI          = 0xdb, 0xdd
	markAPP0, markAPPF        = 0xe0, 0xef
	markCOM, markTEM          = 0xfe, 0x01
)

// maxScans is far above the ten or so scans that encoders of progressive JPEG write. A scan may have only a
// few bytes, but to read it takes a pass over all pixels: a small file could keep a processor busy for hours.
const maxScans = 100

// maxSegments is far above the hundred or so segments of a JPEG with a very long profile and XMP.
// Reading a short segment takes more memory than it has bytes.
const maxSegments = 10_000

// readJPEG reads the segments up to the end-of-image marker. Viewers do not show what follows
// (previews, motion photos, padding): it counts as metadata.
func (l *layout) readJPEG() error {
	d := l.data
	l.keep(d[:2], true)
	scans, tables := 0, false
	for pos, n := 2, 0; ; n++ {
		start, segment := nextSegment(d, pos)
		if segment == nil && scans == 0 {
			return refuse(Truncated, "JPEG ends before its end-of-image marker")
		}
		if segment == nil {
			// Viewers show it if all blocks are there; they are counted later.
			segment = []byte{0xff, markEOI}
			l.repair("its missing end-of-image marker added")
		}
		pos = start + len(segment)
		switch marker := segment[1]; {
		case marker == markEOI && scans == 0:
			return damaged("JPEG without pixels")
		case marker == markEOI:
			l.keep(segment, true)
			return nil
		case marker == markSOI:
			return damaged("JPEG with another JPEG inside, before its own end")
		case len(segment) < 4:
			return damaged("JPEG with a segment of impossible length at byte %d", start)
		case n >= maxSegments:
			return refuse(UnsupportedFormat, "JPEG with more than %d segments", maxSegments)
		case marker != markSOS:
			tables = tables || marker == markDHT
			if err := l.jpegSegment(marker, segment); err != nil {
				return err
			}
			continue
		case l.inks == 0:
			return damaged("JPEG without a frame header before its pixels")
		case scans == maxScans:
			return refuse(UnsupportedFormat, "JPEG with more than %d scans", maxScans)
		case !tables && !l.progressive:
			tables = true
			l.keep(standardTables(), true)
			l.repair("its missing Huffman tables added (the standard ones)")
		}
		scans++
		end := scanEnd(d, pos)
		l.keep(segment, true)
		l.keep(d[pos:end], true)
		pos = end
	}
}

// standardTables returns a segment with the Huffman tables of annex K, which webcams leave out of
// their frames. Go's encoder always writes these.
var standardTables = sync.OnceValue(func() []byte {
	d := encodeJPEG(image.NewRGBA(image.Rect(0, 0, 8, 8)), defaultQuality)
	for pos := 2; ; {
		start, segment := nextSegment(d, pos)
		if segment[1] == markDHT {
			return segment
		}
		pos = start + len(segment)
	}
})

// nextSegment returns the segment that begins at or after pos, with its marker; only the marker if
// it has no content; nil if d ends before the segment does.
func nextSegment(d []byte, pos int) (start int, segment []byte) {
	start = nextMarker(d, pos)
	switch {
	case start < 0:
		return 0, nil
	case d[start+1] == markEOI, d[start+1] == markSOI:
		return start, d[start : start+2]
	case start+4 > len(d):
		return 0, nil
	}
	n := int(binary.BigEndian.Uint16(d[start+2:]))
	switch {
	case n < 2:
		return start, d[start : start+2]
	case start+2+n > len(d):
		return 0, nil
	}
	return start, d[start : start+2+n]
}

// nextMarker returns the position of the 0xff before the next marker at or after pos, -1 if there is none. It
// skips stuffed zeros, restart markers and others without content, and, like libjpeg, bytes between segments.
func nextMarker(d []byte, pos int) int {
	for {
		i := bytes.IndexByte(d[pos:], 0xff)
		if pos += i + 1; i < 0 || pos == len(d) {
			return -1
		}
		if m := d[pos]; m != 0 && m != 0xff && m != markTEM && (m < markRST0 || m > markRST7) {
			return pos - 1
		}
	}
}

// scanEnd returns where the entropy-coded data that begins at pos ends: at the next marker (B.1.1.5).
// A file without its end may be padded with zeros; the first two of them may belong to the data.
func scanEnd(d []byte, pos int) int {
	if end := nextMarker(d, pos); end >= 0 {
		return end
	}
	if cut, half := bytes.CutSuffix(d, []byte{0xff}); half { // half a marker
		return len(cut)
	}
	return min(max(len(bytes.TrimRight(d, "\x00")), pos)+2, len(d))
}

// codings names the kinds of frames that cannot be read, by marker. All others are hierarchical.
var codings = map[byte]string{0xc3: "lossless", 0xc9: "arithmetic", 0xca: "arithmetic", 0xcb: "arithmetic"}

// jpegSegment reads a segment, and keeps it unless it is metadata.
func (l *layout) jpegSegment(marker byte, s []byte) error {
	body, shows := s[4:], true
	switch {
	case marker >= markSOF0 && marker <= markSOF2:
		l.progressive = marker == markSOF2
		l.keep(s, true)
		return l.jpegFrame(body)
	case marker >= markSOF0 && marker <= markSOF15 && marker != markDHT && marker != markJPG && marker != markDAC:
		return refuse(UnsupportedFormat, "JPEG with %s coding (marker ff%02x)", cmp.Or(codings[marker], "hierarchical"), marker)
	case marker == markAPP0 && bytes.HasPrefix(body, []byte("JFIF\x00")) && len(body) >= 14:
		// Without its thumbnail (JFIF 1.02, page 5).
		s = slices.Concat(s[:2], []byte{0, 16}, body[:12], []byte{0, 0})
	case marker == markAPP0+1 && bytes.HasPrefix(body, []byte("Exif\x00")) && len(body) >= 6:
		l.orient(body[6:])
		shows = false
	case marker == markAPP0+2 && bytes.HasPrefix(body, []byte(iccHeader)) && len(body) >= len(iccHeader)+2:
		l.profileParts = append(l.profileParts, body[len(iccHeader):])
	case marker == markAPP0+14 && bytes.HasPrefix(body, []byte("Adobe")) && len(body) >= 12:
		// It says what the colours mean.
	case marker == markCOM, marker >= markAPP0 && marker <= markAPPF:
		shows = false
	}
	l.keep(s, shows)
	return nil
}

func (l *layout) jpegFrame(body []byte) error {
	switch {
	case len(body) < 6 || len(body) != 6+3*int(body[5]):
		return damaged("JPEG with a frame header of the wrong length")
	case l.inks != 0:
		return damaged("JPEG with two frames")
	case body[0] != 8:
		return refuse(UnsupportedFormat, "JPEG with %d bits a sample", body[0])
	case body[5] != 1 && body[5] != 3 && body[5] != 4:
		return refuse(UnsupportedFormat, "JPEG with %d colour components", body[5])
	}
	l.height = int(binary.BigEndian.Uint16(body[1:]))
	l.width = int(binary.BigEndian.Uint16(body[3:]))
	l.inks = int(body[5])
	samples := 0
	for s := body[6:]; len(s) > 0; s = s[3:] {
		p := component{id: s[0], h: int(s[1] >> 4), v: int(s[1] & 15), table: s[2]}
		if p.h < 1 || p.h > 4 || p.v < 1 || p.v > 4 || p.table > 3 {
			return damaged("JPEG with impossible sampling factors %dx%d or quantization table %d", p.h, p.v, p.table)
		}
		samples += p.h * p.v
		l.hMax, l.vMax = max(l.hMax, p.h), max(l.vMax, p.v)
		l.components = append(l.components, p)
	}
	// The samples, a coefficient of four bytes for each if they come in several scans, and
	// four bytes a pixel for inks.
	l.memory = l.pixels() * int64(samples) / int64(l.hMax*l.vMax)
	if l.progressive {
		l.memory *= 5
	}
	if l.inks == 4 {
		l.memory += 4 * l.pixels()
	}
	return nil
}

// iccHeader begins an APP2 segment with a part of a colour profile (ICC.1, annex B.4). The number
// of this part and the count of all parts follow, a byte each.
const iccHeader = "ICC_PROFILE\x00"
