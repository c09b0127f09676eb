package photo

import (
	"bytes"
	"encoding/binary"
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
	scans, segments := 0, 0
	for pos := 2; ; {
		start, err := nextMarker(d, pos)
		if err != nil {
			return err
		}
		marker := d[start+1]
		switch {
		case marker == markEOI:
			if scans == 0 {
				return refuse(Truncated, "JPEG without pixels")
			}
			l.keep(d[start : start+2])
			return nil
		case marker == markSOI:
			return refuse(Truncated, "JPEG with another one inside, before its own end")
		case marker == markTEM, marker >= markRST0 && marker <= markRST7:
			pos = start + 2 // stray, without content
			continue
		}
		segment, err := jpegSegment(d, start)
		if err != nil {
			return err
		}
		pos = start + len(segment)
		if segments++; segments > maxSegments {
			return refuse(UnsupportedFormat, "JPEG with more than %d segments", maxSegments)
		}
		if err := l.jpegSegment(marker, segment); err != nil {
			return err
		}
		if marker != markSOS {
			continue
		}
		if l.inks == 0 {
			return refuse(Truncated, "JPEG without a frame header before its pixels")
		}
		if scans++; scans > maxScans {
			return refuse(UnsupportedFormat, "JPEG with more than %d scans", maxScans)
		}
		end, err := scanEnd(d, pos)
		if err != nil {
			return err
		}
		l.keep(d[pos:end])
		pos = end
	}
}

var errNoEOI = &Error{Code: Truncated, Detail: "JPEG ends before its end-of-image marker"}

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

// jpegSegment returns the segment whose marker is at start, marker included.
func jpegSegment(d []byte, start int) ([]byte, error) {
	if start+4 > len(d) {
		return nil, errNoEOI
	}
	n := int(binary.BigEndian.Uint16(d[start+2:]))
	if n < 2 {
		return nil, refuse(Truncated, "JPEG with a segment of impossible length at byte %d", start)
	}
	if start+2+n > len(d) {
		return nil, errNoEOI
	}
	return d[start : start+2+n], nil
}

// scanEnd returns where the entropy-coded data from pos on ends: at the first
// marker that is no restart marker (B.1.1.5).
func scanEnd(d []byte, pos int) (int, error) {
	for {
		i := bytes.IndexByte(d[pos:], 0xff)
		if i < 0 || pos+i+1 >= len(d) {
			return 0, errNoEOI
		}
		pos += i
		switch m := d[pos+1]; {
		case m == 0x00, m >= markRST0 && m <= markRST7:
			pos += 2
		case m == 0xff:
			pos++
		default:
			return pos, nil
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
		return refuse(UnsupportedFormat, "JPEG with %s coding (marker ff%02x)", jpegCoding(marker), marker)
	case marker == markCOM:
		return nil
	case marker >= markAPP0 && marker <= markAPPF:
		l.jpegApp(marker, s)
		return nil
	}
	l.keep(s)
	return nil
}

// jpegCoding names the coding of a frame that is not read (table B.1).
func jpegCoding(marker byte) string {
	switch marker {
	case 0xc3:
		return "lossless"
	case 0xc9, 0xca, 0xcb:
		return "arithmetic"
	}
	return "hierarchical"
}

// jpegFrame reads a frame header (B.2.2).
func (l *layout) jpegFrame(body []byte) error {
	if len(body) < 6 || len(body) != 6+3*int(body[5]) {
		return refuse(Truncated, "JPEG with a frame header of the wrong length")
	}
	if l.inks != 0 {
		return refuse(Truncated, "JPEG with two frames")
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
	return l.jpegSamples(body[6:])
}

// jpegSamples checks the sampling factors of the components, and works out the
// memory: the samples, a coefficient of four bytes for each if they come by and
// by, and four bytes a pixel for inks.
func (l *layout) jpegSamples(components []byte) error {
	var samples, hMax, vMax int64
	for s := components; len(s) > 0; s = s[3:] {
		h, v := int64(s[1]>>4), int64(s[1]&15)
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return refuse(Truncated, "JPEG with impossible sampling factors %dx%d", h, v)
		}
		samples += h * v
		hMax, vMax = max(hMax, h), max(vMax, v)
	}
	l.memory = l.pixels() * samples / (hMax * vMax)
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
		l.turn = readOrientation(body[6:])
	case marker == markAPP0+2 && bytes.HasPrefix(body, []byte(iccHeader)) && len(body) >= len(iccHeader)+2:
		l.profileParts = append(l.profileParts, body[len(iccHeader):])
		l.keep(s)
	case marker == markAPP0+14 && bytes.HasPrefix(body, []byte("Adobe")) && len(body) >= 12:
		l.keep(s)
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
	l.keep(b)
}
