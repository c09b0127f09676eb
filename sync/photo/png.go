package photo

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngKept are the ancillary chunks that show in the picture (PNG, third edition, section
// 11; the last three are those of animations). Every other is metadata, known or not.
var pngKept = []string{
	"tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI", "bKGD", "hIST", "pHYs", "sPLT",
	"acTL", "fcTL", "fdAT",
}

// pngColoured are those that say what the colours are.
var pngColoured = []string{"cICP", "iCCP", "sRGB", "cHRM", "gAMA"}

var errNoIEND = &Error{Code: Truncated, Detail: "PNG ends before its IEND chunk"}

// readPNG walks the chunks up to IEND and checks their sums. As viewers do, it passes over
// a damaged chunk that is not critical, and over the end of a file behind its last IDAT
// chunk. Whether the pixels are all there shows when they are decoded.
func (l *layout) readPNG() error {
	d := l.data[len(pngSignature):]
	l.keep(l.data[:len(pngSignature)])
	colours := map[string][]byte{}
	for first, pixels := true, false; ; first = false {
		chunk := nextChunk(d)
		if pixels && (chunk == nil || string(chunk[4:8]) == "IEND" && !intact(chunk)) {
			chunk = []byte("\x00\x00\x00\x00IEND\xae\x42\x60\x82")
			l.mend("its missing IEND chunk added")
		}
		if chunk == nil {
			return errNoIEND
		}
		d = d[min(len(chunk), len(d)):]
		name, body := string(chunk[4:8]), chunk[8:len(chunk)-4]
		critical := name[0]&0x20 == 0
		switch {
		case !intact(chunk) && critical:
			return damaged("PNG with a damaged %q chunk", name)
		case !intact(chunk):
			l.mend("its damaged " + strings.ToValidUTF8(name, "?") + " chunk removed")
			continue
		case name == "CgBI":
			return refuse(UnsupportedFormat, "PNG in Apple's private variant (CgBI)")
		case first != (name == "IHDR"), first && len(body) != 13:
			return damaged("PNG without its header in the right place")
		case first:
			if err := l.pngHeader(body); err != nil {
				return err
			}
		case name == "IDAT":
			pixels = true
		case name == "IEND" && !pixels:
			return refuse(Truncated, "PNG without pixels")
		case name == "eXIf":
			l.orient(body)
		case name == "acTL" && len(body) == 8:
			l.frames = int(binary.BigEndian.Uint32(body))
		}
		if slices.Contains(pngColoured, name) && colours[name] == nil {
			colours[name] = body
		}
		if critical || slices.Contains(pngKept, name) {
			l.keep(chunk)
		}
		if name == "IEND" {
			l.pngColours(colours)
			return nil
		}
	}
}

// nextChunk returns the chunk that d begins with, or nil if d ends before it does.
func nextChunk(d []byte) []byte {
	if len(d) < 12 || int64(binary.BigEndian.Uint32(d)) > int64(len(d)-12) {
		return nil
	}
	return d[:12+binary.BigEndian.Uint32(d)]
}

// intact reports whether the sum of a chunk is right.
func intact(chunk []byte) bool {
	end := len(chunk) - 4
	return crc32.ChecksumIEEE(chunk[4:end]) == binary.BigEndian.Uint32(chunk[end:])
}

// pngHeader reads the body of an IHDR chunk.
func (l *layout) pngHeader(body []byte) error {
	l.width = int(int32(binary.BigEndian.Uint32(body)))
	l.height = int(int32(binary.BigEndian.Uint32(body[4:])))
	depth, kind := body[8], body[9]
	depths, found := map[byte][]byte{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}[kind]
	if !found || !slices.Contains(depths, depth) || body[10] != 0 || body[11] != 0 || body[12] > 1 {
		return refuse(UnsupportedFormat, "PNG that no standard knows: colour type %d, %d bits a sample, methods % d", kind, depth, body[10:])
	}
	l.inks = 3
	if kind == 0 || kind == 4 {
		l.inks = 1
	}
	l.memory = l.pixels() * max(4, int64(depth)/2) // four samples of 8 or 16 bits
	if body[12] != 0 {
		l.memory *= 2 // interlaced: each pass is a picture of its own
	}
	return nil
}
