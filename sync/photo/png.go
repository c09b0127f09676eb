package photo

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngKept are the chunks that show in the picture (PNG, third edition, section
// 11; the last three are those of animations). Every other ancillary chunk is
// metadata, known to us or not.
var pngKept = []string{
	"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV",
	"cLLI", "bKGD", "hIST", "pHYs", "sPLT", "acTL", "fcTL", "fdAT",
}

// readPNG walks the chunks up to IEND and checks their sums.
func (l *layout) readPNG() error {
	d := l.data
	l.keep(d[:len(pngSignature)])
	pixels := false
	for pos := len(pngSignature); ; {
		if len(d)-pos < 12 {
			return refuse(Truncated, "PNG ends before its IEND chunk")
		}
		n := int64(binary.BigEndian.Uint32(d[pos:]))
		if n > int64(len(d)-pos-12) {
			return refuse(Truncated, "PNG ends before its IEND chunk")
		}
		chunk := d[pos : pos+12+int(n)]
		name, body := string(chunk[4:8]), chunk[8:8+n]
		if crc32.ChecksumIEEE(chunk[4:8+n]) != binary.BigEndian.Uint32(chunk[8+n:]) {
			return refuse(Truncated, "PNG with a damaged %q chunk", name)
		}
		first := pos == len(pngSignature)
		switch {
		case name == "CgBI":
			return refuse(UnsupportedFormat, "PNG in Apple's private variant (CgBI)")
		case first != (name == "IHDR"), first && n != 13:
			return refuse(Truncated, "PNG without its header in the right place")
		case first:
			l.width = int(int32(binary.BigEndian.Uint32(body)))
			l.height = int(int32(binary.BigEndian.Uint32(body[4:])))
			l.memory = l.pixels() * max(4, int64(body[8])/2) // four samples of 8 or 16 bits
			if body[12] != 0 {
				l.memory *= 2 // interlaced: each pass is a picture of its own
			}
		case name == "IDAT":
			pixels = true
		case name == "eXIf":
			l.turn = readOrientation(body)
		case name == "iCCP":
			l.profile = body
		}
		if slices.Contains(pngKept, name) || name[0]&0x20 == 0 {
			l.keep(chunk)
		}
		if name == "IEND" {
			break
		}
		pos += len(chunk)
	}
	if !pixels {
		return refuse(Truncated, "PNG without pixels")
	}
	return nil
}
