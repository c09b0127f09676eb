package photo

import (
	"context"
	"encoding/binary"

	"golang.org/x/image/tiff"
)

// Tags of TIFF 6.0, and that of the colour profile (ICC.1, annex B.3).
const (
	tagCompression  = 259
	tagPhotometric  = 262
	tagOrientation  = 274
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagPlanar       = 284
	tagTileWidth    = 322
	tagTileLength   = 323
	tagExtraSamples = 338
	tagProfile      = 34675
)

// field is an entry of a TIFF directory.
type field struct {
	order binary.ByteOrder
	kind  uint16
	count uint32
	value []byte // four bytes: the value, or where it is if it is longer
}

const (
	kindByte, kindShort, kindLong, kindUndefined = 1, 3, 4, 7
)

// tiffField finds a tag in the first directory of a TIFF file, or of the EXIF
// block of another, which has the same form.
func tiffField(data []byte, tag uint16) (f field, found bool) {
	if len(data) < 8 {
		return f, false
	}
	switch string(data[:4]) {
	case "II*\x00":
		f.order = binary.LittleEndian
	case "MM\x00*":
		f.order = binary.BigEndian
	default:
		return f, false
	}
	start := int64(f.order.Uint32(data[4:]))
	if start+2 > int64(len(data)) {
		return f, false
	}
	entries := data[start+2:]
	for range f.order.Uint16(data[start:]) {
		const entrySize = 12
		if len(entries) < entrySize {
			break
		}
		if f.order.Uint16(entries) == tag {
			f.kind, f.count, f.value = f.order.Uint16(entries[2:]), f.order.Uint32(entries[4:]), entries[8:entrySize]
			return f, true
		}
		entries = entries[entrySize:]
	}
	return f, false
}

// number returns the value of a field that holds one number, or 0.
func (f field) number() int64 {
	switch {
	case f.count == 1 && f.kind == kindShort:
		return int64(f.order.Uint16(f.value))
	case f.count == 1 && f.kind == kindLong:
		return int64(f.order.Uint32(f.value))
	}
	return 0
}

// tiffNumber returns the number that a tag has, or 0.
func (l *layout) tiffNumber(tag uint16) int64 {
	f, _ := tiffField(l.data, tag)
	return f.number()
}

// readTIFF looks at what the decoder passes over, or takes for something else.
func (l *layout) readTIFF(ctx context.Context) error {
	const rgb = 2
	samples := l.tiffNumber(tagSamples)
	switch {
	case l.tiffNumber(tagPlanar) == 2:
		return refuse(UnsupportedFormat, "TIFF with its colours one after the other (planar)")
	case l.tiffNumber(tagPhotometric) == rgb && (samples > 4 || samples == 4 && l.tiffNumber(tagExtraSamples) == 0):
		return refuse(UnsupportedFormat, "TIFF with %d channels, not all of them colours or transparency", samples)
	}
	l.turn = readOrientation(l.data)
	l.profile = l.tiffProfile()
	compression := l.tiffNumber(tagCompression)
	l.negative = (compression == 3 || compression == 4) && l.tiffNumber(tagPhotometric) == 1
	if err := l.readBounds(ctx, 8, tiff.DecodeConfig); err != nil { // up to four samples of 16 bits
		return err
	}
	// A strip or tile is unpacked before its pixels are looked at, to at most eight
	// bytes for each, into a buffer that doubles while it grows.
	l.memory += 3 * 8 * l.tiffBlock()
	return nil
}

// tiffBlock returns the most pixels that a strip or a tile may have.
func (l *layout) tiffBlock() int64 {
	_, tiled := tiffField(l.data, tagTileWidth)
	w, h, rows := l.tiffNumber(tagTileWidth), l.tiffNumber(tagTileLength), l.tiffNumber(tagRowsPerStrip)
	switch {
	case tiled && w > 0 && h > 0:
		return w * h // which the decoder has limits for
	case tiled:
		return max(l.pixels(), 1024*1024)
	case rows > 0:
		return int64(l.width) * min(rows, int64(l.height))
	}
	return l.pixels()
}

// tiffProfile returns the colour profile.
func (l *layout) tiffProfile() []byte {
	f, found := tiffField(l.data, tagProfile)
	if !found || f.kind != kindByte && f.kind != kindUndefined {
		return nil
	}
	start := int64(f.order.Uint32(f.value))
	end := start + int64(f.count)
	if f.count <= 4 || end > int64(len(l.data)) {
		return nil
	}
	return l.data[start:end]
}
