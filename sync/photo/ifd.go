package photo

import "encoding/binary"

// Tags of TIFF 6.0, and that of the colour profile (ICC.1, annex B.3).
const (
	tagWidth, tagHeight, tagBits, tagCompression              = 256, 257, 258, 259
	tagPhotometric, tagFillOrder, tagOffsets, tagOrientation  = 262, 266, 273, 274
	tagSamples, tagRowsPerStrip, tagCounts, tagPlanar         = 277, 278, 279, 284
	tagPredictor, tagColorMap, tagTileWidth, tagTileLength    = 317, 320, 322, 323
	tagTileOffsets, tagTileCounts, tagInkSet, tagExtraSamples = 324, 325, 332, 338
	tagSampleFormat, tagTables, tagICC                        = 339, 347, 34675
)

// directory is the first one of a TIFF file, or of an EXIF block, which has the same form.
type directory struct {
	data    []byte
	order   binary.ByteOrder
	entries map[uint16][]byte // twelve bytes: tag, kind, count, and the value or its place
	short   bool              // data ends before the directory does, or a value that was asked for
}

// sizes are the bytes of one value by the kinds that are of use: BYTE, SHORT, LONG,
// UNDEFINED.
var sizes = map[uint16]int64{1: 1, 3: 2, 4: 4, 7: 1}

// readDirectory returns the directory, as far as it is there. The entries may come in any
// order.
func readDirectory(data []byte) *directory {
	d := &directory{data: data, order: binary.LittleEndian, entries: map[uint16][]byte{}, short: true}
	if len(data) < 8 {
		return d
	}
	if data[0] == 'M' {
		d.order = binary.BigEndian
	}
	start := int64(d.order.Uint32(data[4:]))
	if start+2 > int64(len(data)) || string(data[:4]) != "II*\x00" && string(data[:4]) != "MM\x00*" {
		return d
	}
	rest := data[start+2:]
	for range d.order.Uint16(data[start:]) {
		if len(rest) < 12 {
			return d
		}
		if tag := d.order.Uint16(rest); d.entries[tag] == nil {
			d.entries[tag] = rest[:12]
		}
		rest = rest[12:]
	}
	d.short = false
	return d
}

// bytes returns the value of a tag; nil if it is not there, or not whole.
func (d *directory) bytes(tag uint16) []byte {
	e := d.entries[tag]
	if e == nil {
		return nil
	}
	size := sizes[d.order.Uint16(e[2:])] * int64(d.order.Uint32(e[4:]))
	if size <= 4 {
		return e[8 : 8+size]
	}
	start := int64(d.order.Uint32(e[8:]))
	if start+size > int64(len(d.data)) {
		d.short = true
		return nil
	}
	return d.data[start : start+size]
}

// numbers returns the numbers that a tag has: none if there are more than a picture that
// is decoded has strips.
func (d *directory) numbers(tag uint16) (ns []int64) {
	b := d.bytes(tag)
	if len(b) == 0 || len(b) > 4<<20 {
		return nil
	}
	for size := sizes[d.order.Uint16(d.entries[tag][2:])]; len(b) > 0; b = b[size:] {
		switch size {
		case 2:
			ns = append(ns, int64(d.order.Uint16(b)))
		case 4:
			ns = append(ns, int64(d.order.Uint32(b)))
		default:
			ns = append(ns, int64(b[0]))
		}
	}
	return ns
}

// number returns the first number that a tag has, or what holds without it.
func (d *directory) number(tag uint16, without int64) int64 {
	if ns := d.numbers(tag); len(ns) > 0 {
		return ns[0]
	}
	return without
}
